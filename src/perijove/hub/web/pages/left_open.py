"""
What a page of a stopped server asks for at that server's own origin: it starts for a change that somebody makes there.

At the hub's origin the hub's own cookie says who asks, below its prefix (`pages/user_server.py`). Here it is the
identity cookie, which is sent to the server's own addresses alone. Nothing but scripts of that origin gets here; see
`web/elsewhere.py`.
"""

from __future__ import annotations

from starlette.responses import Response

from perijove.hub.web.access import LEFT_OPEN
from perijove.hub.web.declared import Routes
from perijove.hub.web.pages.frame import FrameOf
from perijove.hub.web.pages.root import change_outside, get_outside
from perijove.hub.web.pages.user_server import any_user_server

#: below the deployment's prefix; of use only where users have origins of their own
router = Routes(include_in_schema=False)


@router.api_route(
    "/user/{user_name}/{rest:path}",
    methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    access=LEFT_OPEN,
)
async def any_left_open(frame: FrameOf, user_name: str, rest: str) -> Response:
    """An address in a server that has no route, asked for at its own host; or at the hub's, where it is not."""
    if frame.parts.origins.is_elsewhere(frame.host):
        return await any_user_server(frame, user_name, rest)
    outside = get_outside if frame.request.method in {"GET", "HEAD"} else change_outside
    return await outside(f"user/{user_name}/{rest}", frame.request, frame.parts)
