"""
The one page of the hub at the origins of servers: where a browser sets out for the hub, and where it is let in.

Both change something by GET, as redirects must: the first remembers by which browser it was asked, the second spends a
code that is good once.
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from perijove.hub.domain.audiences import place_of
from perijove.hub.domain.errors import HubError
from perijove.hub.domain.urls import service_url
from perijove.hub.scopes.decision import ServiceResource
from perijove.hub.web import fetch_metadata
from perijove.hub.web.access import PUBLIC
from perijove.hub.web.declared import Routes
from perijove.hub.web.pages.frame import Frame, FrameOf
from perijove.hub.web.pages.views import query_of
from perijove.hub.web.pages.way_in import addresses
from perijove.hub.web.problems import error_page, status_of
from perijove.wire.door import DOORSTEP_PATH, ENTER_PATH

router = Routes(include_in_schema=False)


@router.get(f"/{DOORSTEP_PATH}", access=PUBLIC)
async def get_doorstep(frame: FrameOf, server: str = "", code: str = "") -> Response:
    """Set out for the hub, or come from there with a code."""
    if not frame.parts.doorstep.is_at(frame.host, server):
        raise HTTPException(404)
    fetch_metadata.check_page(frame.request.headers)
    return await _come_in(frame, server, code) if code else _set_out(frame, server)


def _set_out(frame: Frame, server: str) -> Response:
    cookies = frame.edge.cookies
    kept, challenge = frame.parts.doorstep.set_out(cookies.browser(frame.request))
    query = query_of(server=server, next=frame.next(), proof=challenge)
    response = frame.go(f"{frame.parts.origins.hub}{frame.hub}{ENTER_PATH}?{query}")
    cookies.put_browser(frame.request, response, kept)
    return response


async def _come_in(frame: Frame, server: str, code: str) -> Response:
    first, then = _first_page(frame, server), frame.next()
    cookies, request = frame.edge.cookies, frame.request
    try:
        entry = await frame.parts.doorstep.take(
            code,
            host=frame.host,
            cookie=cookies.browser_cookie(request),
            verifier=cookies.browser(request),
            address=frame.address,
        )
    except HubError as error:
        # At this origin; whoever tries again begins anew.
        return error_page(request, status_of(error), error.message, again=then or first)
    response = frame.go(then if then.startswith(entry.path) else first)
    frame.let_in(response, value=entry.cookie_value, path=entry.path, max_age=entry.max_age)
    return response


def _first_page(frame: Frame, audience: str) -> str:
    """Path of where one is who wants nothing in particular of that server or service."""
    place = place_of(audience)
    if isinstance(place, ServiceResource):
        return service_url(frame.parts.settings.base_url, place.name)
    return addresses(frame).home_path(place.user, place.server)
