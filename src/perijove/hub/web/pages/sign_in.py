"""
Signing in and out.
"""

from __future__ import annotations

from typing import Final

import structlog
from starlette.responses import Response

from perijove.hub.domain.errors import Refused, TooManyAttempts, Unavailable
from perijove.hub.web.access import OPEN_PAGE, SIGNED_IN
from perijove.hub.web.declared import Routes
from perijove.hub.web.fetch_metadata import is_own_navigation
from perijove.hub.web.pages.arrival import arrive
from perijove.hub.web.pages.frame import Frame, FrameOf
from perijove.hub.web.problems import RETRY_SECONDS, status_of

log = structlog.get_logger(__name__)

#: Names that are longer are not shown again.
_MAX_SHOWN: Final = 255

router = Routes(include_in_schema=False)


@router.get("/login", access=OPEN_PAGE)
async def get_login(frame: FrameOf) -> Response:
    """The form; whoever is signed in goes on."""
    if frame.visitor is not None:
        return frame.go(frame.next() or frame.hub)
    return _form(frame)


@router.post("/login", access=OPEN_PAGE)
async def post_login(frame: FrameOf) -> Response:
    """Judge the form and go on, or show it again with what is wrong."""
    form = await frame.form()
    try:
        signed_in = await frame.parts.sign_in(form=form, **frame.sender())
    except TooManyAttempts as error:
        page = _form(frame, status=429, error=str(error), name=form.get("username", ""))
        page.headers["Retry-After"] = str(error.retry_after)
        return page
    except Unavailable as error:
        page = _form(frame, status=503, error=str(error), name=form.get("username", ""))
        page.headers["Retry-After"] = str(RETRY_SECONDS)
        return page
    except Refused as error:
        return _form(frame, status=status_of(error), error=str(error), name=form.get("username", ""))
    return await arrive(frame, signed_in, then=frame.next())


@router.get("/logout", access=OPEN_PAGE)
async def get_logout(frame: FrameOf) -> Response:
    """
    Sign out when a navigation from this very origin asks: JupyterLab's own menu leads here by GET (contract i).
    Anybody else gets a page with a button, so that a link or picture elsewhere signs nobody out.
    """
    if frame.visitor is None:
        return frame.go(f"{frame.hub}login")
    if is_own_navigation(frame.request.headers):
        return await _sign_out(frame)
    return frame.show("sign_out.html", title="Sign out")


@router.post("/logout", access=SIGNED_IN)
async def post_logout(frame: FrameOf) -> Response:
    """End the session. Servers keep running."""
    return await _sign_out(frame)


async def _sign_out(frame: Frame) -> Response:
    session = frame.visitor.session if frame.visitor else None
    if session is not None:
        await frame.parts.sign_out(session, await frame.user(), address=frame.address)
    response = frame.go(f"{frame.hub}login")
    frame.edge.cookies.drop_session(frame.request, response)
    return response


def _form(frame: Frame, *, status: int = 200, error: str = "", name: str = "") -> Response:
    parts = frame.parts
    return frame.show(
        "sign_in.html",
        status=status,
        title="Sign in",
        error=error,
        name=name[:_MAX_SHOWN],
        next=frame.next(),
        allow_signup=parts.about.has_accounts and parts.settings.sign_in.allow_signup,
        prefetch=start_list_url(frame),
    )


def start_list_url(frame: Frame) -> str:
    """Where the page finds out what JupyterLab will need; "" if there is no JupyterLab here."""
    assets = frame.parts.lab_assets
    return f"{assets.url}/_start.json" if assets else ""
