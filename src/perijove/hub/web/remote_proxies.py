"""
Proxies on other machines, which reach the hub over TCP: what they say about browsers counts as if they came over the
unix socket (`client_address.py`). Nobody else's word does.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class BelieveProxies:
    """Middleware that takes requests from *addresses* for those of a proxy of ours."""

    def __init__(self, app: ASGIApp, *, addresses: frozenset[str]) -> None:
        self._app = app
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forget the address of a proxy: the browser's is in the header that it wrote."""
        client = scope.get("client")
        if client and client[0] in self._addresses:
            scope = {**scope, "client": None}
        await self._app(scope, receive, send)
