"""
The hub's composition root: configuration in, its parts out. The only place that picks implementations.

Read `compose` from top to bottom: it is the parts list. `recompose` takes over a configuration that has changed.
When they run is `life.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from traitlets.config import Config

from perijove import __version__
from perijove.authenticators.base import Authenticator
from perijove.authenticators.native import NativeAuthenticator
from perijove.config.settings import HubSettings
from perijove.hub.domain.attempts import AttemptRule
from perijove.hub.domain.groups import read_groups
from perijove.hub.domain.idle import CullPolicy, read_policies
from perijove.hub.gateways.authenticator import AuthenticatorSignIn, StorePasswordBook, make_authenticator
from perijove.hub.gateways.hasher import Argon2Hasher
from perijove.hub.gateways.prober import HttpProber
from perijove.hub.gateways.proxy import HttpProxyGateway
from perijove.hub.gateways.signer import FileSigner
from perijove.hub.gateways.spawners import SpawnerGateway
from perijove.hub.ports import ServiceProcesses
from perijove.hub.store.sql import SqlStore
from perijove.hub.usecases.accounts import ChangePassword, FirstAdmin, Invitations, SignUp
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.admission import Admission
from perijove.hub.usecases.agree import AgreeWithOthers
from perijove.hub.usecases.cull import Culler
from perijove.hub.usecases.deadlines import Deadlines, KeepServer, Policies
from perijove.hub.usecases.door import Door
from perijove.hub.usecases.drive_servers import Driver
from perijove.hub.usecases.environment import ServerEnvironment
from perijove.hub.usecases.groups import GroupBook
from perijove.hub.usecases.housekeeping import Housekeeping
from perijove.hub.usecases.identify import Identify
from perijove.hub.usecases.keep_services import KeepServices
from perijove.hub.usecases.limit_attempts import AttemptLimiter
from perijove.hub.usecases.load_roles import RoleBook, load_roles
from perijove.hub.usecases.membership import Membership
from perijove.hub.usecases.progress_book import ProgressBook
from perijove.hub.usecases.queue_book import QueueBook
from perijove.hub.usecases.reconcile import Proxies, Reconciler
from perijove.hub.usecases.reload import Reading, Reload
from perijove.hub.usecases.route_table import Routes, RouteTable
from perijove.hub.usecases.server_effects import ServerEffects
from perijove.hub.usecases.servers import CreateServer, GetServer, RemoveServer, StartServer, StopServer
from perijove.hub.usecases.service_environment import ServiceEnvironment
from perijove.hub.usecases.share_codes import ShareCodes
from perijove.hub.usecases.share_progress import SharedProgress
from perijove.hub.usecases.shares import Shares
from perijove.hub.usecases.sign_in import SessionMaker, SignIn
from perijove.hub.usecases.sign_out import Outbox, Revocations, SignOut
from perijove.hub.usecases.start_breaker import StartBreaker
from perijove.hub.usecases.stop_all import StopAllServers
from perijove.hub.usecases.tokens import Tokens
from perijove.hub.usecases.users import CreateUsers, DeleteUser, GetUser, ListUsers, PatchUser
from perijove.hub.web.cookie_secret import load_cookie_secret
from perijove.hub.web.lab.assets import LabAssets
from perijove.hub.web.lab.tree import lab_static_dir
from perijove.hub.web.metrics import Metrics
from perijove.hub.web.parts import About, Parts
from perijove.kit.clock import SystemClock, SystemRandomness
from perijove.kit.tasks import TaskGroup
from perijove.spawners.base import Backend, Spawner
from perijove.wire.routes import unix_origin

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubInputs:
    """What the command hands over."""

    settings: HubSettings
    authenticator: type[Authenticator]
    spawner: type[Spawner]
    #: traits of both
    config: Config
    environ: Mapping[str, str] = field(repr=False)
    #: reads the configuration again; raises ConfigError
    read_again: Callable[[], Reading[HubInputs]]
    log_level: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """What runs: the parts that the web edge uses, and those that run beside it."""

    parts: Parts
    admission: Admission
    housekeeping: Housekeeping
    groups: GroupBook
    culler: Culler
    stop_all: StopAllServers
    services: KeepServices
    revocations: Revocations
    membership: Membership
    agree: AgreeWithOthers
    signer: FileSigner
    sharing: SharedProgress
    ending: Ending
    reload: Reload[HubInputs]
    ground: _Ground
    machinery: _Machinery


class Ending:
    """Set when the process should end; says whether the users' servers end with it."""

    def __init__(self, *, stop_servers: bool) -> None:
        self.asked = asyncio.Event()
        self.stop_servers = stop_servers
        #: whether somebody said what is to become of the servers, rather than the configuration
        self.is_said = False

    def ask(self, stop_servers: bool | None = None, stop_proxy: bool | None = None) -> None:  # noqa: ARG002, FBT001
        """The proxy is the supervisor's to stop: it ends with the whole deployment, not with the hub."""
        if stop_servers is not None:
            self.stop_servers = stop_servers
            self.is_said = True
        self.asked.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What nearly everything else stands on."""

    inputs: HubInputs
    store: SqlStore
    proxies: Sequence[HttpProxyGateway]
    #: one for each proxy
    outboxes: Sequence[Outbox]
    membership: Membership
    limiter: AttemptLimiter
    tasks: TaskGroup
    cookie_secret: bytes = field(repr=False)
    clock: SystemClock
    randomness: SystemRandomness
    signer: FileSigner
    hasher: Argon2Hasher
    roles: RoleBook
    activity: Activity
    groups: GroupBook
    deadlines: Deadlines
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
    effects: ServerEffects
    spawners: SpawnerGateway
    reconcilers: Sequence[Reconciler]
    sharing: SharedProgress
    queue: QueueBook
    breaker: StartBreaker
    admission: Admission
    stop_server: StopServer
    proxies: Proxies


def compose(
    inputs: HubInputs,
    *,
    store: SqlStore,
    backend: Backend,
    proxies: Sequence[HttpProxyGateway],
    processes: ServiceProcesses,
    hasher: Argon2Hasher,
    tasks: TaskGroup,
) -> Hub:
    """
    The parts list.

    Raises:
        HubError: a declaration or a file of the configuration is not usable.
    """
    ground = _ground(inputs, store=store, proxies=proxies, hasher=hasher, tasks=tasks)
    machinery = _machinery(ground, backend)
    ending = Ending(stop_servers=inputs.settings.cleanup_servers)
    reload = Reload(store=store, membership=ground.membership, read=inputs.read_again)
    parts = _parts(ground, machinery, ending, reload, Metrics())
    return Hub(
        parts=parts,
        admission=machinery.admission,
        groups=ground.groups,
        culler=_culler(ground, parts),
        housekeeping=Housekeeping(store=store, activity=ground.activity, clock=ground.clock, limiter=ground.limiter),
        stop_all=StopAllServers(store=store, stop_server=machinery.stop_server),
        services=KeepServices(
            store=store,
            processes=processes,
            prober=HttpProber(),
            clock=ground.clock,
            environment=ServiceEnvironment(inputs.settings),
            services=ground.roles.managed,
        ),
        revocations=ground.revocations,
        membership=ground.membership,
        agree=AgreeWithOthers(
            store=store, membership=ground.membership, lease_seconds=inputs.settings.servers.lease_seconds
        ),
        signer=ground.signer,
        sharing=machinery.sharing,
        ending=ending,
        reload=reload,
        ground=ground,
        machinery=machinery,
    )


def _culler(ground: _Ground, parts: Parts) -> Culler:
    return Culler(
        store=ground.store,
        clock=ground.clock,
        activity=ground.activity,
        deadlines=ground.deadlines,
        stop_server=parts.stop_server,
        delete_user=parts.delete_user,
        report_seconds=ground.settings.servers.activity_seconds,
    )


def recompose(hub: Hub, inputs: HubInputs) -> Parts:
    """
    Have *hub* go on with *inputs*, which differ from its own in what may change; answers the parts of its edge.

    All at once: nothing is awaited here, and what can go wrong comes first.

    Raises:
        HubError: a declaration of the configuration is not usable; nothing has changed.
    """
    settings, machinery = inputs.settings, hub.machinery
    roles = _roles(settings, hub.ground.cookie_secret)
    identify = Identify(
        store=hub.ground.store,
        clock=hub.ground.clock,
        roles=roles,
        activity=hub.ground.activity,
        blocked_users=settings.blocked_users,
    )
    policies = _policies(settings, roles)
    ground = replace(hub.ground, inputs=inputs, roles=roles, identify=identify)
    parts = _parts(ground, machinery, hub.ending, hub.reload, hub.parts.metrics)
    machinery.effects.adopt(policy=settings.servers, roles=roles, environment=_environment(ground))
    machinery.spawners.adopt(inputs.config)
    machinery.admission.adopt(settings.servers)
    machinery.breaker.adopt(settings.servers.consecutive_failure_limit)
    ground.deadlines.policies.adopt(roles=roles, policies=policies)
    hub.culler.adopt()
    for reconciler in machinery.reconcilers:
        reconciler.adopt(roles.services)
    hub.services.adopt(roles.managed, ServiceEnvironment(settings))
    hub.ending.stop_servers = settings.cleanup_servers
    return parts


def _roles(settings: HubSettings, secret: bytes) -> RoleBook:
    return load_roles(
        roles=settings.load_roles,
        services=settings.services,
        secret=secret,
        custom_scopes=settings.custom_scopes,
        extra_user_scopes=settings.extra_user_scopes,
    )


def _policies(settings: HubSettings, roles: RoleBook) -> Sequence[CullPolicy]:
    names = [group.name for group in read_groups(settings.load_groups)]
    return read_policies(settings.cull_policies, groups=names, roles=roles.names)


def _environment(ground: _Ground) -> ServerEnvironment:
    url = ground.lab_assets.url if ground.lab_assets else ""
    return ServerEnvironment(settings=ground.settings, signer=ground.signer, lab_assets_url=url)


def _ground(
    inputs: HubInputs, *, store: SqlStore, proxies: Sequence[HttpProxyGateway], hasher: Argon2Hasher, tasks: TaskGroup
) -> _Ground:
    settings, clock = inputs.settings, SystemClock()
    cookie_secret = load_cookie_secret(settings.paths.cookie_secret)
    roles = _roles(settings, cookie_secret)
    groups = read_groups(settings.load_groups)
    policies = _policies(settings, roles)
    report_seconds = settings.servers.activity_seconds
    activity = Activity(store=store, clock=clock, report_seconds=report_seconds)
    outboxes = [Outbox(proxy) for proxy in proxies]
    rule = AttemptRule(
        per_account=settings.sign_in.attempts_per_account,
        per_address=settings.sign_in.attempts_per_address,
        window_seconds=settings.sign_in.window_seconds,
    )
    return _Ground(
        inputs=inputs,
        store=store,
        proxies=proxies,
        outboxes=outboxes,
        membership=Membership(
            store=store,
            clock=clock,
            name=settings.hub_name,
            lease_seconds=settings.servers.lease_seconds,
            version=__version__,
        ),
        limiter=AttemptLimiter(store=store, clock=clock, rule=rule),
        tasks=tasks,
        cookie_secret=cookie_secret,
        clock=clock,
        randomness=SystemRandomness(),
        signer=FileSigner.open(settings.paths.signing_key),
        hasher=hasher,
        roles=roles,
        activity=activity,
        groups=GroupBook(groups),
        deadlines=Deadlines(
            clock=clock,
            activity=activity,
            policies=Policies(policies=policies, roles=roles, clock=clock, store=store),
            report_seconds=report_seconds,
        ),
        identify=Identify(
            store=store, clock=clock, roles=roles, activity=activity, blocked_users=settings.blocked_users
        ),
        revocations=Revocations(outboxes=outboxes, clock=clock),
        lab_assets=_lab_assets(settings),
    )


def _machinery(ground: _Ground, backend: Backend) -> _Machinery:
    settings, policy, base_url = ground.settings, ground.settings.servers, ground.settings.base_url
    spawners = SpawnerGateway(kind=ground.inputs.spawner, config=ground.inputs.config, backend=backend)
    tables = [RouteTable(proxy=proxy, tasks=ground.tasks, base_url=base_url) for proxy in ground.proxies]
    progress = ProgressBook(base_url=base_url)
    queue = QueueBook(clock=ground.clock)
    breaker = StartBreaker(clock=ground.clock, limit=policy.consecutive_failure_limit)
    effects = ServerEffects(
        store=ground.store,
        spawners=spawners,
        routes=Routes(tables),
        prober=HttpProber(),
        clock=ground.clock,
        randomness=ground.randomness,
        environment=_environment(ground),
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
        membership=ground.membership,
    )
    reconcilers = [
        Reconciler(
            store=ground.store,
            proxy=proxy,
            routes=table,
            outbox=outbox,
            signer=ground.signer,
            activity=ground.activity,
            clock=ground.clock,
            hub_targets=settings.hub_targets or (unix_origin(str(settings.paths.hub_socket)),),
            base_url=base_url,
            services=ground.roles.services,
        )
        for proxy, table, outbox in zip(ground.proxies, tables, ground.outboxes, strict=True)
    ]
    stop_server = StopServer(store=ground.store, driver=driver)
    admission = Admission(
        store=ground.store, driver=driver, book=queue, progress=progress, breaker=breaker, policy=policy
    )
    return _Machinery(
        driver=driver,
        effects=effects,
        spawners=spawners,
        reconcilers=reconcilers,
        sharing=SharedProgress(store=ground.store, driver=driver, progress=progress, membership=ground.membership),
        queue=queue,
        breaker=breaker,
        admission=admission,
        stop_server=stop_server,
        proxies=Proxies(gateways=ground.proxies, reconcilers=reconcilers),
    )


def _parts(
    ground: _Ground, machinery: _Machinery, ending: Ending, reload: Reload[HubInputs], metrics: Metrics
) -> Parts:
    store, clock, randomness = ground.store, ground.clock, ground.randomness
    settings, policy = ground.settings, ground.settings.servers
    return Parts(
        settings=settings,
        clock=clock,
        randomness=randomness,
        cookie_secret=ground.cookie_secret,
        store=store,
        roles=ground.roles,
        identify=ground.identify,
        sign_out=SignOut(store=store, revocations=ground.revocations),
        **_accounts(ground),
        create_users=CreateUsers(store=store, clock=clock, groups=ground.groups),
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
        keep_server=KeepServer(store=store, clock=clock, activity=ground.activity, deadlines=ground.deadlines),
        create_server=CreateServer(store=store, clock=clock, policy=policy),
        remove_server=RemoveServer(store=store, revocations=ground.revocations),
        shares=Shares(store=store, clock=clock, revocations=ground.revocations),
        share_codes=ShareCodes(store=store, clock=clock, randomness=randomness, revocations=ground.revocations),
        driver=machinery.driver,
        proxies=machinery.proxies,
        queue=machinery.queue,
        door=Door(
            store=store,
            identify=ground.identify,
            roles=ground.roles,
            revocations=ground.revocations,
            signer=ground.signer,
            clock=clock,
            randomness=randomness,
            base_url=settings.base_url,
        ),
        activity=ground.activity,
        deadlines=ground.deadlines,
        about=_about(ground.inputs),
        metrics=metrics,
        lab_assets=ground.lab_assets,
        shut_down=ending.ask,
        reload=reload,
    )


def _accounts(ground: _Ground) -> dict[str, Any]:
    """The ways in: they share one limiter, one hasher and one maker of sessions."""
    store, clock, randomness, policy = ground.store, ground.clock, ground.randomness, ground.settings.sign_in
    hasher = ground.hasher
    sessions = SessionMaker(store=store, clock=clock, randomness=randomness, policy=policy, groups=ground.groups)
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
            limiter=ground.limiter,
            sessions=sessions,
            admin_users=ground.settings.admin_users,
        ),
        "first_admin": FirstAdmin(store=store, clock=clock, randomness=randomness),
        "invitations": Invitations(
            store=store, clock=clock, randomness=randomness, hasher=hasher, sessions=sessions, reserved=reserved
        ),
        "sign_up": SignUp(
            store=store,
            clock=clock,
            hasher=hasher,
            limiter=ground.limiter,
            allowed=policy.allow_signup,
            reserved=reserved,
        ),
        "change_password": ChangePassword(
            store=store, clock=clock, hasher=hasher, limiter=ground.limiter, revocations=ground.revocations
        ),
    }


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
