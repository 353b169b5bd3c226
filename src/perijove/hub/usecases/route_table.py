"""
The hub's hand on the proxy's table: one change at a time, so that replacing the whole table never undoes
an addition or brings back a removal that happened meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from perijove.hub.domain.errors import ProxyAway
from perijove.hub.domain.servers import Server
from perijove.hub.domain.urls import server_route
from perijove.hub.ports import ProxyGateway
from perijove.kit.tasks import TaskGroup
from perijove.wire.routes import MINE, Route

log = structlog.get_logger(__name__)


class RouteTable:
    """Adds, removes and replaces routes; knows whether a full look is due."""

    def __init__(self, *, proxy: ProxyGateway, tasks: TaskGroup, base_url: str) -> None:
        self._proxy = proxy
        self._tasks = tasks
        self._base_url = base_url
        self._lock = asyncio.Lock()
        #: whether a change was lost on the way: the reconciler must look
        self.is_doubtful = True

    def route_of(self, server: Server) -> Route:
        """The route that *server* has while it is ready."""
        return Route(
            path=server_route(self._base_url, server.user_name, server.name),
            target=server.target,
            access="gated",
            audience=server.key,
            data={"user": server.user_name, "server_name": server.name, MINE: True},
        )

    async def add(self, server: Server) -> None:
        """
        Route requests to *server*.

        Being cancelled does not stop a request that is under way: a removal that follows must come after it.

        Raises:
            ProxyAway: the proxy does not answer.
        """
        failure = await asyncio.shield(self._tasks.start(f"add route {server.key}", self._add(self.route_of(server))))
        if failure is not None:
            raise failure

    async def remove(self, server: Server) -> None:
        """No longer route to *server*. A proxy that is away gets a whole new table when it is back."""
        path = server_route(self._base_url, server.user_name, server.name)
        async with self._lock:
            try:
                await self._proxy.remove(path)
            except ProxyAway:
                self.is_doubtful = True
                log.warning("route.removal_delayed", path=path)

    async def replace(self, make: Callable[[], Awaitable[Sequence[Route] | None]]) -> None:
        """
        Make the table what *make* answers; None leaves it. *make* runs while nobody else changes the table.

        Raises:
            ProxyAway: the proxy does not answer.
        """
        async with self._lock:
            routes = await make()
            if routes is not None:
                await self._proxy.replace_all(routes)
            self.is_doubtful = False

    async def _add(self, route: Route) -> ProxyAway | None:
        async with self._lock:
            try:
                await self._proxy.add(route)
            except ProxyAway as exc:
                self.is_doubtful = True
                return exc
        return None
