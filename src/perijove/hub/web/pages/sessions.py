"""
The sessions page: where one is signed in, with buttons to end that.
"""

from __future__ import annotations

from starlette.responses import Response

from perijove.hub.domain.errors import NoSuchSession
from perijove.hub.web.access import SIGNED_IN
from perijove.hub.web.declared import Routes
from perijove.hub.web.pages.frame import FrameOf
from perijove.hub.web.pages.views import session_views

router = Routes(include_in_schema=False)


@router.get("/sessions", access=SIGNED_IN)
async def get_sessions(frame: FrameOf) -> Response:
    """The page."""
    sessions = await frame.parts.sessions.list(await frame.user())
    current = frame.principal.session_id
    return frame.show(
        "sessions.html",
        title="Sessions",
        sessions=session_views(sessions, current=current, now=frame.parts.clock.now()),
        has_accounts=frame.parts.about.has_accounts,
    )


@router.post("/sessions/end", access=SIGNED_IN)
async def post_end(frame: FrameOf) -> Response:
    """End one of one's own; this very one is ended by signing out."""
    form = await frame.form()
    wanted = form.get("id", "")
    if wanted == frame.principal.session_id:
        raise NoSuchSession("That is the session you are in: sign out to end it.")
    await frame.parts.sessions.end(await frame.user(), wanted, by=frame.principal)
    return frame.go(f"{frame.hub}sessions")


@router.post("/sessions/end-others", access=SIGNED_IN)
async def post_end_others(frame: FrameOf) -> Response:
    """End all of one's own but this one."""
    keep = frame.principal.session_id
    await frame.parts.sessions.end_others(await frame.user(), keep=keep, by=frame.principal)
    return frame.go(f"{frame.hub}sessions")
