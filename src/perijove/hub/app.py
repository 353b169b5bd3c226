"""
The hub's composition root: configuration in, a running hub out. The only place that picks implementations.

Read `compose` from top to bottom: it is the parts list. `run` is the hub's life: the database first, then the
sockets, then everything that runs beside them; and in the end, if so configured, the users' servers.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import signal
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlsplit

import structlog
import uvicorn
import uvloop
from traitlets.config import Config

from perijove import __version__
from perijove.authenticators.base import Authenticator
from perijove.authenticators.native import NativeAuthenticator
from perijove.config.settings import HubSettings
from perijove.hub.domain.attempts import AttemptLimiter
from perijove.hub.domain.errors import HubError, StoreAway
from perijove.hub.gateways.authenticator import AuthenticatorSignIn, StorePasswordBook, make_authenticator
from perijove.hub.gateways.hasher import Argon2Hasher
from perijove.hub.gateways.prober import HttpProber
from perijove.hub.gateways.proxy import HttpProxyGateway
from perijove.hub.gateways.signer import FileSigner
from perijove.hub.gateways.spawners import SpawnerGateway
from perijove.hub.store.errors import StoreUnusable
from perijove.hub.store.schema import finish_upgrade, upgrade_when_there
from perijove.hub.store.sql import SqlStore
from perijove.hub.usecases.accounts import ChangePassword, FirstAdmin, Invitations, SignUp
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.admission import Admission
from perijove.hub.usecases.door import Door
from perijove.hub.usecases.drive_servers import Driver
from perijove.hub.usecases.environment import ServerEnvironment
from perijove.hub.usecases.housekeeping import Housekeeping
from perijove.hub.usecases.identify import Identify
from perijove.hub.usecases.load_roles import RoleBook, load_roles
from perijove.hub.usecases.progress_book import ProgressBook
from perijove.hub.usecases.queue_book import QueueBook
from perijove.hub.usecases.reconcile import Reconciler
from perijove.hub.usecases.route_table import RouteTable
from perijove.hub.usecases.server_effects import ServerEffects
from perijove.hub.usecases.servers import CreateServer, GetServer, RemoveServer, StartServer, StopServer
from perijove.hub.usecases.sign_in import SessionMaker, SignIn
from perijove.hub.usecases.sign_out import Revocations, SignOut
from perijove.hub.usecases.start_breaker import StartBreaker
from perijove.hub.usecases.stop_all import StopAllServers
from perijove.hub.usecases.tokens import Tokens
from perijove.hub.usecases.users import CreateUsers, DeleteUser, GetUser, ListUsers, PatchUser
from perijove.hub.web.app import WebApplication, make_app
from perijove.hub.web.cookie_secret import load_cookie_secret
from perijove.hub.web.lab.assets import LabAssets
from perijove.hub.web.lab.tree import lab_static_dir
from perijove.hub.web.metrics import Metrics
from perijove.hub.web.parts import About, Parts
from perijove.kit.clock import SystemClock, SystemRandomness
from perijove.kit.process import inherited_sockets, notify_parent
from perijove.kit.tasks import TaskGroup
from perijove.spawners.base import Backend, Spawner
from perijove.spawners.values import BackendSettings
from perijove.wire.routes import unix_origin
from perijove.wire.supervision import (
    API,
    EXIT_UNUSABLE,
    HUB,
    LISTEN_FDS_VARIABLE,
    NOTIFY_FD_VARIABLE,
    ORPHANED_SIGNAL,
)

log = structlog.get_logger(__name__)

#: seconds that open requests get when the hub ends; longer than a page, shorter than a progress stream
_GRACE: Final = 2
#: seconds that an idle connection from the proxy is kept; the proxy's own pool lets go before that
_KEEP_ALIVE: Final = 75
_BACKLOG: Final = 2048
#: seconds that all servers together get to end when the hub is stopped in order
_STOP_ALL_TIMEOUT: Final = 45.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HubInputs:
    """What the command hands over."""

    settings: HubSettings
    authenticator: type[Authenticator]
    spawner: type[Spawner]
    #: traits of both
    config: Config
    environ: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """What runs: the parts that the web edge uses, and those that run beside it."""

    parts: Parts
    admission: Admission
    housekeeping: Housekeeping
    stop_all: StopAllServers
    revocations: Revocations
    ending: Ending


class Ending:
    """Set when the process should end; says whether the users' servers end with it."""

    def __init__(self, *, stop_servers: bool) -> None:
        self.asked = asyncio.Event()
        self.stop_servers = stop_servers

    def ask(self, stop_servers: bool | None = None, stop_proxy: bool | None = None) -> None:  # noqa: ARG002, FBT001
        """The proxy is the supervisor's to stop: it ends with the whole deployment, not with the hub."""
        if stop_servers is not None:
            self.stop_servers = stop_servers
        self.asked.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What nearly everything else stands on."""

    inputs: HubInputs
    store: SqlStore
    proxy: HttpProxyGateway
    tasks: TaskGroup
    clock: SystemClock
    randomness: SystemRandomness
    signer: FileSigner
    hasher: Argon2Hasher
    roles: RoleBook
    activity: Activity
    identify: Identify
    revocations: Revocations
    lab_assets: LabAssets | None

    @property
    def settings(self) -> HubSettings:
        """What the administrator wants."""
        return self.inputs.settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machinery:
    """What drives servers and the proxy."""

    driver: Driver
    queue: QueueBook
    breaker: StartBreaker
    admission: Admission
    stop_server: StopServer
    reconciler: Reconciler


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the hub has work to do between the signal and the end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the hub."""
        yield


def compose(
    inputs: HubInputs,
    *,
    store: SqlStore,
    backend: Backend,
    proxy: HttpProxyGateway,
    hasher: Argon2Hasher,
    tasks: TaskGroup,
) -> Hub:
    """
    The parts list.

    Raises:
        HubError: a declaration or a file of the configuration is not usable.
    """
    ground = _ground(inputs, store=store, proxy=proxy, hasher=hasher, tasks=tasks)
    machinery = _machinery(ground, backend)
    ending = Ending(stop_servers=inputs.settings.cleanup_servers)
    return Hub(
        parts=_parts(ground, machinery, ending),
        admission=machinery.admission,
        housekeeping=Housekeeping(store=store, activity=ground.activity, clock=ground.clock),
        stop_all=StopAllServers(store=store, driver=machinery.driver),
        revocations=ground.revocations,
        ending=ending,
    )


def _ground(
    inputs: HubInputs, *, store: SqlStore, proxy: HttpProxyGateway, hasher: Argon2Hasher, tasks: TaskGroup
) -> _Ground:
    settings, clock = inputs.settings, SystemClock()
    roles = load_roles(roles=settings.load_roles, services=settings.services)
    activity = Activity(store=store, clock=clock)
    return _Ground(
        inputs=inputs,
        store=store,
        proxy=proxy,
        tasks=tasks,
        clock=clock,
        randomness=SystemRandomness(),
        signer=FileSigner.open(settings.paths.signing_key),
        hasher=hasher,
        roles=roles,
        activity=activity,
        identify=Identify(
            store=store, clock=clock, roles=roles, activity=activity, blocked_users=settings.blocked_users
        ),
        revocations=Revocations(proxy=proxy, clock=clock),
        lab_assets=_lab_assets(settings),
    )


def _machinery(ground: _Ground, backend: Backend) -> _Machinery:
    settings, policy, base_url = ground.settings, ground.settings.servers, ground.settings.base_url
    spawners = SpawnerGateway(kind=ground.inputs.spawner, config=ground.inputs.config, backend=backend)
    routes = RouteTable(proxy=ground.proxy, tasks=ground.tasks, base_url=base_url)
    progress = ProgressBook(base_url=base_url)
    queue = QueueBook(clock=ground.clock)
    breaker = StartBreaker(clock=ground.clock, limit=policy.consecutive_failure_limit)
    assets_url = ground.lab_assets.url if ground.lab_assets else ""
    effects = ServerEffects(
        store=ground.store,
        spawners=spawners,
        routes=routes,
        prober=HttpProber(),
        clock=ground.clock,
        randomness=ground.randomness,
        environment=ServerEnvironment(settings=settings, signer=ground.signer, lab_assets_url=assets_url),
        roles=ground.roles,
        progress=progress,
        policy=policy,
        base_url=base_url,
        tasks=ground.tasks,
    )
    driver = Driver(
        store=ground.store,
        effects=effects,
        spawners=spawners,
        queue=queue,
        breaker=breaker,
        progress=progress,
        clock=ground.clock,
        policy=policy,
        tasks=ground.tasks,
        # The same after a restart, so that what was under way is taken up at once. Over SQLite there is one hub.
        holder=socket.gethostname(),
    )
    reconciler = Reconciler(
        store=ground.store,
        proxy=ground.proxy,
        routes=routes,
        revocations=ground.revocations,
        signer=ground.signer,
        activity=ground.activity,
        clock=ground.clock,
        hub_target=unix_origin(str(settings.paths.hub_socket)),
        base_url=base_url,
        services=ground.roles.services,
    )
    stop_server = StopServer(store=ground.store, driver=driver)
    admission = Admission(
        store=ground.store, driver=driver, book=queue, progress=progress, breaker=breaker, policy=policy
    )
    return _Machinery(
        driver=driver,
        queue=queue,
        breaker=breaker,
        admission=admission,
        stop_server=stop_server,
        reconciler=reconciler,
    )


def _parts(ground: _Ground, machinery: _Machinery, ending: Ending) -> Parts:
    store, clock, randomness = ground.store, ground.clock, ground.randomness
    settings, policy = ground.settings, ground.settings.servers
    return Parts(
        settings=settings,
        clock=clock,
        randomness=randomness,
        cookie_secret=load_cookie_secret(settings.paths.cookie_secret),
        store=store,
        roles=ground.roles,
        identify=ground.identify,
        sign_out=SignOut(store=store, revocations=ground.revocations),
        **_accounts(ground),
        create_users=CreateUsers(store=store, clock=clock),
        get_user=GetUser(store=store, activity=ground.activity),
        list_users=ListUsers(store=store, activity=ground.activity),
        delete_user=DeleteUser(
            store=store,
            stop_server=machinery.stop_server,
            revocations=ground.revocations,
            stop_timeout=policy.slow_stop_seconds,
        ),
        patch_user=PatchUser(store=store, revocations=ground.revocations),
        tokens=Tokens(
            store=store,
            clock=clock,
            randomness=randomness,
            roles=ground.roles,
            revocations=ground.revocations,
            max_seconds=settings.token_expires_in_max_seconds,
        ),
        start_server=StartServer(
            store=store, clock=clock, driver=machinery.driver, breaker=machinery.breaker, policy=policy
        ),
        stop_server=machinery.stop_server,
        get_server=GetServer(store=store, activity=ground.activity),
        create_server=CreateServer(store=store, clock=clock, policy=policy),
        remove_server=RemoveServer(store=store),
        driver=machinery.driver,
        queue=machinery.queue,
        reconciler=machinery.reconciler,
        proxy=ground.proxy,
        door=Door(
            store=store,
            identify=ground.identify,
            roles=ground.roles,
            signer=ground.signer,
            clock=clock,
            randomness=randomness,
            base_url=settings.base_url,
        ),
        activity=ground.activity,
        about=_about(ground.inputs),
        metrics=Metrics(),
        lab_assets=ground.lab_assets,
        shut_down=ending.ask,
    )


def _accounts(ground: _Ground) -> dict[str, Any]:
    """The ways in: they share one limiter, one hasher and one maker of sessions."""
    store, clock, randomness, policy = ground.store, ground.clock, ground.randomness, ground.settings.sign_in
    hasher = ground.hasher
    sessions = SessionMaker(store=store, clock=clock, randomness=randomness, policy=policy)
    limiter = AttemptLimiter(
        per_account=policy.attempts_per_account,
        per_address=policy.attempts_per_address,
        window_seconds=policy.window_seconds,
    )
    authenticator = make_authenticator(
        ground.inputs.authenticator,
        config=ground.inputs.config,
        book=StorePasswordBook(store=store, hasher=hasher),
    )
    reserved = ground.settings.admin_users | ground.roles.named_users
    return {
        "sign_in": SignIn(
            store=store,
            clock=clock,
            method=AuthenticatorSignIn(authenticator=authenticator, store=store),
            limiter=limiter,
            sessions=sessions,
            admin_users=ground.settings.admin_users,
        ),
        "first_admin": FirstAdmin(store=store, clock=clock, randomness=randomness),
        "invitations": Invitations(
            store=store, clock=clock, randomness=randomness, hasher=hasher, sessions=sessions, reserved=reserved
        ),
        "sign_up": SignUp(
            store=store, clock=clock, hasher=hasher, limiter=limiter, allowed=policy.allow_signup, reserved=reserved
        ),
        "change_password": ChangePassword(
            store=store, clock=clock, hasher=hasher, limiter=limiter, revocations=ground.revocations
        ),
    }


def run(inputs: HubInputs) -> int:
    """Run the hub until it is told to end; answers the exit status."""
    try:
        upgraded = upgrade_when_there(inputs.settings.db_url)
    except StoreUnusable as exc:
        log.error("hub.unusable_database", why=str(exc))  # noqa: TRY400  # a sentence for the operator, no trace
        return EXIT_UNUSABLE
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_serve(inputs, halves_wait=bool(upgraded.waiting)))
        except StoreAway as exc:
            log.error("hub.database_away", why=exc.message)  # noqa: TRY400  # the supervisor starts another
            return 1
        except HubError as exc:
            log.error("hub.unusable_configuration", why=exc.message)  # noqa: TRY400  # likewise
            return EXIT_UNUSABLE


async def _serve(inputs: HubInputs, *, halves_wait: bool) -> int:
    settings = inputs.settings
    control = unix_origin(str(settings.paths.control_socket))
    backend_settings = BackendSettings(launcher_socket=settings.paths.launcher_socket, environment=dict(inputs.environ))
    async with contextlib.AsyncExitStack() as stack:
        store = await stack.enter_async_context(SqlStore(settings.db_url))
        proxy = await stack.enter_async_context(HttpProxyGateway(control, settings.control_token))
        backend = await stack.enter_async_context(inputs.spawner.open_backend(backend_settings))
        hasher = stack.enter_context(contextlib.closing(Argon2Hasher()))
        tasks = await stack.enter_async_context(TaskGroup("hub"))
        hub = compose(inputs, store=store, backend=backend, proxy=proxy, hasher=hasher, tasks=tasks)
        application = make_app(hub.parts)
        server = _Server(_uvicorn_config(application))
        serving = tasks.start("web", server.serve(sockets=_sockets(inputs)))
        tasks.start("warm-up", _warm_up(application))
        await _begin(hub, inputs, tasks)
        if halves_wait:
            tasks.start("schema", finish_upgrade(settings.db_url))
        asked = tasks.start("end", hub.ending.asked.wait())
        await asyncio.wait([serving, asked], return_when=asyncio.FIRST_COMPLETED)
        if hub.ending.stop_servers:
            await hub.stop_all(timeout=_STOP_ALL_TIMEOUT)
        server.should_exit = True
        await serving
    return 0


async def _begin(hub: Hub, inputs: HubInputs, tasks: TaskGroup) -> None:
    """Start what runs beside the web edge, and tell the supervisor that the hub is up."""
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, hub.ending.ask)
    loop.add_signal_handler(ORPHANED_SIGNAL, hub.ending.ask, False)
    parts = hub.parts
    tasks.start("driver", parts.driver.run())
    tasks.start("queue", hub.admission.run())
    tasks.start("reconciler", parts.reconciler.run())
    tasks.start("housekeeping", hub.housekeeping.run())
    if parts.lab_assets is not None:
        tasks.start("lab assets", parts.lab_assets.prepare())
    for name in sorted(parts.settings.blocked_users):
        # Blocked since the last start, perhaps: the proxy has outlived many a hub, with the visits that it let in.
        await hub.revocations.revoke(user=name)
    notice: dict[str, Any] = {"ready": True}
    warning = await hub.housekeeping.clock_warning()
    if warning:
        notice["warnings"] = [warning]
    code = await parts.first_admin.link_code() if parts.about.has_accounts else None
    if code is not None:
        notice["first_admin"] = f"{parts.settings.hub_prefix}welcome?key={quote(code, safe='')}"
    notify_parent(inputs.environ, NOTIFY_FD_VARIABLE, json.dumps(notice))
    log.debug("hub.ready", version=__version__)


async def _warm_up(application: WebApplication) -> None:
    await application.warm_up()
    # All that is here now stays. Walking it takes the garbage collector a tenth of a second, during which no
    # request is answered.
    gc.freeze()


def _uvicorn_config(application: WebApplication) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # Who is asked for and by whom is the web edge's to judge: only the proxy's socket is trusted.
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
    )


def _sockets(inputs: HubInputs) -> list[socket.socket]:
    """Inherited from the supervisor, or, when the hub runs alone, its own."""
    inherited = inherited_sockets(inputs.environ, LISTEN_FDS_VARIABLE)
    if inherited:
        return [inherited[HUB], inherited[API]]
    paths, api = inputs.settings.paths, urlsplit(inputs.settings.api_url)
    paths.hub_socket.unlink(missing_ok=True)
    for_proxy = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    for_proxy.bind(str(paths.hub_socket))
    paths.hub_socket.chmod(0o660)
    for_proxy.listen(_BACKLOG)
    return [for_proxy, socket.create_server((api.hostname or "127.0.0.1", api.port or 8081), backlog=_BACKLOG)]


def _lab_assets(settings: HubSettings) -> LabAssets | None:
    source = lab_static_dir()
    if not source.is_dir():
        log.warning("lab.not_installed", hint="install perijove[server]")
        return None
    return LabAssets(source=source, state=settings.paths.lab_assets, hub_prefix=settings.hub_prefix)


def _about(inputs: HubInputs) -> About:
    def named(cls: type[Any]) -> str:
        return f"{cls.__module__}.{cls.__qualname__}"

    return About(
        spawner_class=named(inputs.spawner),
        spawner_version=__version__,
        authenticator_class=named(inputs.authenticator),
        authenticator_version=__version__,
        has_accounts=issubclass(inputs.authenticator, NativeAuthenticator),
    )
