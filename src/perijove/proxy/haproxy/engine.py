"""
Keeps haproxy equal to what the proxy knows.

The rule of this file: one task, `_follow`, changes haproxy, in rounds; what was asked for is done when the round is
that began after it. A round that fails and a haproxy that ends lead to the same thing: another haproxy, started with
all that is known. The built-in worker hears of every change first, so a request that finds haproxy behind is answered
by the worker, or as it would have been a moment ago.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from perijove.kit.tasks import TaskGroup
from perijove.proxy.config import ProxyConfig
from perijove.proxy.core.changes import Change, PutRoute, RemoveRoute, ReplaceRoutes, Revoke, SetKeys
from perijove.proxy.core.errors import ProxyError, Unacknowledged
from perijove.proxy.core.haproxy_table import RouteSteps
from perijove.proxy.core.haproxy_verdicts import VERDICT_SECONDS, VerdictChanges, Verdicts
from perijove.proxy.core.routes import tidy
from perijove.proxy.core.state import State
from perijove.proxy.core.statistics import Gauges, Statistics, merge
from perijove.proxy.haproxy.folders import PrivateFolder
from perijove.proxy.haproxy.generation import Generation
from perijove.proxy.haproxy.settings import check, leaves_all, links_for, settings_for, worker_config
from perijove.proxy.net.listen import bind_unix
from perijove.proxy.net.tls import TrafficTls
from perijove.proxy.net.worker import Worker
from perijove.wire.control import Revocation
from perijove.wire.identity import IdentityClaims

log = structlog.get_logger(__name__)

#: Seconds between two rounds when nothing happens: what is no longer believed, and servers to forget.
ROUND_SECONDS: Final = 5.0
#: Seconds until haproxy is started again; doubled with every start that did not last.
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 5.0
#: Seconds after which a start has lasted.
LASTING_SECONDS: Final = 10.0
#: Seconds that a change waits to be carried out.
APPLY_SECONDS: Final = 30.0
#: Seconds between two looks at a haproxy that was replaced.
DRAIN_POLL_SECONDS: Final = 1.0
#: Replaced haproxys that may still serve what was open; the oldest is ended for one more.
MAX_DRAINING: Final = 8
_WORKER_SOCKET_MODE: Final = 0o600


class HaproxyGone(ProxyError):
    """haproxy has ended."""


class HaproxyEngine:
    """The engine: a haproxy, and the worker behind it."""

    def __init__(self, config: ProxyConfig, state: State, sockets: Sequence[socket.socket]) -> None:
        """
        Args:
            config: the settings.
            state: what is known; read here, and changed by whoever calls `apply`.
            sockets: public ones, which listen.

        Raises:
            UnusableSettings: haproxy cannot do what they say.
        """
        check(config.tls)
        self._config = config
        self._state = state
        self._sockets = sockets
        self._tasks = TaskGroup("haproxy")
        # haproxy speaks TLS with browsers, the worker only with servers.
        self._tls = TrafficTls(None, config.tls.client)
        known = state.copy()
        self._worker = Worker(worker_config(config), known, self._tls, front=self)
        self._verdicts = Verdicts(lifetime=_lifetime(config))
        self._private = PrivateFolder()
        self._folder = self._private.path
        self._current: Generation | None = None
        #: those that were replaced and still serve what was open, the oldest first
        self._draining: list[Generation] = []
        #: haproxys started, servers ever named in them
        self._starts = 0
        self._servers = 0
        self._pause = FIRST_PAUSE
        #: paths that may have changed; None: all
        self._stale: set[str] | None = set()
        #: audiences of servers on which something revoked may be open
        self._cut: set[str] = set()
        self._is_outdated = False
        self._wake = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._activity: dict[str, float] = {}
        #: by haproxys that have ended
        self._counted = Statistics()
        self.restarts = 0

    # Engine

    async def start(self) -> None:
        """Part of `Engine`."""
        await self._worker.start([bind_unix(self._worker_socket, mode=_WORKER_SOCKET_MODE)])
        try:
            self._current = await self._begin()
        except BaseException:
            await self._worker.stop()
            self._private.remove()
            raise
        self._tasks.start("follow", self._follow())

    async def apply(self, change: Change) -> None:
        """Part of `Engine`."""
        self._worker.apply(change)
        match change:
            case PutRoute(path=path) | RemoveRoute(path=path):
                if self._stale is not None:
                    self._stale.add(tidy(path))
            case Revoke():
                pass  # the worker has said so: `revoked`
            case SetKeys():
                # New ones make old statements bad, and the first turn open routes into gated ones.
                self._verdicts.clear()
                self._stale = None
            case ReplaceRoutes():
                self._stale = None
        await self._next_round()

    async def activity(self) -> Mapping[str, float]:
        """Part of `Engine`."""
        for generation in [self._current, *self._draining]:
            if generation is not None:
                await self._look_at(generation)
        seen = {path: self._activity[path] for path in self._activity if self._state.table.get(path) is not None}
        self._activity = seen
        worked = self._worker.activity_since(0.0)
        return {path: max(seen.get(path, 0.0), worked.get(path, 0.0)) for path in {*seen, *worked}}

    async def sessions(self) -> int:
        """Part of `Engine`."""
        return self._worker.sessions()

    async def statistics(self) -> Statistics:
        """Part of `Engine`."""
        worker = self._worker.statistics()
        parts = [worker, self._counted]
        for generation in [self._current, *self._draining]:
            if generation is not None:
                with suppress(ProxyError):
                    parts.append(await generation.statistics())
        total = merge(parts)
        # The worker's own clients are haproxy.
        total.gauges.clients -= worker.gauges.clients
        return total

    async def reload(self, config: ProxyConfig) -> None:
        """Part of `Engine`."""
        self._config = config
        self._tls.reload(None, config.tls.client)
        self._worker.reload(worker_config(config))
        self._verdicts.lifetime = _lifetime(config)
        self._is_outdated = True
        await self._next_round()

    async def stop(self) -> None:
        """Part of `Engine`."""
        for sock in self._sockets:
            sock.close()
        # Whoever watches over haproxy must not start it again.
        await self._tasks.close()
        generations = [*self._draining, *([self._current] if self._current else [])]
        deadline = time.monotonic() + self._config.drain
        for generation in generations:
            generation.process.drain()
            generation.process.hang_up()
        for generation in generations:
            if not await generation.process.wait(max(0.0, deadline - time.monotonic())):
                await generation.process.kill()
        await self._worker.stop()
        for waiter in self._waiting:
            waiter.cancel()
        self._private.remove()

    # what the worker says (`Front`)

    def allowed(self, identity: str, claims: IdentityClaims) -> None:
        """Part of `Front`."""
        self._verdicts.learn(identity=identity, claims=claims, now=time.time())
        if not self._verdicts.is_settled:
            self._wake.set()

    def revoked(self, revocation: Revocation) -> None:
        """Part of `Front`."""
        self._cut |= self._verdicts.revoke(revocation)
        self._wake.set()

    # rounds

    async def _next_round(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._wake.set()
        try:
            async with asyncio.timeout(APPLY_SECONDS):
                await waiter
        except TimeoutError as exc:
            raise Unacknowledged from exc

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ROUND_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = self._waiting, []
            try:
                await self._round()
            except ProxyError as exc:
                log.warning("haproxy.lost", reason=str(exc))
                await self._begin_again()
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)

    async def _round(self) -> None:
        """Make haproxy equal to what is known now."""
        if self._is_outdated:
            await self._replace()
        current = self._current
        if current is None or current.process.ended.done():
            raise HaproxyGone
        # No `await` before everything has been taken: what happens from now on belongs to the next round.
        self._verdicts.expire(now=time.time())
        verdicts = self._verdicts.take_changes()
        cut, self._cut = self._cut, set()
        stale, self._stale = self._stale, set()
        routes = current.routes.steps(stale, is_door_on=self._state.door)
        await self._carry_out(current, verdicts, routes, cut)
        self._servers = max(self._servers, current.routes.number)

    async def _carry_out(
        self, current: Generation, verdicts: VerdictChanges, routes: RouteSteps, cut: Iterable[str]
    ) -> None:
        # First what takes something away.
        await current.take_back(verdicts)
        await current.cut(cut)
        await current.change_routes(routes)
        for old in list(self._draining):
            # It knows no routes and no verdicts any more, but something may be open.
            with suppress(ProxyError):
                await old.cut(cut)
                await old.cut_servers(routes.retired)
        await current.tell(verdicts)
        await current.forget_servers()

    # haproxys

    @property
    def _worker_socket(self) -> Path:
        return self._folder / "worker.sock"

    async def _begin(self) -> Generation:
        """A haproxy that knows all that is known, but no verdicts."""
        self._starts += 1
        settings = settings_for(
            self._config,
            folder=self._folder / str(self._starts),
            public=[sock.fileno() for sock in self._sockets],
            worker=self._worker_socket,
        )
        self._stale = set()
        try:
            generation = await Generation.begin(
                self._config.haproxy_command,
                settings,
                table=self._state.table,
                links=links_for(self._config.tls.public, settings.paths),
                is_door_on=self._state.door,
                is_passing=leaves_all(self._config.passing),
                prepends_path=self._config.passing.prepend_path,
                number=self._servers,
            )
        except BaseException:
            self._stale = None
            shutil.rmtree(settings.paths.folder, ignore_errors=True)
            raise
        self._servers = generation.routes.number
        self._verdicts.restart()
        generation.process.ended.add_done_callback(lambda _: self._wake.set())
        log.debug("haproxy.started", pid=generation.process.pid)
        return generation

    async def _begin_again(self) -> None:
        old, self._current = self._current, None
        if old is not None:
            if old.age > LASTING_SECONDS:
                self._pause = FIRST_PAUSE
            await old.process.kill()
            shutil.rmtree(old.folder, ignore_errors=True)
        self.restarts += 1
        while self._current is None:
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            try:
                self._current = await self._begin()
            except ProxyError as exc:
                log.error("haproxy.not_started", reason=str(exc))  # noqa: TRY400  # the reason says all

    async def _replace(self) -> None:
        """Start one with the new settings, and let the old one end."""
        self._is_outdated = False
        old = self._current
        try:
            self._current = await self._begin()
        except ProxyError as exc:
            log.error("haproxy.not_reloaded", reason=str(exc))  # noqa: TRY400  # the reason says all
            return
        if old is not None:
            self._draining.append(old)
            try:
                await old.retire()
            except ProxyError as exc:
                log.warning("haproxy.not_retired", reason=str(exc))
                await old.process.kill()
            self._tasks.start("drain", self._drain(old))
            if len(self._draining) > MAX_DRAINING:
                log.warning("haproxy.too_many", message="What was open longest is cut.")
                await self._draining[0].process.kill()

    async def _drain(self, old: Generation) -> None:
        try:
            while not await old.process.wait(DRAIN_POLL_SECONDS):
                await self._look_at(old)
                if await old.is_idle():
                    self._counted.add(await old.statistics())
                    self._counted.gauges = Gauges()
                    old.process.hang_up()
        except ProxyError as exc:
            log.warning("haproxy.drain_failed", reason=str(exc))
            await old.process.kill()
        # Cancelled before this, it is still one of those that `stop` ends.
        self._draining.remove(old)
        shutil.rmtree(old.folder, ignore_errors=True)

    async def _look_at(self, generation: Generation) -> None:
        with suppress(ProxyError):
            for path, moment in (await generation.activity(now=time.time())).items():
                self._activity[path] = max(moment, self._activity.get(path, 0.0))


def _lifetime(config: ProxyConfig) -> float:
    """Seconds for which a verdict is believed: somebody who is still there is seen before each recheck."""
    return min(VERDICT_SECONDS, config.recheck_interval)
