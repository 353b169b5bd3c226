"""
What happens after somebody proved who they are: the session's cookies, and straight into their server.

The start is asked for and waited for in the very answer to the sign-in form, and the identity token comes with
it, so that no redirect is spent on what is known already.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from perijove.hub.domain.errors import HubError
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.urls import server_url
from perijove.hub.usecases.sign_in import SignedIn
from perijove.hub.web.pages.frame import Frame
from perijove.hub.web.pages.way_in import Destination, go_in, may_start

#: Seconds for which the answer to a sign-in form waits for the server.
PATIENCE: Final = 1.0


async def arrive(frame: Frame, signed_in: SignedIn, *, then: str) -> Response:
    """Sign the browser in and send it to *then*, or into the person's own server."""
    found = await frame.parts.identify.by_session(signed_in.secret)
    principal = replace(found[1], address=frame.address) if found else None
    response = await _destination(frame, signed_in, principal, then)
    frame.sign_in(response, signed_in)
    return response


async def _destination(frame: Frame, signed_in: SignedIn, principal: Principal | None, then: str) -> Response:
    settings = frame.parts.settings
    user = signed_in.user
    own = server_url(settings.base_url, user.name, "")
    hub_root = settings.hub_prefix
    wants_server = then.startswith(own) or (then in {"", "/", hub_root} and settings.redirect_to_server)
    if principal is None or not wants_server or not may_start(principal, user.name, ""):
        return frame.go(then or f"{hub_root}home")
    try:
        destination = Destination(owner=user, server="", then=then)
        return await go_in(frame, destination, patience=PATIENCE, principal=principal)
    except HubError:
        # Signed in they are, whatever is wrong with the server: the home page says what and offers to try again.
        return frame.go(f"{hub_root}home")
