"""
The hub's life: the database first, then the sockets, then everything that runs beside them; and in the end, if so
configured, the users' servers. What it is made of is `app.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import json
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import structlog
import uvicorn
import uvloop

from perijove import __version__
from perijove.hub.app import Hub, compose, recompose
from perijove.hub.domain.errors import HubError, Invalid, StoreAway, Unavailable
from perijove.hub.domain.hubs import others_of
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.gateways.hasher import Argon2Hasher
from perijove.hub.gateways.proxy import HttpProxyGateway
from perijove.hub.gateways.service_processes import LauncherServiceProcesses
from perijove.hub.ground import HubInputs, authority_of
from perijove.hub.store.errors import StoreUnusable
from perijove.hub.store.schema import finish_upgrade, upgrade_when_there
from perijove.hub.store.sql import SqlStore
from perijove.hub.usecases.agree import Common, common_secret
from perijove.hub.usecases.dictated_roles import settle_roles
from perijove.hub.usecases.forever import forever
from perijove.hub.usecases.watch_roles import WatchRoles
from perijove.hub.web.app import WebApplication, make_app, renew_app
from perijove.kit import logs
from perijove.kit.process import give_back_memory, inherited_sockets, is_gone, notify_parent
from perijove.kit.tasks import TaskGroup
from perijove.spawners.base import Backend, Spawner
from perijove.spawners.errors import BackendUnreachable
from perijove.spawners.local import LocalSpawner
from perijove.spawners.values import BackendSettings
from perijove.wire.control import AUTH_TOKEN_VARIABLE
from perijove.wire.routes import unix_origin
from perijove.wire.supervision import (
    API,
    EXIT_UNUSABLE,
    HUB,
    HUB_NUMBER_VARIABLE,
    LISTEN_FDS_VARIABLE,
    NOTIFY_FD_VARIABLE,
    ORPHANED_SIGNAL,
)

log = structlog.get_logger(__name__)

#: seconds that open requests get when the hub ends; longer than a page, shorter than a progress stream
_GRACE: Final = 2
#: Seconds between looks whether an administrator has changed the signing keys; a new one signs from the second look on.
_KEYS_SECONDS: Final = 3.0
#: seconds that an idle connection from the proxy is kept; the proxy's own pool lets go before that
_KEEP_ALIVE: Final = 75
_BACKLOG: Final = 2048
#: seconds between returns of memory that is not used any more
_GIVE_BACK_EVERY: Final = 10.0
#: seconds that all servers together get to end when the hub is stopped in order
_STOP_ALL_TIMEOUT: Final = 45.0


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the hub has work to do between the signal and the end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and tell."""
        await super().startup(sockets)
        self.listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the hub."""
        yield


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
        except Unavailable as exc:
            log.error("hub.cannot_start_yet", why=exc.message)  # noqa: TRY400  # likewise
            return 1
        except HubError as exc:
            log.error("hub.unusable_configuration", why=exc.message)  # noqa: TRY400  # likewise
            return EXIT_UNUSABLE


async def _serve(inputs: HubInputs, *, halves_wait: bool) -> int:
    settings = inputs.settings
    urls = settings.proxy_api_urls or (unix_origin(str(settings.paths.control_socket)),)
    backend_settings = BackendSettings(launcher_socket=settings.paths.launcher_socket, environment=dict(inputs.environ))
    async with contextlib.AsyncExitStack() as stack:
        store = await stack.enter_async_context(SqlStore(settings.db_url))
        proxies = [await stack.enter_async_context(HttpProxyGateway(url, settings.control_token)) for url in urls]
        backend = await stack.enter_async_context(inputs.spawner.open_backend(backend_settings))
        processes = await stack.enter_async_context(
            LauncherServiceProcesses.open(settings.paths.launcher_socket, system_user_prefix=_user_prefix(inputs))
        )
        await _refuse_unenforceable(inputs, backend)
        hasher = stack.enter_context(contextlib.closing(Argon2Hasher()))
        tasks = TaskGroup("hub")
        hub = compose(
            inputs,
            store=store,
            backend=backend,
            proxies=proxies,
            processes=processes,
            hasher=hasher,
            tasks=tasks,
            authority=await authority_of(inputs, store, hasher),
        )
        # Once nothing runs here any more, all leases are free for the other hubs.
        stack.push_async_callback(hub.membership.leave)
        await stack.enter_async_context(tasks)
        await hub.agree([*_secrets(hub, inputs), *_place(inputs.spawner, backend_settings)])
        ground = hub.ground
        await settle_roles(
            store=store,
            book=ground.roles,
            clock=ground.clock,
            revocations=ground.revocations,
            reset=ground.method.resets_roles,
        )
        app = make_app(hub.parts)
        hub.reload.into(partial(_take_over, hub, app))
        server = _Server(_uvicorn_config(app))
        serving = tasks.start("web", server.serve(sockets=_sockets(inputs)))
        # Before anything else: whoever has waited for this hub is answered first.
        listens = tasks.start("listening", server.listens.wait())
        await asyncio.wait([serving, listens], return_when=asyncio.FIRST_COMPLETED)
        await _begin(hub, inputs, tasks)
        tasks.start("warm-up", _warm_up(app))
        if halves_wait:
            tasks.start("schema", finish_upgrade(settings.db_url))
        asked = tasks.start("end", hub.ending.asked.wait())
        await asyncio.wait([serving, asked], return_when=asyncio.FIRST_COMPLETED)
        if hub.ending.stop_servers and not _leaves_servers_to_others(hub, inputs):
            await hub.stop_all(timeout=_STOP_ALL_TIMEOUT)
            await hub.services.stop()
        server.should_exit = True
        await serving
    return 0


def _user_prefix(inputs: HubInputs) -> str:
    """Of system users on this machine: people's and services' alike."""
    return LocalSpawner(config=inputs.config).system_user_prefix


async def _refuse_unenforceable(inputs: HubInputs, backend: Backend) -> None:
    """A limit that nobody keeps is no limit: better no hub than one that seems to keep it."""
    spawner = inputs.spawner(backend=backend, config=inputs.config)
    try:
        refused = await spawner.unenforceable_here()
    except BackendUnreachable as exc:
        log.error("hub.limits_not_checked", why=str(exc))  # noqa: TRY400  # each start is checked, too
        return
    for name, why in refused.items():
        raise Invalid(f"c.{type(spawner).__name__}.{name}: {why}")


async def _begin(hub: Hub, inputs: HubInputs, tasks: TaskGroup) -> None:
    """Start what runs beside the web edge, and tell the supervisor that the hub is up."""
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, hub.ending.ask)
    loop.add_signal_handler(ORPHANED_SIGNAL, hub.ending.ask, False)
    loop.add_signal_handler(signal.SIGHUP, _hung_up, hub, tasks)
    parts = hub.parts
    await hub.membership.keep()
    tasks.start("membership", hub.membership.run())
    tasks.start("driver", parts.driver.run())
    tasks.start("notices", hub.sharing.run())
    tasks.start("reload", hub.reload.run())
    tasks.start("queue", hub.admission.run())
    tasks.start("proxies", parts.proxies.run())
    tasks.start("housekeeping", hub.housekeeping.run())
    tasks.start("groups", hub.groups.run(parts.store))
    tasks.start("signing keys", forever("signing keys", partial(_look_at_keys, hub, inputs), every=_KEYS_SECONDS))
    tasks.start("roles", WatchRoles(store=parts.store, roles=parts.roles).run())
    tasks.start("culler", hub.culler.run())
    tasks.start("services", hub.services.run())
    tasks.start("service checks", hub.check_services.run())
    is_first = inputs.environ.get(HUB_NUMBER_VARIABLE, "1") == "1"
    if parts.lab_assets is not None and is_first:
        # Of several hubs beside each other one does, for all.
        tasks.start("lab assets", parts.lab_assets.prepare())
    # Blocked since the last start, perhaps: the proxy has outlived many a hub, with the visits that it let in.
    await parts.sessions.end_of_blocked(parts.settings.blocked_users)
    notice: dict[str, Any] = {"ready": True}
    warning = await hub.housekeeping.clock_warning()
    if warning:
        notice["warnings"] = [warning]
    # A new code voids those of other hubs: only who is heard asks for one.
    is_heard = is_first and NOTIFY_FD_VARIABLE in inputs.environ
    code = await parts.first_admin.link_code() if parts.about.has_accounts and is_heard else None
    if code is not None:
        notice["first_admin"] = f"{parts.settings.hub_prefix}welcome?key={quote(code, safe='')}"
    notify_parent(inputs.environ, NOTIFY_FD_VARIABLE, json.dumps(notice))
    log.debug("hub.ready", version=__version__)


async def _warm_up(app: WebApplication) -> None:
    await app.warm_up()
    # All that is here now stays. Walking it takes the garbage collector a tenth of a second, during which no
    # request is answered.
    gc.freeze()
    # Importing and compiling took more than what they left; so does each look at thousands of servers.
    await forever("memory", _give_back, every=_GIVE_BACK_EVERY)


async def _give_back() -> None:
    # On a thread: it takes some milliseconds.
    await asyncio.to_thread(give_back_memory)


async def _look_at_keys(hub: Hub, inputs: HubInputs) -> None:
    """Tell the proxies of keys that an administrator has added or removed (`perijove key`)."""
    if hub.signer.look():
        for reconciler in hub.machinery.reconcilers:
            reconciler.doubt()
        await hub.agree.renew(_secrets(hub, inputs))


def _secrets(hub: Hub, inputs: HubInputs) -> Sequence[Common]:
    """Those that all hubs over one database must have alike."""
    settings = inputs.settings
    # Which of them signs may differ for a moment, while a new file is copied from one machine to the next.
    key = " ".join(sorted(str(jwk["kid"]) for jwk in hub.signer.public_jwks))
    cookie = hashlib.sha256(hub.parts.cookie_secret).hexdigest()
    secrets = [
        common_secret("signing key", fingerprint=key, where=str(settings.paths.signing_key)),
        common_secret("cookie secret", fingerprint=cookie, where=str(settings.paths.cookie_secret)),
    ]
    if settings.proxy_api_urls:
        # Of proxies that are this deployment's alone, each deployment makes up the token anew.
        control = hash_secret(settings.control_token)
        secrets.append(common_secret("control token", fingerprint=control, where=f"${AUTH_TOKEN_VARIABLE}"))
    return secrets


def _place(spawner: type[Spawner], settings: BackendSettings) -> Sequence[Common]:
    """Where servers run, if a hub elsewhere would take them for gone."""
    place = spawner.place(settings)
    remedy = (
        f"{spawner.__name__} starts servers on one machine, and a hub elsewhere would take them for gone. Start this "
        "hub on the machine of those, with the same c.Perijove.runtime_dir; or give it a database of its own "
        "(c.Perijove.db_url); or use a spawner whose servers every hub can reach (c.Perijove.spawner_class)."
    )
    return [Common(name="place of servers", fingerprint=hash_secret(place), remedy=remedy)] if place else ()


def _hung_up(hub: Hub, tasks: TaskGroup) -> None:
    if is_gone(sys.stdin):
        # Its terminal was closed, and with it goes what was started there.
        hub.ending.ask()
    else:
        tasks.start("reload", hub.reload.asked_here())


async def _take_over(hub: Hub, app: WebApplication, inputs: HubInputs) -> None:
    blocked_before = app.state.parts.settings.blocked_users
    authority = await authority_of(inputs, hub.ground.store, hub.ground.hasher)
    await renew_app(app, recompose(hub, inputs, authority))
    logs.set_level(inputs.log_level)
    try:
        await hub.parts.sessions.end_of_blocked(inputs.settings.blocked_users - blocked_before)
    except Unavailable as exc:
        # They are shut out all the same, from this moment on; the rows go at the next start.
        log.warning("blocked.sessions_left", why=exc.message)


def _leaves_servers_to_others(hub: Hub, inputs: HubInputs) -> bool:
    """Whether hubs stay that do not end with this one, and nobody said that the servers end with it."""
    is_supervised = NOTIFY_FD_VARIABLE in inputs.environ
    stay = others_of(hub.membership.live, name=inputs.settings.hub_name, is_one_of_several=is_supervised)
    if not stay or hub.ending.is_said:
        return False
    log.info("servers.left_to_others", hubs=sorted(stay))
    return True


def _uvicorn_config(app: WebApplication) -> uvicorn.Config:
    return uvicorn.Config(
        app,
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
    paths = inputs.settings.paths
    paths.hub_socket.unlink(missing_ok=True)
    for_proxy = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    for_proxy.bind(str(paths.hub_socket))
    paths.hub_socket.chmod(0o660)
    for_proxy.listen(_BACKLOG)
    return [for_proxy, socket.create_server(inputs.settings.api_address, backlog=_BACKLOG)]
