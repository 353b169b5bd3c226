"""
The hub's composition root: configuration in, its parts out. The only place that picks implementations.

Read `compose` from top to bottom: it is the parts list. `recompose` takes over a configuration that has changed.
When they run is `life.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from perijove import __version__
from perijove.authenticators.native import NativeAuthenticator
from perijove.hub.domain.origins import Origins, origins_of
from perijove.hub.gateways.hasher import Argon2Hasher
from perijove.hub.gateways.prober import HttpProber
from perijove.hub.gateways.proxy import HttpProxyGateway
from perijove.hub.gateways.signer import FileSigner
from perijove.hub.ground import (
    Authority,
    Ground,
    HubInputs,
    audit_file_of,
    environment_of,
    make_ground,
    policies_of,
    roles_of,
    vault_of,
    vouched_of,
)
from perijove.hub.machinery import Machinery, make_machinery
from perijove.hub.ports import ServiceProcesses
from perijove.hub.store.sql import SqlStore
from perijove.hub.usecases.accounts import ChangePassword, FirstAdmin, Invitations, SignUp
from perijove.hub.usecases.admission import Admission
from perijove.hub.usecases.agree import AgreeWithOthers
from perijove.hub.usecases.audit import AuditLog
from perijove.hub.usecases.change_groups import ChangeGroups, ReadGroups
from perijove.hub.usecases.check_services import CheckServices
from perijove.hub.usecases.cull import Culler
from perijove.hub.usecases.deadlines import KeepServer
from perijove.hub.usecases.door import Door
from perijove.hub.usecases.doorstep import Doorstep
from perijove.hub.usecases.ending import Ending
from perijove.hub.usecases.groups import GroupBook
from perijove.hub.usecases.housekeeping import Housekeeping
from perijove.hub.usecases.identify import Identify
from perijove.hub.usecases.keep_services import KeepServices
from perijove.hub.usecases.membership import Membership
from perijove.hub.usecases.oauth_provider import make_provider
from perijove.hub.usecases.reload import Reload
from perijove.hub.usecases.servers import ChangeServer, CreateServer, GetServer, RemoveServer, StartServer
from perijove.hub.usecases.service_environment import ServiceEnvironment
from perijove.hub.usecases.services import ChangeServices
from perijove.hub.usecases.sessions import Sessions
from perijove.hub.usecases.share_codes import ShareCodes
from perijove.hub.usecases.share_progress import SharedProgress
from perijove.hub.usecases.shares import Shares
from perijove.hub.usecases.sign_in import SessionMaker, SignIn
from perijove.hub.usecases.sign_out import Revocations, SignOut
from perijove.hub.usecases.stop_all import StopAllServers
from perijove.hub.usecases.tokens import Tokens
from perijove.hub.usecases.users import CreateUsers, DeleteUser, GetUser, ListUsers, PatchUser
from perijove.hub.web.metrics import Metrics
from perijove.hub.web.parts import About, Parts
from perijove.kit.tasks import TaskGroup
from perijove.spawners.base import Backend


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
    check_services: CheckServices
    revocations: Revocations
    membership: Membership
    agree: AgreeWithOthers
    signer: FileSigner
    sharing: SharedProgress
    ending: Ending
    reload: Reload[HubInputs]
    ground: Ground
    machinery: Machinery


def compose(
    inputs: HubInputs,
    *,
    store: SqlStore,
    backend: Backend,
    proxies: Sequence[HttpProxyGateway],
    processes: ServiceProcesses,
    hasher: Argon2Hasher,
    tasks: TaskGroup,
    authority: Authority,
) -> Hub:
    """
    The parts list.

    Raises:
        HubError: a declaration or a file of the configuration is not usable.
    """
    ground = make_ground(inputs, authority=authority, store=store, proxies=proxies, hasher=hasher, tasks=tasks)
    machinery = make_machinery(ground, backend)
    ending = Ending(stop_servers=inputs.settings.cleanup_servers)
    reload = Reload(store=store, clock=ground.clock, membership=ground.membership, read=inputs.read_again)
    parts = _parts(ground, machinery, ending, reload, Metrics())
    return Hub(
        parts=parts,
        admission=machinery.admission,
        groups=ground.groups,
        culler=_culler(ground, parts),
        housekeeping=Housekeeping(
            store=store,
            activity=ground.activity,
            clock=ground.clock,
            limiter=ground.limiter,
            audit=ground.audit_chain,
            failures=ground.failures,
            auth_states=ground.auth_states,
            activity_resolution=ground.settings.servers.activity_resolution,
        ),
        stop_all=StopAllServers(store=store, stop_server=machinery.stop_server),
        services=KeepServices(
            store=store,
            processes=processes,
            prober=HttpProber(),
            clock=ground.clock,
            environment=ServiceEnvironment(inputs.settings, ground.roles.services),
            services=ground.roles.managed,
        ),
        check_services=CheckServices(
            directory=ground.directory,
            prober=HttpProber(),
            base_url=inputs.settings.base_url,
            every=inputs.settings.service_check_seconds,
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


def _culler(ground: Ground, parts: Parts) -> Culler:
    return Culler(
        store=ground.store,
        clock=ground.clock,
        activity=ground.activity,
        deadlines=ground.deadlines,
        stop_server=parts.stop_server,
        delete_user=parts.delete_user,
        report_seconds=ground.settings.servers.activity_seconds,
    )


def recompose(hub: Hub, inputs: HubInputs, authority: Authority) -> Parts:
    """
    Have *hub* go on with *inputs*, which differ from its own in what may change; answers the parts of its edge.

    All at once: nothing is awaited here, and what can go wrong comes first.

    Raises:
        HubError: a declaration of the configuration is not usable; nothing has changed.
    """
    settings, machinery = inputs.settings, hub.machinery
    roles = roles_of(settings, hub.ground.cookie_secret, authority.roles)
    identify = Identify(
        store=hub.ground.store,
        clock=hub.ground.clock,
        roles=roles,
        activity=hub.ground.activity,
        blocked_users=settings.blocked_users,
        refresh=hub.ground.refresh,
    )
    policies = policies_of(settings, roles)
    method = authority.method
    vouched = vouched_of(
        settings,
        hub.ground.store,
        hub.ground.clock,
        method,
        hub.ground.auth_states,
        roles=roles,
        revocations=hub.ground.revocations,
    )
    ground = replace(
        hub.ground,
        inputs=inputs,
        roles=roles,
        identify=identify,
        authenticator=authority.authenticator,
        method=method,
        vouched=vouched,
    )
    parts = _parts(ground, machinery, hub.ending, hub.reload, hub.parts.metrics)
    machinery.effects.adopt(policy=settings.servers, roles=roles, environment=environment_of(ground))
    machinery.spawners.adopt(inputs.config, ground.authenticator)
    machinery.admission.adopt(settings.servers)
    machinery.breaker.adopt(settings.servers.consecutive_failure_limit)
    ground.deadlines.policies.adopt(roles=roles, policies=policies)
    hub.culler.adopt()
    ground.auth_states.adopt(vault_of(settings))
    ground.refresh.adopt(method, vouched)
    ground.audit_chain.adopt(retention_days=settings.audit_retention_days, file=audit_file_of(settings))
    for reconciler in machinery.reconcilers:
        reconciler.adopt(roles.services)
    ground.directory.adopt(roles)
    hub.services.adopt(roles.managed, ServiceEnvironment(settings, roles.services))
    hub.ending.stop_servers = settings.cleanup_servers
    return parts


def _parts(ground: Ground, machinery: Machinery, ending: Ending, reload: Reload[HubInputs], metrics: Metrics) -> Parts:
    store, clock, randomness = ground.store, ground.clock, ground.randomness
    settings, policy = ground.settings, ground.settings.servers
    origins = origins_of(settings)
    return Parts(
        settings=settings,
        origins=origins,
        clock=clock,
        randomness=randomness,
        cookie_secret=ground.cookie_secret,
        store=store,
        roles=ground.roles,
        identify=ground.identify,
        sign_out=SignOut(store=store, clock=clock, revocations=ground.revocations),
        sessions=Sessions(store=store, clock=clock, activity=ground.activity, revocations=ground.revocations),
        auth_states=ground.auth_states,
        audit=AuditLog(store=store, clock=clock),
        **_accounts(ground),
        create_users=CreateUsers(store=store, clock=clock, groups=ground.groups),
        get_user=GetUser(store=store, activity=ground.activity),
        list_users=ListUsers(store=store, activity=ground.activity),
        delete_user=DeleteUser(
            store=store,
            clock=clock,
            stop_server=machinery.stop_server,
            revocations=ground.revocations,
            stop_timeout=policy.slow_stop_seconds,
        ),
        patch_user=PatchUser(store=store, clock=clock, revocations=ground.revocations, auth_states=ground.auth_states),
        **_nouns(ground, machinery),
        tokens=Tokens(
            store=store,
            clock=clock,
            randomness=randomness,
            roles=ground.roles,
            revocations=ground.revocations,
            max_seconds=settings.token_expires_in_max_seconds,
        ),
        oauth=make_provider(
            store=store,
            clock=clock,
            randomness=randomness,
            roles=ground.roles,
            scopes=machinery.spawners,
            identify=ground.identify,
            revocations=ground.revocations,
            settings=settings,
        ),
        **_servers(ground, machinery),
        shares=Shares(store=store, clock=clock, revocations=ground.revocations),
        share_codes=ShareCodes(store=store, clock=clock, randomness=randomness, revocations=ground.revocations),
        driver=machinery.driver,
        proxies=machinery.proxies,
        queue=machinery.queue,
        **_entrances(ground, origins),
        activity=ground.activity,
        deadlines=ground.deadlines,
        about=_about(ground.inputs),
        metrics=metrics,
        lab_assets=ground.lab_assets,
        shut_down=ending.ask,
        reload=reload,
    )


def _entrances(ground: Ground, origins: Origins) -> dict[str, Any]:
    """The door, and the way to it at other origins."""
    door = Door(
        store=ground.store,
        identify=ground.identify,
        roles=ground.roles,
        revocations=ground.revocations,
        signer=ground.signer,
        clock=ground.clock,
        randomness=ground.randomness,
        base_url=ground.settings.base_url,
    )
    doorstep = Doorstep(
        store=ground.store,
        identify=ground.identify,
        door=door,
        signer=ground.signer,
        clock=ground.clock,
        randomness=ground.randomness,
        origins=origins,
        hub_prefix=ground.settings.hub_prefix,
    )
    return {"door": door, "doorstep": doorstep}


def _servers(ground: Ground, machinery: Machinery) -> dict[str, Any]:
    """What is done to servers."""
    store, clock, policy = ground.store, ground.clock, ground.settings.servers
    return {
        "start_server": StartServer(
            store=store,
            clock=clock,
            driver=machinery.driver,
            breaker=machinery.breaker,
            policy=policy,
            refresh=ground.refresh,
        ),
        "stop_server": machinery.stop_server,
        "get_server": GetServer(store=store, activity=ground.activity),
        "keep_server": KeepServer(store=store, clock=clock, activity=ground.activity, deadlines=ground.deadlines),
        "create_server": CreateServer(store=store, clock=clock, policy=policy),
        "change_server": ChangeServer(store=store, clock=clock, policy=policy, revocations=ground.revocations),
        "remove_server": RemoveServer(store=store, revocations=ground.revocations),
        "spawn_place": machinery.spawners,
        "start_options": machinery.spawners,
    }


def _nouns(ground: Ground, machinery: Machinery) -> dict[str, Any]:
    """Groups and services."""
    return {
        "read_groups": ReadGroups(store=ground.store),
        "change_groups": ChangeGroups(
            store=ground.store, clock=ground.clock, roles=ground.roles, revocations=ground.revocations
        ),
        "services": ground.directory,
        "change_services": ChangeServices(
            store=ground.store,
            clock=ground.clock,
            roles=ground.roles,
            revocations=ground.revocations,
            directory=ground.directory,
            routes=machinery.proxies,
        ),
    }


def _accounts(ground: Ground) -> dict[str, Any]:
    """The ways in: they share one limiter, one hasher and one maker of sessions."""
    store, clock, randomness, policy = ground.store, ground.clock, ground.randomness, ground.settings.sign_in
    hasher = ground.hasher
    sessions = SessionMaker(store=store, clock=clock, randomness=randomness, policy=policy, groups=ground.groups)
    reserved = ground.settings.admin_users | ground.roles.named_users
    return {
        "sign_in": SignIn(
            store=store,
            clock=clock,
            method=ground.method,
            limiter=ground.limiter,
            sessions=sessions,
            failures=ground.failures,
            vouched=ground.vouched,
            fresh=ground.refresh,
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
