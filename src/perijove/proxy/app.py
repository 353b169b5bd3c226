"""
The parts list of a proxy, and its life: listen, serve, drain.

The process that is started keeps what is known and answers the control API; the traffic is an `Engine`'s.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import signal
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from perijove.kit.clock import SystemClock, SystemRandomness
from perijove.kit.process import may_share_ports
from perijove.kit.tasks import TaskGroup
from perijove.proxy.acme.keeper import Keeper, OwnProcess
from perijove.proxy.acme.storage import challenges_in
from perijove.proxy.backend import Backend, restore
from perijove.proxy.config import ProxyConfig, reloaded
from perijove.proxy.control.api import ControlApi
from perijove.proxy.control.server import STREAM_LIMIT, ControlServer
from perijove.proxy.core.changes import PutRoute, SetKeys
from perijove.proxy.core.errors import BadControlCall, ProxyError
from perijove.proxy.core.redirects import HTTPS_PORT
from perijove.proxy.core.state import State
from perijove.proxy.core.statistics import Scrape, Statistics
from perijove.proxy.engine import Engine
from perijove.proxy.local import LocalEngine
from perijove.proxy.net.door import read_keys
from perijove.proxy.net.handshakes import TlsListener
from perijove.proxy.net.listen import bind_tcp, bind_unix, describe, raise_descriptor_limit
from perijove.proxy.net.redirect import MAX_OPEN, Redirects
from perijove.proxy.net.redirect import STREAM_LIMIT as REDIRECT_STREAM_LIMIT
from perijove.proxy.net.single import SingleRequestServer
from perijove.proxy.net.tls import CertificateStore, TrafficTls, readable_by_others
from perijove.proxy.workers import WorkersEngine
from perijove.wire.routes import ACCESS, FALLBACKS, TARGET
from perijove.wire.supervision import CONTROL, PUBLIC, REDIRECT

log = structlog.get_logger(__name__)

#: Who may connect to the public unix socket: a web server in front runs as another user.
_PUBLIC_SOCKET_MODE: Final = 0o666
_CONTROL_SOCKET_MODE: Final = 0o600
#: Who scrapes runs as another user, of our group.
_METRICS_SOCKET_MODE: Final = 0o660


class UnreadableKeys(ProxyError):
    """The file with the door's public keys cannot be read."""


class Proxy:
    """One proxy: everything it is made of, in the order in which it is needed."""

    def __init__(self, config: ProxyConfig) -> None:
        """
        Load what is known and bind the sockets, which takes no loop.

        Raises:
            ProxyError: it cannot; nothing listens.
        """
        self._config = config
        self._clock = SystemClock()
        self._tasks = TaskGroup("proxy")
        self._state = State(host_routing=config.passing.host_routing)
        self._state.table.limit = config.limits.routes
        self._load()
        self._public, self._control_sockets = _public_sockets(config), _control_sockets(config)
        self._redirects = _redirect_sockets(config)
        self._tls = TrafficTls(config.tls.public, config.tls.client)
        self._api_certificates = CertificateStore(config.tls.api) if config.tls.api else None
        self._engine = self._make_engine()
        self._backend = Backend(
            state=self._state,
            engine=self._engine,
            clock=self._clock,
            tasks=self._tasks,
            snapshot=config.snapshot,
            instance=SystemRandomness().hex(8),
        )
        self._api = ControlApi(backend=self._backend, auth_token=config.auth_token)
        self._control = ControlServer(api=self._api)
        self._metrics_sockets = _metrics_sockets(config)
        self._singles: list[SingleRequestServer] = []
        self._keeper = self._make_keeper()
        self._servers: list[asyncio.Server | TlsListener] = []

    async def start(self) -> None:
        """
        Serve.

        Raises:
            ProxyError: it cannot.
        """
        config = self._config
        await self._engine.start()
        for sock in self._control_sockets:
            self._servers.append(await self._serve_control(sock))
        if self._redirects:
            redirect = SingleRequestServer(
                answer=self._make_redirects().answer, patience=config.timeouts.head, most=MAX_OPEN
            )
            await self._serve_singly(redirect, self._redirects, limit=REDIRECT_STREAM_LIMIT)
        if self._keeper is not None:
            self._tasks.start("acme", self._keeper.run())
        if self._metrics_sockets:
            # Costs a few megabytes, which only those pay who scrape; and after the workers have been made.
            from perijove.proxy import metrics  # noqa: PLC0415

            scrapers = SingleRequestServer(
                answer=partial(metrics.answer, scrape=self.scrape),
                patience=metrics.SCRAPE_SECONDS,
                most=metrics.MAX_SCRAPERS,
            )
            await self._serve_singly(scrapers, self._metrics_sockets, limit=metrics.MAX_REQUEST)

    def announce(self) -> None:
        """Say in the log where it listens, and what an administrator should know."""
        config = self._config
        public = _described(self._public, is_https=config.tls.public is not None)
        control = _described(self._control_sockets, is_https=config.tls.api is not None)
        self._say(
            "proxy.listening", public=public, control=control, workers=config.workers, routes=len(self._state.table)
        )
        for files in config.tls.public.certificates if config.tls.public else ():
            if readable_by_others(files):
                log.warning("proxy.key_is_open", key=str(files.key), message="Every user of this machine can read it.")
        if not self._state.door:
            log.warning("proxy.no_door", message="No hub and no keys are known: every route is open.")
        if not config.auth_token:
            log.warning("proxy.open_control", message="No token is set: everybody who can connect can add routes.")

    async def reload(self, read: Callable[[], ProxyConfig]) -> None:
        """Take over what may change at run time of the settings that *read* answers; say what may not."""
        try:
            config, left = reloaded(self._config, read())
        except ProxyError as exc:
            log.error("proxy.reload_failed", reason=str(exc))  # noqa: TRY400  # an operator's mistake, no defect
            return
        self._state.table.limit = config.limits.routes
        self._config = config
        await self._take_over()
        log.info("proxy.reloaded")
        if left:
            log.warning("proxy.needs_restart", settings=left)
        if self._keeper is not None:
            self._keeper.look_now()

    async def _take_over(self) -> None:
        """Serve with the settings and certificates as they are now."""
        tls = self._config.tls
        self._tls.reload(tls.public, tls.client)
        if self._api_certificates is not None and tls.api is not None:
            self._api_certificates.reload(tls.api)
        await self._engine.reload(self._config)

    async def statistics(self) -> Statistics:
        """What has been counted so far."""
        return await self._engine.statistics()

    async def scrape(self) -> Scrape:
        """Everything that the metrics server tells."""
        return Scrape(
            statistics=await self.statistics(),
            routes=len(self._state.table),
            door=self._state.door,
            workers=max(1, self._config.workers),
            restarts=self._engine.restarts,
            api_calls=self._api.calls,
            api_statuses=self._api.statuses,
        )

    async def stop(self) -> None:
        """Accept nothing more, let requests in flight end, close."""
        self._say("proxy.stopping")
        for server in self._servers:
            server.close()
        await self._engine.stop()
        self._control.close()
        for single in self._singles:
            single.close()
        await self._tasks.close()
        self._backend.save()
        self._say("proxy.stopped")

    def _say(self, event: str, **values: Any) -> None:
        # Below a supervisor this is its business, and it says so in its own words.
        (log.debug if self._config.inherited else log.info)(event, **values)

    def _make_engine(self) -> Engine:
        config = self._config
        if config.engine == "haproxy":
            # Few use it, and all would wait for it to be loaded.
            from perijove.proxy.haproxy.engine import HaproxyEngine  # noqa: PLC0415

            return HaproxyEngine(config, self._state, self._public)
        if config.workers == 0:
            return LocalEngine(config, self._state, self._public, tls=self._tls)
        return WorkersEngine(config, self._state, self._public, tls=self._tls, tasks=self._tasks)

    def _make_redirects(self) -> Redirects:
        tls = self._config.tls
        return Redirects(
            port=_port_of(self._public) if tls.redirect_to is None else tls.redirect_to,
            challenges=challenges_in(tls.acme.folder) if tls.acme else None,
            has_certificate=lambda: self._tls.certificates is not None and self._tls.certificates.has_certificate,
        )

    def _make_keeper(self) -> Keeper | None:
        acme = self._config.tls.acme
        if acme is None:
            return None
        return Keeper(
            settings=acme,
            clock=self._clock,
            luck=random.random,
            obtain=OwnProcess(acme, os.environ),
            install=self._take_over,
        )

    async def _serve_singly(self, server: SingleRequestServer, sockets: Sequence[socket.socket], *, limit: int) -> None:
        self._singles.append(server)
        for sock in sockets:
            self._servers.append(await asyncio.start_server(server.handle, sock=sock, limit=limit))

    async def _serve_control(self, sock: socket.socket) -> asyncio.Server | TlsListener:
        if self._api_certificates is None:
            return await asyncio.start_server(self._control.handle, sock=sock, limit=STREAM_LIMIT)
        return TlsListener(
            sock=sock,
            serve=self._control.protocol,
            certificates=self._api_certificates,
            admission=self._control,
            tasks=self._tasks,
            handshake_timeout=self._config.timeouts.head,
            shutdown_timeout=self._config.timeouts.linger,
        )

    def _load(self) -> None:
        config, now = self._config, self._clock.now().timestamp()
        self._state.door = bool(config.hubs)
        if config.snapshot is not None:
            restore(self._state, config.snapshot, now=now)
        if config.keys_file is not None:
            self._state.apply(SetKeys(_read_keys(config.keys_file)), now=now)
        if config.default_targets:
            target, *fallbacks = config.default_targets
            default = {TARGET: target, ACCESS: "open"} | ({FALLBACKS: fallbacks} if fallbacks else {})
            self._state.apply(PutRoute("/", default), now=now)


def serve(config: ProxyConfig, read: Callable[[], ProxyConfig], *, ready: Callable[[], None]) -> int:
    """
    Run a proxy until SIGTERM or SIGINT; answers the exit code.

    Args:
        config: the settings.
        read: reads them again, on SIGHUP.
        ready: called when it serves, and takes SIGHUP.

    Raises:
        ProxyError: it cannot start.
    """
    raise_descriptor_limit()
    proxy = Proxy(config)
    # What has been imported lives as long as the processes: the collector need not look at it again, and what
    # it does not touch stays shared between them.
    gc.collect()
    gc.freeze()
    # A large table is no garbage; by default it would be looked at again and again while it is being read.
    gc.set_threshold(50_000, 20, 20)
    return asyncio.run(_run(proxy, config, read, ready))


async def _run(proxy: Proxy, config: ProxyConfig, read: Callable[[], ProxyConfig], ready: Callable[[], None]) -> int:
    stop, again = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    await proxy.start()
    if config.pid_file is not None:
        config.pid_file.write_text(f"{os.getpid()}\n")
    proxy.announce()
    ready()
    async with TaskGroup("signals") as tasks:
        tasks.start("reload", _reload_forever(proxy, again, read))
        await stop.wait()
    await proxy.stop()
    if config.pid_file is not None:
        config.pid_file.unlink(missing_ok=True)
    return 0


async def _reload_forever(proxy: Proxy, again: asyncio.Event, read: Callable[[], ProxyConfig]) -> None:
    while True:
        await again.wait()
        again.clear()
        await proxy.reload(read)


def _described(sockets: Sequence[socket.socket], *, is_https: bool) -> list[str]:
    """Each address once."""
    scheme = "https" if is_https else "http"
    return list(dict.fromkeys(describe(sock, scheme=scheme) for sock in sockets))


def _port_of(sockets: Sequence[socket.socket]) -> int:
    """The port that browsers use if nobody says otherwise."""
    names = [sock.getsockname() for sock in sockets]
    return next((int(name[1]) for name in names if isinstance(name, tuple)), HTTPS_PORT)


def _public_sockets(config: ProxyConfig) -> list[socket.socket]:
    handed_down = [sock for name, sock in config.inherited.items() if name.partition("-")[0] == PUBLIC]
    if handed_down:
        return handed_down
    if config.public_socket is not None:
        return [bind_unix(config.public_socket, mode=_PUBLIC_SOCKET_MODE)]
    copies = max(1, config.workers) if may_share_ports() else 1
    return bind_tcp(config.ip, config.port, copies=copies)


def _redirect_sockets(config: ProxyConfig) -> list[socket.socket]:
    if REDIRECT in config.inherited:
        return [config.inherited[REDIRECT]]
    if config.tls.redirect_port is None:
        return []
    return bind_tcp(config.ip, config.tls.redirect_port)


def _control_sockets(config: ProxyConfig) -> list[socket.socket]:
    if CONTROL in config.inherited:
        return [config.inherited[CONTROL]]
    if config.api_socket is not None:
        return [bind_unix(config.api_socket, mode=_CONTROL_SOCKET_MODE)]
    return bind_tcp(config.api_ip, config.api_port)


def _metrics_sockets(config: ProxyConfig) -> list[socket.socket]:
    if config.metrics_socket is not None:
        return [bind_unix(config.metrics_socket, mode=_METRICS_SOCKET_MODE)]
    if config.metrics_port is not None:
        return bind_tcp(config.metrics_ip, config.metrics_port)
    return []


def _read_keys(path: Path) -> list[dict[str, object]]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise UnreadableKeys(f"{path}: {exc}") from exc
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise BadControlCall(f"{path}: must hold an object with a list 'keys'")
    read_keys(keys)
    return keys
