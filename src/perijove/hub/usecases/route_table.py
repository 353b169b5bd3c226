"""
The hub's hand on one proxy's table: one change at a time, so that replacing the whole table never undoes
an addition or brings back a removal of this hub that happened meanwhile. What other hubs do meanwhile is found by
the table's version. `Routes` is the hand on all proxies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from perijove.hub.domain.errors import ProxyAway
from perijove.hub.domain.origins import ONE_ORIGIN, Origins
from perijove.hub.domain.servers import Server
from perijove.hub.ports import ProxyGateway
from perijove.kit.tasks import TaskGroup
from perijove.wire.routes import MINE, Route

log = structlog.get_logger(__name__)

#: tries to replace a table that others keep changing, before waiting for the next look
REPLACE_TRIES: Final = 5
#: seconds that one proxy waits for the others, once it has a change
GRACE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A table as it should be, and the version that was read before that was found out."""

    routes: Sequence[Route]
    version: str


class RouteTable:
    """Adds, removes and replaces routes of one proxy; knows whether a full look is due."""

    def __init__(self, *, proxy: ProxyGateway, tasks: TaskGroup, base_url: str, origins: Origins = ONE_ORIGIN) -> None:
        self._proxy = proxy
        self._tasks = tasks
        self._base_url = base_url
        self._origins = origins
        self._lock = asyncio.Lock()
        #: whether a change was lost on the way: the reconciler must look
        self.is_doubtful = True
        #: whether the proxy did not answer the last time; the reconciler says when it is back
        self.is_away = False

    def route_of(self, server: Server) -> Route:
        """The route that *server* has while it is ready."""
        return Route(
            path=self._origins.server_route(self._base_url, server.user_name, server.name),
            target=server.target,
            access="open" if server.does_own_sign_in else "gated",
            audience="" if server.does_own_sign_in else server.key,
            data={"user": server.user_name, "server_name": server.name, MINE: True},
        )

    def adding(self, server: Server) -> asyncio.Task[ProxyAway | None]:
        """
        Route requests to *server*; answers why that failed.

        A task of its own, so that whoever waits may leave: a removal that follows must come after it.
        """
        route = self.route_of(server)
        return self._tasks.start(f"add route {server.key}", self._change(lambda: self._proxy.add(route)))

    def removing(self, server: Server) -> asyncio.Task[ProxyAway | None]:
        """No longer route to *server*. A proxy that is away gets a whole new table when it is back."""
        path = self._origins.server_route(self._base_url, server.user_name, server.name)
        return self._tasks.start(f"remove route {server.key}", self._change(lambda: self._proxy.remove(path)))

    async def replace(self, make: Callable[[], Awaitable[Wanted | None]]) -> None:
        """
        Make the table what *make* answers; None leaves it. *make* runs while this hub does not change the table.

        Raises:
            ProxyAway: the proxy does not answer.
        """
        async with self._lock:
            # Before anything is read: what becomes doubtful from here on stays so.
            self.is_doubtful = False
            try:
                for _ in range(REPLACE_TRIES):
                    wanted = await make()
                    if wanted is None:
                        return
                    if await self._proxy.replace_all(wanted.routes, version=wanted.version):
                        break
                # Another hub may have moved on from what was read, without changing the table: look once more.
                self.is_doubtful = True
            except BaseException:
                self.is_doubtful = True
                raise

    async def _change(self, change: Callable[[], Awaitable[None]]) -> ProxyAway | None:
        try:
            async with self._lock:
                await change()
        except ProxyAway as exc:
            self.is_doubtful = self.is_away = True
            return exc
        return None


class Routes:
    """The tables of all proxies. One that is away delays nobody: it gets everything when it is back."""

    def __init__(self, tables: Sequence[RouteTable]) -> None:
        self._tables = tables

    def doubt(self) -> None:
        """All tables must be looked at."""
        for table in self._tables:
            table.is_doubtful = True

    async def add(self, server: Server) -> None:
        """
        Route requests to *server*: done when one proxy does, and those who are there had the time to.

        Being cancelled does not stop a request that is under way: a removal that follows must come after it.

        Raises:
            ProxyAway: no proxy answers.
        """
        failures = await _together([table.adding(server) for table in self._present()])
        if failures:
            raise failures[0]

    async def remove(self, server: Server) -> None:
        """No longer route to *server*."""
        failures = await _together([table.removing(server) for table in self._present()])
        if failures:
            log.warning("route.removal_delayed", server=server.key)

    def _present(self) -> Sequence[RouteTable]:
        """Those to be told: all, unless only some of them are away."""
        present = [table for table in self._tables if not table.is_away]
        if not present:
            return self._tables
        for table in self._tables:
            if table.is_away:
                table.is_doubtful = True
        return present


async def _together(changes: Sequence[asyncio.Task[ProxyAway | None]]) -> Sequence[ProxyAway]:
    """Wait for the first success, and a little for the others; why all failed, if they did."""
    waiting = set(changes)
    failures: list[ProxyAway] = []
    while waiting:
        # No timeout: a call to a proxy has its own.
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        results = [task.result() for task in done]
        failures += [failure for failure in results if failure is not None]
        if None in results:
            if waiting:
                await asyncio.wait(waiting, timeout=GRACE_SECONDS)
            return []
    return failures
