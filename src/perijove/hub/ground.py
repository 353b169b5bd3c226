"""
What nearly everything in the hub stands on, made of its configuration. A part of the composition (`app.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from traitlets.config import Config

from perijove import __version__
from perijove.authenticators.base import Authenticator
from perijove.config.settings import HubSettings
from perijove.hub.domain.attempts import AttemptRule
from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.groups import read_groups
from perijove.hub.domain.idle import CullPolicy, read_policies
from perijove.hub.gateways.audit_file import JsonLinesFile
from perijove.hub.gateways.authenticator import AuthenticatorSignIn, StorePasswordBook, make_authenticator
from perijove.hub.gateways.hasher import Argon2Hasher
from perijove.hub.gateways.proxy import HttpProxyGateway
from perijove.hub.gateways.signer import FileSigner
from perijove.hub.gateways.vault import FernetVault
from perijove.hub.store.sql import SqlStore
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.audit_chain import AuditChain
from perijove.hub.usecases.audit_failures import FailedSignIns
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.hub.usecases.deadlines import Deadlines, Policies
from perijove.hub.usecases.environment import ServerEnvironment
from perijove.hub.usecases.group_doors import GroupDoors
from perijove.hub.usecases.groups import GroupBook
from perijove.hub.usecases.identify import Identify
from perijove.hub.usecases.limit_attempts import AttemptLimiter
from perijove.hub.usecases.load_roles import RoleBook, load_roles
from perijove.hub.usecases.membership import Membership
from perijove.hub.usecases.refresh_users import RefreshUsers
from perijove.hub.usecases.reload import Reading
from perijove.hub.usecases.services import ServiceDirectory
from perijove.hub.usecases.sign_out import Outbox, Revocations
from perijove.hub.usecases.vouched import Vouched
from perijove.hub.web.cookie_secret import load_cookie_secret
from perijove.hub.web.lab.assets import LabAssets
from perijove.hub.web.lab.tree import lab_static_dir
from perijove.kit.clock import SystemClock, SystemRandomness
from perijove.kit.tasks import TaskGroup
from perijove.spawners.base import Spawner

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
    #: what starts and stops of servers are told to
    event_handlers: Sequence[logging.Handler] = ()
    log_level: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Who judges people, and what roles it declares."""

    authenticator: Authenticator
    method: AuthenticatorSignIn
    #: None: it does not say what roles people have
    roles: Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What nearly everything else stands on."""

    inputs: HubInputs
    store: SqlStore
    proxies: Sequence[HttpProxyGateway]
    #: one for each proxy
    outboxes: Sequence[Outbox]
    membership: Membership
    limiter: AttemptLimiter
    failures: FailedSignIns
    auth_states: AuthStateBook
    authenticator: Authenticator
    method: AuthenticatorSignIn
    vouched: Vouched
    refresh: RefreshUsers
    audit_chain: AuditChain
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
    directory: ServiceDirectory
    identify: Identify
    revocations: Revocations
    lab_assets: LabAssets | None

    @property
    def settings(self) -> HubSettings:
        """What the administrator wants."""
        return self.inputs.settings


def make_ground(
    inputs: HubInputs,
    *,
    authority: Authority,
    store: SqlStore,
    proxies: Sequence[HttpProxyGateway],
    hasher: Argon2Hasher,
    tasks: TaskGroup,
) -> Ground:
    """Make it. Raises HubError: a declaration or a file of the configuration is not usable."""
    settings, clock = inputs.settings, SystemClock()
    cookie_secret = load_cookie_secret(settings.paths.cookie_secret)
    outboxes = [Outbox(proxy) for proxy in proxies]
    roles = roles_of(settings, cookie_secret, authority.roles)
    auth_states = AuthStateBook(store=store, vault=vault_of(settings))
    revocations = Revocations(outboxes=outboxes, clock=clock)
    method = authority.method
    vouched = vouched_of(settings, store, clock, method, auth_states, roles=roles, revocations=revocations)
    refresh = RefreshUsers(
        store=store,
        clock=clock,
        method=method,
        vouched=vouched,
        auth_states=auth_states,
        revocations=revocations,
        tasks=tasks,
    )
    groups = read_groups(settings.load_groups)
    policies = policies_of(settings, roles)
    report_seconds = settings.servers.activity_seconds
    activity = Activity(store=store, clock=clock, report_seconds=report_seconds)
    return Ground(
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
        limiter=AttemptLimiter(store=store, clock=clock, rule=attempt_rule_of(settings)),
        failures=FailedSignIns(store=store, clock=clock),
        auth_states=auth_states,
        method=method,
        vouched=vouched,
        refresh=refresh,
        authenticator=authority.authenticator,
        audit_chain=AuditChain(
            store=store, clock=clock, retention_days=settings.audit_retention_days, file=audit_file_of(settings)
        ),
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
        directory=ServiceDirectory(store=store, roles=roles),
        identify=Identify(
            store=store,
            clock=clock,
            roles=roles,
            activity=activity,
            blocked_users=settings.blocked_users,
            refresh=refresh,
        ),
        revocations=revocations,
        lab_assets=_lab_assets(settings),
    )


def attempt_rule_of(settings: HubSettings) -> AttemptRule:
    """How often somebody may try to sign in."""
    return AttemptRule(
        per_account=settings.sign_in.attempts_per_account,
        per_address=settings.sign_in.attempts_per_address,
        window_seconds=settings.sign_in.window_seconds,
    )


def audit_file_of(settings: HubSettings) -> JsonLinesFile | None:
    """Where the audit log is copied to, if it is."""
    return JsonLinesFile(settings.audit_file) if settings.audit_file else None


async def authority_of(inputs: HubInputs, store: SqlStore, hasher: Argon2Hasher) -> Authority:
    """
    The configured sign-in method.

    Raises:
        InvalidRequest: it and the rest of the configuration contradict each other.
        Unavailable: it cannot say what roles there are.
    """
    book = StorePasswordBook(store=store, hasher=hasher)
    made = make_authenticator(inputs.authenticator, config=inputs.config, book=book)
    if made.manage_groups and inputs.settings.load_groups:
        raise InvalidRequest("The sign-in method manages groups (manage_groups), so load_groups must be empty.")
    method = AuthenticatorSignIn(authenticator=made, store=store)
    return Authority(authenticator=made, method=method, roles=await method.load_roles())


def vouched_of(
    settings: HubSettings,
    store: SqlStore,
    clock: SystemClock,
    method: AuthenticatorSignIn,
    auth_states: AuthStateBook,
    *,
    roles: RoleBook,
    revocations: Revocations,
) -> Vouched:
    """What writes down whom the sign-in method vouches for."""
    return Vouched(
        store=store,
        clock=clock,
        method=method,
        auth_states=auth_states,
        doors=GroupDoors(roles=roles, revocations=revocations),
        roles=roles,
        admin_users=settings.admin_users,
    )


def vault_of(settings: HubSettings) -> FernetVault | None:
    """What auth states are sealed with, if they are kept."""
    return FernetVault(settings.crypt_keys) if settings.crypt_keys else None


def roles_of(settings: HubSettings, secret: bytes, loaded: Sequence[Mapping[str, Any]] | None) -> RoleBook:
    """Everybody's roles, from the configuration and, if it is to say so, from the sign-in method."""
    return load_roles(
        roles=settings.load_roles,
        services=settings.services,
        secret=secret,
        custom_scopes=settings.custom_scopes,
        extra_user_scopes=settings.extra_user_scopes,
        loaded=loaded,
    )


def policies_of(settings: HubSettings, roles: RoleBook) -> Sequence[CullPolicy]:
    """When servers are stopped, from the configuration."""
    names = [group.name for group in read_groups(settings.load_groups)]
    return read_policies(settings.cull_policies, groups=names, roles=roles.names)


def environment_of(ground: Ground) -> ServerEnvironment:
    """What a server is told."""
    url = ground.lab_assets.url if ground.lab_assets else ""
    return ServerEnvironment(settings=ground.settings, signer=ground.signer, lab_assets_url=url)


def _lab_assets(settings: HubSettings) -> LabAssets | None:
    source = lab_static_dir()
    if not source.is_dir():
        log.warning("lab.not_installed", hint="install perijove[server]")
        return None
    return LabAssets(source=source, state=settings.paths.lab_assets, hub_prefix=settings.hub_prefix)
