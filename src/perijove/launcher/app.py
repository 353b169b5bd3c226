"""
The launcher, put together: read from top to bottom it is the list of its parts.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import structlog

from perijove.kit.clock import SystemClock, SystemRandomness
from perijove.kit.process import become_subreaper
from perijove.kit.tasks import TaskGroup
from perijove.launcher import limits
from perijove.launcher.accounts import Accounts, OwnAccount, SystemAccounts
from perijove.launcher.capacity import Capacity
from perijove.launcher.cgroups import find
from perijove.launcher.errors import LaunchFailed
from perijove.launcher.kernels import Kernels
from perijove.launcher.kernels_protocol import KernelProtocol
from perijove.launcher.layout import Layout
from perijove.launcher.names import deployment_name
from perijove.launcher.protocol import Protocol
from perijove.launcher.reaper import Reaper
from perijove.launcher.records import Records
from perijove.launcher.servers import Servers
from perijove.launcher.starting import Starter
from perijove.launcher.surroundings import Isolation, Surroundings, why_not
from perijove.launcher.sweeping import sweep
from perijove.launcher.template_kinds import TemplateKinds, raise_limit_of_files
from perijove.launcher.templates import RECYCLE_AFTER, Template
from perijove.wire.launcher import ExitReport

log = structlog.get_logger(__name__)

#: What the template imports and its children run. A name, because the programs meet only in `wire`.
SERVER_APP: Final = "perijove.singleuser.app"
#: The same for kernels.
KERNEL_APP: Final = "perijove.singleuser.kernels.app"
#: Seconds that servers get to end by themselves with `--stop-servers`.
STOP_GRACE: Final = 10.0


_ONE_UID: Final = (
    "perijove runs without root: all servers are processes of one system user, and namespaces of the kernel keep "
    "people from each other's files and processes."
)
_NO_WALLS: Final = (
    "perijove runs without root, and nothing keeps people apart: all servers are processes of one system user, so that "
    "they can read and change each other's files. Run it as root where people do not trust each other. ({missing})"
)
_NO_WALLS_AS_ROOT: Final = (
    "Servers see the names of each other's processes and share /tmp; files are kept apart by their owners alone. "
    "({missing})"
)


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
    #: bytes of memory that servers leave to hub, proxy and system; None: the default
    reserve_memory: int | None = None
    #: most processes and threads of all servers together; None: the default
    processes_limit: int | None = None
    #: end the servers too when the launcher is told to end
    stop_servers: bool = False
    #: a listening socket handed down by the supervisor; None: make our own at `socket`
    inherited: Listener | None = None
    app: str = SERVER_APP
    #: empty: kernels are no business of this launcher
    kernel_app: str = KERNEL_APP
    #: what the kernels' template imports besides
    preload: tuple[str, ...] = ()
    #: forks after which a template is replaced
    recycle_after: int = RECYCLE_AFTER
    #: what to do where the kernel lets no walls be built around a server
    isolation: Isolation = "auto"
    #: directories that all servers see although they lie where other people's files are
    shared_paths: tuple[str, ...] = ()
    #: whether `sudo` and its like give nothing in a server
    no_new_privs: bool = True


async def run(settings: Settings, environment: Mapping[str, str], *, ready: Callable[[Sequence[str]], None]) -> None:
    """
    Be the launcher until SIGTERM or SIGINT.

    Args:
        settings: all that can be decided.
        environment: of this process; a template gets next to nothing of it.
        ready: called once, when requests are answered, with what an administrator should know of people's privacy here.

    Raises:
        LaunchFailed: a directory or the socket cannot be made, or the reserve cannot be held here.
    """
    as_root = os.geteuid() == 0
    # Processes below us that lose their parent become our children: nothing of a server can hide.
    become_subreaper()
    stopping = _stopping()
    socket_gid = settings.socket_gid if as_root else -1
    layout = Layout(runtime=settings.runtime_dir, state=settings.state_dir, socket_gid=socket_gid)
    layout.prepare()
    capacity = make_capacity(settings, as_root=as_root)
    reaper = Reaper()
    reaper.install()
    kinds = _kinds(settings, layout, reaper, environment)
    template = kinds.of_servers(settings.app)
    surroundings = make_surroundings(settings, layout, as_root=as_root)
    watchers: list[Protocol] = []

    async with TaskGroup("launcher") as tasks:
        records = Records(layout.runtime / "servers")
        starter = Starter(
            layout=layout,
            template=template,
            records=records,
            reaper=reaper,
            clock=SystemClock(),
            randomness=SystemRandomness(),
            kernels=layout.kernel_socket() if settings.kernel_app else None,
            surroundings=surroundings,
            capacity=capacity,
        )
        servers = Servers(
            layout=layout,
            accounts=_accounts(settings, layout, reaper, as_root=as_root),
            starter=starter,
            records=records,
            capacity=capacity,
            tasks=tasks,
            tell=partial(_tell, watchers),
        )
        told = partial(describe, surroundings, capacity)
        protocol = Protocol(servers=servers, describe=told, hub_uid=settings.hub_uid, tasks=tasks)
        watchers.append(protocol)
        servers.adopt()
        await sweep(layout, capacity.groups, servers.running())
        tasks.start("template", template.keep())
        _start_kernels(settings, kinds, servers, capacity, tasks, urgent=template)
        tasks.start("logs", servers.keep_logs_short())
        async with _listening(settings, protocol):
            # Below a supervisor this is its business, and it says so in its own words.
            say = log.info if settings.inherited is None else log.debug
            isolation = describe(surroundings, capacity)["isolation"]
            say("launcher.ready", socket=str(settings.socket), **isolation, **capacity.summary())
            ready(_of_privacy(surroundings))
            await stopping.wait()
            say("launcher.stopping", servers=len(servers.running()), stop_servers=settings.stop_servers)
        if settings.stop_servers:
            await servers.stop_all(STOP_GRACE)
    capacity.groups.close()


def _stopping() -> asyncio.Event:
    """Set when this process is told to end."""
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told


def _accounts(settings: Settings, layout: Layout, reaper: Reaper, *, as_root: bool) -> Accounts:
    if as_root:
        return SystemAccounts(reaper=reaper, prefix=settings.system_user_prefix)
    return OwnAccount(layout=layout)


def _kinds(settings: Settings, layout: Layout, reaper: Reaper, environment: Mapping[str, str]) -> TemplateKinds:
    return TemplateKinds(
        layout=layout,
        reaper=reaper,
        environment=environment,
        files=raise_limit_of_files(),
        recycle_after=settings.recycle_after,
    )


def _start_kernels(
    settings: Settings, kinds: TemplateKinds, servers: Servers, capacity: Capacity, tasks: TaskGroup, urgent: Template
) -> None:
    """Keep a template of kernels, once the *urgent* one is warm, and fork it for servers that ask."""
    if not settings.kernel_app:
        return
    template = kinds.of_kernels(settings.kernel_app, settings.preload)
    kernels = Kernels(
        running=servers.records,
        template=template,
        reaper=kinds.reaper,
        groups=capacity.groups,
        note_kills=servers.note_kills,
    )
    tasks.start("kernel template", template.keep(after=urgent))
    tasks.start("kernels", KernelProtocol(kernels=kernels, tasks=tasks).serve(kinds.layout.kernel_socket()))


def _tell(watchers: list[Protocol], report: ExitReport) -> None:
    for protocol in watchers:
        protocol.tell(report)


def make_surroundings(settings: Settings, layout: Layout, *, as_root: bool) -> Surroundings:
    """
    What stands around servers here.

    Raises:
        LaunchFailed: walls are required, and there can be none.
    """
    return Surroundings(
        layout=layout,
        as_root=as_root,
        shared=settings.shared_paths,
        missing=missing_walls(settings.isolation, as_root=as_root),
        no_new_privs=settings.no_new_privs,
    )


def make_capacity(settings: Settings, *, as_root: bool) -> Capacity:
    """
    What this machine has for servers, and the group that holds them.

    Raises:
        LaunchFailed: a reserve was configured that cannot be held here.
    """
    groups = find(deployment_name(settings.runtime_dir.resolve()))
    above = groups.memory_above()
    machine = limits.measure(
        as_root=as_root, controllers=groups.controllers, memory_above=above.limit if above is not None else None
    )
    for_all = limits.together(machine, reserve=settings.reserve_memory, processes=settings.processes_limit)
    capacity = Capacity(groups=groups, machine=machine, for_all=for_all)
    capacity.hold()
    return capacity


def describe(surroundings: Surroundings, capacity: Capacity) -> dict[str, Any]:
    """What is isolated here and what is not: the `hello` answer, and a line of the log."""
    as_root, has_walls = surroundings.as_root, not surroundings.missing
    warnings = capacity.warnings(has_walls=has_walls)
    if not has_walls:
        warnings += _of_privacy(surroundings)
    return {
        "isolation": {
            "own_uid": as_root,
            "no_new_privs": surroundings.no_new_privs,
            "mount_namespace": has_walls,
            "pid_namespace": has_walls and not as_root,
            "cgroup": bool(capacity.groups.controllers),
        },
        **capacity.describe(),
        "warnings": warnings,
    }


def _of_privacy(surroundings: Surroundings) -> Sequence[str]:
    """How far people are kept apart here, where that is less than as root with everything."""
    missing = surroundings.missing
    if surroundings.as_root:
        return [_NO_WALLS_AS_ROOT.format(missing=missing)] if missing else []
    return [_NO_WALLS.format(missing=missing) if missing else _ONE_UID]


def missing_walls(isolation: Isolation, *, as_root: bool) -> str:
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
