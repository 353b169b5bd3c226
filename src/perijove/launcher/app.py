"""
The launcher, put together: read from top to bottom it is the list of its parts.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import structlog

from perijove.kit.clock import SystemClock, SystemRandomness
from perijove.kit.process import become_subreaper
from perijove.kit.tasks import TaskGroup
from perijove.launcher import limits
from perijove.launcher.accounts import Accounts, OwnAccount, SystemAccounts
from perijove.launcher.errors import LaunchFailed
from perijove.launcher.layout import Layout
from perijove.launcher.protocol import Protocol
from perijove.launcher.reaper import Reaper
from perijove.launcher.records import Records
from perijove.launcher.servers import Servers
from perijove.launcher.starting import Starter
from perijove.launcher.surroundings import Isolation, Surroundings, why_not
from perijove.launcher.templates import Template, clean_environment
from perijove.wire.launcher import ExitReport

log = structlog.get_logger(__name__)

#: What the template imports and its children run. A name, because the programs meet only in `wire`.
SERVER_APP: Final = "perijove.singleuser.app"
#: Seconds that servers get to end by themselves with `--stop-servers`.
STOP_GRACE: Final = 10.0


Listener: TypeAlias = socket.socket


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be decided about a launcher."""

    socket: Path
    #: the hub's uid: nobody else may ask
    hub_uid: int
    #: group of the hub and the proxy
    socket_gid: int
    runtime_dir: Path
    state_dir: Path
    #: as root: refuse system users that do not begin with it
    system_user_prefix: str = ""
    #: end the servers too when the launcher is told to end
    stop_servers: bool = False
    #: a listening socket handed down by the supervisor; None: make our own at `socket`
    inherited: Listener | None = None
    app: str = SERVER_APP
    #: what to do where the kernel lets no walls be built around a server
    isolation: Isolation = "auto"
    #: directories that all servers see although they lie where other people's files are
    shared_paths: tuple[str, ...] = ()
    #: whether `sudo` and its like give nothing in a server
    no_new_privs: bool = True


async def run(settings: Settings, environment: Mapping[str, str], *, ready: Callable[[], None]) -> None:
    """
    Be the launcher until SIGTERM or SIGINT.

    Args:
        settings: all that can be decided.
        environment: of this process; a template gets next to nothing of it.
        ready: called once, when requests are answered.

    Raises:
        LaunchFailed: a directory or the socket cannot be made.
    """
    as_root = os.geteuid() == 0
    # Processes below us that lose their parent become our children: nothing of a server can hide.
    become_subreaper()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    layout = Layout(
        runtime=settings.runtime_dir,
        state=settings.state_dir,
        socket_gid=settings.socket_gid if as_root else -1,
    )
    layout.prepare()
    reaper = Reaper()
    reaper.install()
    accounts: Accounts = (
        SystemAccounts(reaper=reaper, prefix=settings.system_user_prefix) if as_root else OwnAccount(layout=layout)
    )
    surroundings = Surroundings(
        layout=layout,
        as_root=as_root,
        shared=settings.shared_paths,
        missing=_missing_walls(settings.isolation, as_root=as_root),
        no_new_privs=settings.no_new_privs,
    )
    template = Template(app=settings.app, reaper=reaper, environment=clean_environment(environment))
    watchers: list[Protocol] = []

    def tell(report: ExitReport) -> None:
        for protocol in watchers:
            protocol.tell(report)

    async with TaskGroup("launcher") as tasks:
        records = Records(layout.runtime / "servers")
        starter = Starter(
            layout=layout,
            template=template,
            records=records,
            reaper=reaper,
            clock=SystemClock(),
            randomness=SystemRandomness(),
            surroundings=surroundings,
        )
        servers = Servers(layout=layout, accounts=accounts, starter=starter, records=records, tasks=tasks, tell=tell)
        protocol = Protocol(
            servers=servers, describe=lambda: describe(surroundings), hub_uid=settings.hub_uid, tasks=tasks
        )
        watchers.append(protocol)
        servers.adopt()
        tasks.start("template", template.keep())
        tasks.start("logs", servers.keep_logs_short())
        async with _listening(settings, protocol):
            # Below a supervisor this is its business, and it says so in its own words.
            say = log.info if settings.inherited is None else log.debug
            say("launcher.ready", socket=str(settings.socket), **describe(surroundings)["isolation"])
            ready()
            await stopping.wait()
            say("launcher.stopping", servers=len(servers.running()), stop_servers=settings.stop_servers)
        if settings.stop_servers:
            await servers.stop_all(STOP_GRACE)


def describe(surroundings: Surroundings) -> dict[str, Any]:
    """What is isolated here and what is not: the `hello` answer, and a line of the log."""
    as_root, has_walls = surroundings.as_root, not surroundings.missing
    warnings = ["memory and CPU limits cannot be enforced: this launcher drives no control groups"]
    if not has_walls and as_root:
        warnings.append(
            "servers see the names of each other's processes and share /tmp; files are kept apart by their owners "
            f"({surroundings.missing})"
        )
    elif not has_walls:
        warnings.append(
            "not root, and no namespaces: all servers run as one uid, and their users can read and change each "
            f"other's files and end each other's processes ({surroundings.missing})"
        )
    return {
        "isolation": {
            "own_uid": as_root,
            "no_new_privs": surroundings.no_new_privs,
            "mount_namespace": has_walls,
            "pid_namespace": has_walls and not as_root,
            "cgroup": False,
        },
        "limits": list(limits.enforceable(as_root=as_root)),
        "warnings": warnings,
    }


def _missing_walls(isolation: Isolation, *, as_root: bool) -> str:
    """
    Why there are no walls; empty: there are.

    Raises:
        LaunchFailed: there must be.
    """
    if isolation == "off":
        return "switched off by the configuration"
    missing = why_not(as_root=as_root)
    if missing and isolation == "require":
        raise LaunchFailed(f"isolation is required, and this machine lets no namespaces be made: {missing}")
    return missing


@contextlib.asynccontextmanager
async def _listening(settings: Settings, protocol: Protocol) -> AsyncIterator[None]:
    listening = _socket(settings)
    # Not start_unix_server: from Python 3.13 on it would remove the path on close, and with an inherited
    # socket that path must outlive us.
    server = await asyncio.start_server(protocol.serve, sock=listening)
    try:
        yield
    finally:
        server.close()


def _socket(settings: Settings) -> Listener:
    if settings.inherited is not None:
        return settings.inherited
    listening = socket.socket(socket.AF_UNIX)
    try:
        settings.socket.parent.mkdir(parents=True, exist_ok=True)
        _refuse_if_served(settings.socket)
        settings.socket.unlink(missing_ok=True)
        listening.bind(str(settings.socket))
        settings.socket.chmod(0o660)
        if os.geteuid() == 0:
            os.chown(settings.socket, -1, settings.socket_gid)
        listening.listen()
    except OSError as exc:
        listening.close()
        raise LaunchFailed(f"cannot listen on {settings.socket}: {exc.strerror or exc}") from exc
    return listening


def _refuse_if_served(path: Path) -> None:
    """Two launchers over one directory would both adopt the same servers."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise LaunchFailed(f"another launcher listens on {path}")
