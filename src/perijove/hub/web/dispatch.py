"""
From a request to the answer of its route: the access decides, then the handler answers. What either of them raises
becomes an answer around this (`app.py`).
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from perijove.hub.web.table import RouteTable


class Dispatch:
    """The innermost application."""

    def __init__(self, routes: RouteTable) -> None:
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            # The hub has none of its own; the proxy sends what has no route here.
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        method, path = scope["method"], scope["path"]
        found = self._routes.find(method, path)
        if found is None:
            allowed = next(self._routes.places(path), None)
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))}) if allowed else HTTPException(404)
        route, scope["path_params"] = found
        # Metrics are told by the function that answers (`metrics.py`).
        scope["endpoint"] = route.endpoint
        request = Request(scope, receive, send)
        await route.access.decide(request)
        response = await route.handler(request)
        await response(scope, receive, send)
