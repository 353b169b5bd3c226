"""
Connections to servers: idle ones by target, and the making of new ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from perijove.proxy.core.limits import Limit, Limits
from perijove.proxy.core.outages import ATTEMPT_SECONDS, Outages
from perijove.proxy.core.statistics import Gauges, Statistics
from perijove.proxy.core.targets import Target
from perijove.proxy.net.tls import OutgoingTls
from perijove.proxy.net.upstream import UpstreamConnection

log = structlog.get_logger(__name__)

#: Idle connections kept per target.
MAX_IDLE: Final = 32
#: Seconds of idleness after which a connection is closed: uvicorn and Node close theirs after 5.
IDLE_SECONDS: Final = 4.0
#: The same for a request that cannot be repeated should the server close at just that moment.
FRESH_SECONDS: Final = 1.0
#: First and longest wait between two attempts to reach a hub that restarts.
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 0.4


class TargetBusy(OSError):
    """The server has all the connections that it may have."""


class UpstreamPool:
    """Lends connections; the one used last is lent first."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        connect_timeout: float,
        limits: Limits,
        statistics: Statistics,
        tls: OutgoingTls,
        outages: Outages,
    ) -> None:
        """
        Args:
            monotonic: seconds, may be coarse.
            connect_timeout: seconds for one attempt, a TLS handshake included.
            limits: how many connections one target may have.
            statistics: where connections are counted.
            tls: for targets that speak https.
            outages: which of several targets are silent.
        """
        #: may be replaced at any time
        self.limits = limits
        self._statistics = statistics
        self._tls = tls
        self._outages = outages
        #: connections open or being made, by target
        self._open: dict[str, int] = {}
        self._monotonic = monotonic
        self._connect_timeout = connect_timeout
        self._idle: dict[str, list[UpstreamConnection]] = {}

    def choose(self, targets: Sequence[Target]) -> Target:
        """Who of *targets*, which stand for each other, is asked first."""
        return self._outages.in_order(targets, now=self._monotonic())[0]

    def take(self, target: Target, *, repeatable: bool) -> UpstreamConnection | None:
        """An idle connection, if there is one that is young enough."""
        idle = self._idle.get(target.key)
        while idle:
            upstream = idle.pop()
            limit = IDLE_SECONDS if repeatable else FRESH_SECONDS
            if upstream.transport.is_closing():
                continue
            if self._monotonic() - upstream.idle_since <= limit:
                upstream.is_reused = True
                self._statistics.pool_reused += 1
                return upstream
            upstream.transport.close()
        return None

    def has_room(self, target: Target) -> bool:
        """Whether one more connection to *target* may be made."""
        if self._open.get(target.key, 0) < self.limits.per_target:
            return True
        self._statistics.refused(Limit.TARGET)
        return False

    async def connect(self, targets: Sequence[Target], *, patience: float = 0.0) -> UpstreamConnection:
        """
        A new connection to the first of *targets* that takes one.

        Args:
            targets: where to; at least one.
            patience: seconds during which a refused attempt is repeated.

        Raises:
            OSError: it cannot be reached; `TimeoutError` is one.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._connect_first(loop, targets)
            except (ConnectionRefusedError, FileNotFoundError):
                if loop.time() + pause > deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def put(self, upstream: UpstreamConnection) -> None:
        """Take back a connection on which an exchange ended well."""
        idle = self._idle.setdefault(upstream.target.key, [])
        if len(idle) >= MAX_IDLE or upstream.transport.is_closing():
            upstream.transport.close()
            return
        upstream.idle_since = self._monotonic()
        idle.append(upstream)

    def opened(self, upstream: UpstreamConnection) -> None:
        """Part of `Owner`."""
        self._statistics.pool_made += 1
        self._count(upstream.target.key, 1)

    def closed(self, upstream: UpstreamConnection) -> None:
        """Part of `Owner`."""
        self._count(upstream.target.key, -1)

    def tunnel_closed(self, target: Target) -> None:
        """A connection that became a part of a tunnel is gone: it could not say so itself."""
        self._count(target.key, -1)

    def gauge(self, gauges: Gauges) -> None:
        """Say how many are idle."""
        gauges.pool_idle = sum(map(len, self._idle.values()))

    def forget(self, upstream: UpstreamConnection) -> None:
        """An idle connection was closed from the other side."""
        idle = self._idle.get(upstream.target.key, [])
        if upstream in idle:
            idle.remove(upstream)

    def drop(self, key: str) -> None:
        """Close what is idle to this target: the next server at that address may be another user's."""
        for upstream in self._idle.pop(key, []):
            upstream.transport.close()

    def sweep(self) -> None:
        """Close what has been idle for too long."""
        now = self._monotonic()
        for key, idle in list(self._idle.items()):
            for upstream in [known for known in idle if now - known.idle_since > IDLE_SECONDS]:
                idle.remove(upstream)
                upstream.transport.close()
            if not idle:
                del self._idle[key]

    def close(self) -> None:
        """Close everything idle."""
        for key in list(self._idle):
            self.drop(key)

    async def _connect_first(self, loop: asyncio.AbstractEventLoop, targets: Sequence[Target]) -> UpstreamConnection:
        if len(targets) == 1:
            return await self._connect_once(loop, targets[0], self._connect_timeout)
        *others, last = self._outages.in_order(targets, now=self._monotonic())
        for target in others:
            with suppress(OSError):
                return await self._try(loop, target, min(ATTEMPT_SECONDS, self._connect_timeout))
        return await self._try(loop, last, self._connect_timeout)

    async def _try(self, loop: asyncio.AbstractEventLoop, target: Target, seconds: float) -> UpstreamConnection:
        """Connect to one of several, and remember whether that worked."""
        if not self.has_room(target):
            raise TargetBusy
        self._outages.trying(target, now=self._monotonic())
        try:
            upstream = await self._connect_once(loop, target, seconds)
        except OSError as exc:
            log.info("upstream.silent", target=target.key, reason=str(exc))
            self._outages.failed(target, now=self._monotonic())
            raise
        self._outages.reached(target)
        return upstream

    async def _connect_once(
        self, loop: asyncio.AbstractEventLoop, target: Target, seconds: float
    ) -> UpstreamConnection:
        # From now on, not from when it is open: many may be under way at once.
        self._count(target.key, 1)
        try:
            async with asyncio.timeout(seconds):
                return await self._open_one(loop, target)
        finally:
            self._count(target.key, -1)

    async def _open_one(self, loop: asyncio.AbstractEventLoop, target: Target) -> UpstreamConnection:
        upstream = UpstreamConnection(target, self)
        try:
            if target.socket:
                await loop.create_unix_connection(lambda: upstream, target.socket)
            else:
                context = self._tls.context if target.tls else None
                await loop.create_connection(lambda: upstream, target.host, target.port, ssl=context)
        except BaseException:
            upstream.abandon()
            raise
        return upstream

    def _count(self, key: str, change: int) -> None:
        count = self._open.get(key, 0) + change
        if count:
            self._open[key] = count
        else:
            del self._open[key]
