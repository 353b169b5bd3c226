"""
The parts list of one proxy process, and its life: listen, serve, drain.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog

from perijove.kit.clock import SystemClock, SystemRandomness
from perijove.kit.tasks import TaskGroup
from perijove.proxy.acme.keeper import Keeper, OwnProcess
from perijove.proxy.acme.storage import challenges_in
from perijove.proxy.backend import Backend
from perijove.proxy.config import ProxyConfig
from perijove.proxy.control.api import ControlApi
from perijove.proxy.control.server import STREAM_LIMIT, ControlServer
from perijove.proxy.core.errors import BadControlCall, ProxyError
from perijove.proxy.core.routes import Entry, RouteTable
from perijove.proxy.net.connections import Connections
from perijove.proxy.net.door import Door
from perijove.proxy.net.frontend import Frontend
from perijove.proxy.net.handshakes import TlsListener
from perijove.proxy.net.hub import HubDoor
from perijove.proxy.net.listen import bind_tcp, bind_unix, describe, max_clients
from perijove.proxy.net.pages import ErrorPages
from perijove.proxy.net.pool import UpstreamPool
from perijove.proxy.net.redirect import STREAM_LIMIT as REDIRECT_STREAM_LIMIT
from perijove.proxy.net.redirect import RedirectServer
from perijove.proxy.net.sweep import CoarseTime, sweep_forever
from perijove.proxy.net.tls import CertificateStore, OutgoingTls, readable_by_others

try:
    import uvloop

    _new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:  # a fifth slower, otherwise the same
    _new_loop = asyncio.new_event_loop

log = structlog.get_logger(__name__)

#: Who may connect to the public unix socket: a web server in front runs as another user.
_PUBLIC_SOCKET_MODE: Final = 0o666
_CONTROL_SOCKET_MODE: Final = 0o600
_DRAIN_POLL_SECONDS: Final = 0.05


class UnreadableKeys(ProxyError):
    """The file with the door's public keys cannot be read."""


class Proxy:
    """One proxy: everything it is made of, in the order in which it is needed."""

    def __init__(self, config: ProxyConfig) -> None:
        self._config = config
        self._clock = SystemClock()
        self._time = CoarseTime()
        self._tasks = TaskGroup("proxy")
        self._table = RouteTable(host_routing=config.passing.host_routing)
        self._certificates = CertificateStore(config.tls.public) if config.tls.public else None
        self._outgoing_tls = OutgoingTls(config.tls.client)
        self._pool = UpstreamPool(
            monotonic=self._time.now, connect_timeout=config.timeouts.connect, tls=self._outgoing_tls
        )
        self._connections = Connections(limit=max_clients(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
        self._door = Door(
            hub=_hub_door(config, self._outgoing_tls),
            clock=self._clock,
            tasks=self._tasks,
            enter_path=config.enter_path,
            recheck_interval=config.recheck_interval,
            on_revoked=self._connections.revoke,
            open_visits=self._connections.visits,
        )
        self._frontend = Frontend(
            table=self._table,
            door=self._door,
            pool=self._pool,
            pages=ErrorPages(target=config.error_target, timeout=config.timeouts.hub, tls=self._outgoing_tls),
            tasks=self._tasks,
            timeouts=config.timeouts,
            passing=config.passing,
            connections=self._connections,
            now=self._time.now,
        )
        self._backend = Backend(
            table=self._table,
            door=self._door,
            retire=self._retire,
            clock=self._clock,
            tasks=self._tasks,
            snapshot=config.snapshot,
            instance=SystemRandomness().hex(8),
        )
        self._control = ControlServer(
            api=ControlApi(backend=self._backend, auth_token=config.auth_token),
        )
        self._control_certificates = CertificateStore(config.tls.api) if config.tls.api else None
        self._redirect = redirect_server(config, self._certificates)
        self._keeper = self._make_keeper(config)
        self._servers: list[asyncio.Server | TlsListener] = []
        self._addresses: tuple[list[str], list[str]] = [], []

    async def start(self) -> None:
        """
        Load what is known and listen.

        Raises:
            ProxyError: it cannot; nothing listens.
        """
        self._load()
        public, control = self._public_sockets(), self._control_sockets()
        loop = asyncio.get_running_loop()
        self._tasks.start("sweep", sweep_forever(self._time, self._sweep))
        self._tasks.start("recheck", self._door.recheck_forever())
        if self._keeper is not None:
            self._tasks.start("acme", self._keeper.run())
        for sock in control:
            self._servers.append(await self._serve_control(sock))
        for sock in public:
            if self._certificates is None:
                self._servers.append(await loop.create_server(self._frontend, sock=sock))
            else:
                self._servers.append(self._serve_tls(sock, self._certificates))
        for sock in self._redirect_sockets():
            self._servers.append(
                await asyncio.start_server(self._redirect.handle, sock=sock, limit=REDIRECT_STREAM_LIMIT)
            )
        schemes = ["http" if tls is None else "https" for tls in (self._config.tls.public, self._config.tls.api)]
        self._addresses = (
            [describe(sock, scheme=schemes[0]) for sock in public],
            [describe(sock, scheme=schemes[1]) for sock in control],
        )

    def announce(self) -> None:
        """Say in the log where it listens, and what an administrator should know."""
        config = self._config
        public, control = self._addresses
        self._say("proxy.listening", public=public, control=control, routes=len(self._table))
        if not self._door.is_on:
            log.warning("proxy.no_door", message="No hub and no keys are known: every route is open.")
        for files in config.tls.public.certificates if config.tls.public else ():
            if readable_by_others(files):
                log.warning("proxy.key_is_open", key=str(files.key), message="Every user of this machine can read it.")
        if not config.auth_token:
            log.warning("proxy.open_control", message="No token is set: everybody who can connect can add routes.")

    async def stop(self) -> None:
        """Accept nothing more, let requests in flight end, close."""
        self._say("proxy.stopping")
        for server in self._servers:
            server.close()
        self._frontend.is_draining = True
        self._connections.close_idle()
        deadline = asyncio.get_running_loop().time() + self._config.drain
        while self._connections.busy and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110  # rare
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        self._connections.close()
        self._pool.close()
        self._control.close()
        self._redirect.close()
        await self._tasks.close()
        self._backend.save()
        self._say("proxy.stopped")

    def _say(self, event: str, **values: Any) -> None:
        # Below a supervisor this is its business, and it says so in its own words.
        (log.debug if self._config.inherited else log.info)(event, **values)

    def reload(self) -> None:
        """Read certificates again: new handshakes get the new ones, open connections live on."""
        self._reload_files()
        if self._keeper is not None:
            self._keeper.look_now()

    def _reload_files(self) -> None:
        stores = [self._certificates, self._control_certificates, self._outgoing_tls]
        were_good = [store.reload() for store in stores if store is not None]
        if all(were_good):
            log.info("proxy.reloaded")

    def _make_keeper(self, config: ProxyConfig) -> Keeper | None:
        if config.tls.acme is None:
            return None
        return Keeper(
            settings=config.tls.acme,
            clock=self._clock,
            luck=random.random,
            obtain=OwnProcess(config.tls.acme, os.environ),
            install=self._install,
        )

    async def _install(self) -> None:
        self._reload_files()

    def _serve_tls(self, sock: socket.socket, certificates: CertificateStore) -> TlsListener:
        return TlsListener(
            sock=sock,
            serve=self._frontend,
            certificates=certificates,
            admission=self._connections,
            tasks=self._tasks,
            handshake_timeout=self._config.timeouts.head,
            shutdown_timeout=self._config.timeouts.flush,
        )

    async def _serve_control(self, sock: socket.socket) -> asyncio.Server | TlsListener:
        if self._control_certificates is None:
            return await asyncio.start_server(self._control.handle, sock=sock, limit=STREAM_LIMIT)
        return TlsListener(
            sock=sock,
            serve=self._control.protocol,
            certificates=self._control_certificates,
            admission=self._control,
            tasks=self._tasks,
            handshake_timeout=self._config.timeouts.head,
            shutdown_timeout=self._config.timeouts.linger,
        )

    def _sweep(self) -> None:
        self._connections.check(self._time.now())
        self._pool.sweep()

    def _retire(self, entries: list[Entry]) -> None:
        for entry in entries:
            # The next server at that address may be another user's.
            self._pool.drop(entry.target.key)
        self._connections.retire(entries)

    def _load(self) -> None:
        config = self._config
        self._backend.restore()
        if config.keys_file is not None:
            self._door.set_keys(_read_keys(config.keys_file))
        if config.default_target:
            self._backend.put_route("/", {"target": config.default_target, "access": "open"})

    def _public_sockets(self) -> list[socket.socket]:
        config = self._config
        if "public" in config.inherited:
            return [config.inherited["public"]]
        if config.public_socket is not None:
            return [bind_unix(config.public_socket, mode=_PUBLIC_SOCKET_MODE)]
        return bind_tcp(config.ip, config.port)

    def _redirect_sockets(self) -> list[socket.socket]:
        config = self._config
        if "redirect" in config.inherited:
            return [config.inherited["redirect"]]
        if config.tls.redirect_port is None:
            return []
        return bind_tcp(config.ip, config.tls.redirect_port)

    def _control_sockets(self) -> list[socket.socket]:
        config = self._config
        if "control" in config.inherited:
            return [config.inherited["control"]]
        if config.api_socket is not None:
            return [bind_unix(config.api_socket, mode=_CONTROL_SOCKET_MODE)]
        return bind_tcp(config.api_ip, config.api_port)


def serve(config: ProxyConfig) -> int:
    """
    `run` on a loop of its own.

    Raises:
        ProxyError: it cannot start.
    """
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(run(config))


async def run(config: ProxyConfig) -> int:
    """
    Run a proxy until SIGTERM or SIGINT; answers the exit code.

    Raises:
        ProxyError: it cannot start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    proxy = Proxy(config)
    await proxy.start()
    if config.pid_file is not None:
        config.pid_file.write_text(f"{os.getpid()}\n")
    loop.add_signal_handler(signal.SIGHUP, proxy.reload)
    proxy.announce()
    # What has been imported lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    await stop.wait()
    await proxy.stop()
    if config.pid_file is not None:
        config.pid_file.unlink(missing_ok=True)
    return 0


def _hub_door(config: ProxyConfig, tls: OutgoingTls) -> HubDoor | None:
    if config.hub is None:
        return None
    return HubDoor(target=config.hub, auth_token=config.auth_token, timeout=config.timeouts.hub, tls=tls)


def redirect_server(config: ProxyConfig, certificates: CertificateStore | None) -> RedirectServer:
    """The server of the port for plain HTTP, whether or not there is one."""
    tls = config.tls
    return RedirectServer(
        port=config.port if tls.redirect_to is None else tls.redirect_to,
        patience=config.timeouts.head,
        challenges=challenges_in(tls.acme.folder) if tls.acme else None,
        has_certificate=lambda: certificates is not None and certificates.has_certificate,
    )


def _read_keys(path: Path) -> list[dict[str, object]]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise UnreadableKeys(f"{path}: {exc}") from exc
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise BadControlCall(f"{path}: must hold an object with a list 'keys'")
    return keys
