"""
The data plane of one process: everything between a listening socket and the servers behind the proxy.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Sequence
from typing import Final

import structlog

from perijove.kit.clock import SystemClock
from perijove.kit.tasks import TaskGroup
from perijove.proxy.config import ProxyConfig
from perijove.proxy.core.access_log import lines_of
from perijove.proxy.core.changes import Change, Revoke, SetKeys
from perijove.proxy.core.limits import Limits
from perijove.proxy.core.outages import Outages
from perijove.proxy.core.routes import Entry
from perijove.proxy.core.state import State
from perijove.proxy.core.statistics import Statistics
from perijove.proxy.core.targets import Target
from perijove.proxy.net.access_log import AccessLog
from perijove.proxy.net.accounts import Accounts
from perijove.proxy.net.connections import Connections, Handshakes
from perijove.proxy.net.door import Door, Front
from perijove.proxy.net.frontend import Frontend
from perijove.proxy.net.handshakes import TlsListener
from perijove.proxy.net.hub import HubClient, HubDoor
from perijove.proxy.net.pages import ErrorPages
from perijove.proxy.net.pool import UpstreamPool
from perijove.proxy.net.sweep import CoarseTime, sweep_forever
from perijove.proxy.net.tls import CertificateStore, TrafficTls

log = structlog.get_logger(__name__)

_DRAIN_POLL_SECONDS: Final = 0.05


class Worker:
    """Serves by a state of its own, which changes only through `apply`."""

    def __init__(self, config: ProxyConfig, state: State, tls: TrafficTls, *, front: Front | None = None) -> None:
        """
        Args:
            config: the settings.
            state: what to serve by; nobody else may change it from now on.
            tls: what browsers are shown and servers are spoken with; whoever made it reloads it.
            front: who passes on requests of clients and lets in by verdicts made here; None: clients come themselves.
        """
        self._config = config
        self._state = state
        self._time = CoarseTime()
        self._tasks = TaskGroup("worker")
        self.tls = tls
        limits = _settled(config)
        self._statistics = Statistics()
        self._access_log = _access_log(config, self._statistics)
        self._accounts = Accounts(statistics=self._statistics, access_log=self._access_log)
        self._accounts.trusted = config.passing.trusted_forwarders
        self._outages = Outages()
        self._pool = UpstreamPool(
            monotonic=self._time.now,
            connect_timeout=config.timeouts.connect,
            limits=limits,
            statistics=self._statistics,
            tls=tls.outgoing,
            outages=self._outages,
        )
        self._connections = Connections(limits=limits, statistics=self._statistics)
        self._door = Door(
            hub=HubDoor(ask=self._asking(config.hubs), auth_token=config.auth_token) if config.hubs else None,
            clock=SystemClock(),
            seconds=time.time,
            tasks=self._tasks,
            enter_path=config.enter_path,
            recheck_interval=config.recheck_interval,
            revocations=state.revocations,
            on_revoked=self._connections.revoke,
            open_visits=self._connections.visits,
            front=front,
            # Routes with hosts are there to keep apart who is behind them.
            keeps_sites_apart=config.passing.host_routing,
        )
        self._door.set_keys(state.jwks)
        self._door.is_on = self._door.is_on or state.door
        self._pages = ErrorPages(
            ask=self._asking(config.error_targets) if config.error_targets else None, files=config.error_pages
        )
        self._frontend = Frontend(
            table=state.table,
            door=self._door,
            pool=self._pool,
            pages=self._pages,
            tasks=self._tasks,
            timeouts=config.timeouts,
            passing=config.passing,
            connections=self._connections,
            accounts=self._accounts,
            statistics=self._statistics,
            limits=limits,
            now=self._time.now,
            scheme=b"http" if tls.certificates is None else b"https",
        )
        self._handshakes = Handshakes(connections=self._connections, address_of=self._frontend.address_of)
        self._servers: list[asyncio.Server | TlsListener] = []

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Serve connections to *sockets*, which listen."""
        loop = asyncio.get_running_loop()
        self._tasks.start("sweep", sweep_forever(self._time, self._sweep))
        self._tasks.start("recheck", self._door.recheck_forever())
        for sock in sockets:
            if self.tls.certificates is None:
                self._servers.append(await loop.create_server(self._frontend, sock=sock))
            else:
                self._servers.append(self._serve_tls(sock, self.tls.certificates))

    def apply(self, change: Change) -> None:
        """Serve with *change* from now on."""
        match change:
            case Revoke(revocation=revocation):
                self._door.revoke(revocation)
            case SetKeys(jwks=jwks):
                self._state.apply(change, now=None)
                self._door.set_keys(jwks)
            case _:
                self._retire(self._state.apply(change, now=None))

    def reload(self, config: ProxyConfig) -> None:
        """Serve with these settings from now on."""
        self._config = config
        self._frontend.timeouts = config.timeouts
        self._accounts.trusted = config.passing.trusted_forwarders
        limits = _settled(config)
        self._state.table.limit = limits.routes
        self._frontend.allow(limits, config.passing)
        self._pages.files = config.error_pages
        self._connections.limits = self._pool.limits = limits
        if self._access_log is not None:
            # Whoever moves logs away tells by the same signal.
            self._access_log.reopen()
        for server in self._servers:
            if isinstance(server, TlsListener):
                server.set_timeouts(handshake=config.timeouts.head, shutdown=config.timeouts.flush)

    def activity_since(self, moment: float) -> dict[str, float]:
        """Routes used after *moment*, in seconds since the epoch, and when."""
        return self._state.activity_since(moment)

    def sessions(self) -> int:
        """How many good statements are remembered."""
        return self._door.gate.sessions()

    def statistics(self) -> Statistics:
        """What has been counted so far, and how things are."""
        self._connections.gauge(self._statistics.gauges)
        self._pool.gauge(self._statistics.gauges)
        return self._statistics

    async def stop(self) -> None:
        """Accept nothing more, let requests in flight end, close."""
        for server in self._servers:
            server.close()
        self._frontend.is_draining = True
        self._connections.close_idle()
        deadline = asyncio.get_running_loop().time() + self._config.drain
        while self._connections.busy and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110  # rare
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        self._connections.close()
        self._pool.close()
        await self._tasks.close()
        if self._access_log is not None:
            self._access_log.close()

    def _asking(self, targets: Sequence[Target]) -> HubClient:
        return HubClient(
            targets=targets,
            timeout=self._config.timeouts.hub,
            tls=self.tls.outgoing,
            outages=self._outages,
            monotonic=self._time.now,
        )

    def _serve_tls(self, sock: socket.socket, certificates: CertificateStore) -> TlsListener:
        return TlsListener(
            sock=sock,
            serve=self._frontend,
            certificates=certificates,
            admission=self._handshakes,
            tasks=self._tasks,
            handshake_timeout=self._config.timeouts.head,
            shutdown_timeout=self._config.timeouts.flush,
        )

    def _sweep(self) -> None:
        self._connections.check(self._time.now())
        self._pool.sweep()
        if self._access_log is not None:
            self._access_log.flush()

    def _retire(self, entries: list[Entry]) -> None:
        for entry in entries:
            # The next server at that address may be another user's.
            for target in entry.targets:
                self._pool.drop(target.key)
        self._connections.retire(entries)


def _settled(config: ProxyConfig) -> Limits:
    return config.limits.settle(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _access_log(config: ProxyConfig, statistics: Statistics) -> AccessLog | None:
    if not config.access_log:
        return None
    return AccessLog(path=config.access_log, lines=lines_of(config.access_log_format), statistics=statistics)
