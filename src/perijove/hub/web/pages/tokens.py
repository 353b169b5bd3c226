"""
The token page: list, make (shown once), revoke.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from perijove.hub.domain.errors import HubError, Invalid
from perijove.hub.web.access import SIGNED_IN
from perijove.hub.web.declared import Routes
from perijove.hub.web.pages.frame import Frame, FrameOf
from perijove.hub.web.pages.views import application_views, token_views
from perijove.hub.web.problems import status_of

_DAY: Final = 24 * 3600
#: seconds (0 is for good) and words
LIFETIMES: Final = ((_DAY, "a day"), (30 * _DAY, "30 days"), (365 * _DAY, "a year"), (0, "ever"))

router = Routes(include_in_schema=False)


@router.get("/token", access=SIGNED_IN)
async def get_tokens(frame: FrameOf) -> Response:
    """The page."""
    return await _page(frame)


@router.post("/token", access=SIGNED_IN)
async def post_token(frame: FrameOf) -> Response:
    """Make one, and show its text this once: the answer to this form is the only place that has it."""
    form = await frame.form()
    try:
        seconds = _seconds(form.get("expires_in", ""))
        _, text = await frame.parts.tokens.create(
            user=await frame.user(), maker=frame.principal, note=form.get("note", ""), expires_in=seconds
        )
    except HubError as error:
        return await _page(frame, error=error)
    return await _page(frame, created=text)


@router.post("/token/revoke", access=SIGNED_IN)
async def post_revoke(frame: FrameOf) -> Response:
    """End one."""
    form = await frame.form()
    await frame.parts.tokens.revoke(await frame.user(), form.get("id", ""), by=frame.principal)
    return frame.go(f"{frame.hub}token")


@router.post("/token/revoke-application", access=SIGNED_IN)
async def post_revoke_application(frame: FrameOf) -> Response:
    """End all that one application was given."""
    form = await frame.form()
    await frame.parts.tokens.revoke_application(await frame.user(), form.get("client_id", ""), by=frame.principal)
    return frame.go(f"{frame.hub}token")


async def _page(frame: Frame, *, created: str = "", error: HubError | None = None) -> Response:
    user, now = await frame.user(), frame.parts.clock.now()
    tokens = await frame.parts.tokens.list(user)
    applications = await frame.parts.tokens.applications(user)
    limit = frame.parts.settings.token_expires_in_max_seconds
    return frame.show(
        "tokens.html",
        status=status_of(error) if error else 200,
        title="Tokens",
        tokens=token_views(tokens, now),
        applications=application_views(applications, user.name, now, frame.parts.roles.custom.definitions),
        lifetimes=[(seconds, text) for seconds, text in LIFETIMES if not limit or 0 < seconds <= limit],
        created=created,
        error=str(error) if error else "",
    )


def _seconds(stated: str) -> int | None:
    if not stated.isdecimal():
        raise Invalid("Say how long the token is good for.")
    return int(stated) or None
