"""
What drives servers and the proxies. A part of the composition (`app.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perijove.hub.domain.origins import origins_of
from perijove.hub.gateways.prober import HttpProber
from perijove.hub.gateways.server_events import HandledServerEvents
from perijove.hub.gateways.spawners import SpawnerGateway
from perijove.hub.ground import Ground, environment_of
from perijove.hub.usecases.admission import Admission
from perijove.hub.usecases.drive_servers import Driver
from perijove.hub.usecases.progress_book import ProgressBook
from perijove.hub.usecases.queue_book import QueueBook
from perijove.hub.usecases.reconcile import Proxies, Reconciler
from perijove.hub.usecases.route_table import Routes, RouteTable
from perijove.hub.usecases.server_effects import ServerEffects
from perijove.hub.usecases.server_journal import ServerJournal
from perijove.hub.usecases.servers import StopServer
from perijove.hub.usecases.share_progress import SharedProgress
from perijove.hub.usecases.start_breaker import StartBreaker
from perijove.spawners.base import Backend
from perijove.wire.routes import unix_origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Machinery:
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


def make_machinery(ground: Ground, backend: Backend) -> Machinery:
    """Make it."""
    settings, policy, base_url = ground.settings, ground.settings.servers, ground.settings.base_url
    spawners = SpawnerGateway(
        kind=ground.inputs.spawner,
        config=ground.inputs.config,
        backend=backend,
        authenticator=ground.authenticator,
        auth_states=ground.auth_states,
    )
    origins = origins_of(settings)
    tables = [
        RouteTable(proxy=proxy, tasks=ground.tasks, base_url=base_url, origins=origins) for proxy in ground.proxies
    ]
    progress = ProgressBook(base_url=base_url, origins=origins)
    queue = QueueBook(clock=ground.clock)
    breaker = StartBreaker(clock=ground.clock, limit=policy.consecutive_failure_limit)
    effects = ServerEffects(
        store=ground.store,
        spawners=spawners,
        routes=Routes(tables),
        prober=HttpProber(),
        clock=ground.clock,
        randomness=ground.randomness,
        environment=environment_of(ground),
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
        journal=ServerJournal(events=HandledServerEvents(ground.inputs.event_handlers, clock=ground.clock)),
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
            origins=origins,
        )
        for proxy, table, outbox in zip(ground.proxies, tables, ground.outboxes, strict=True)
    ]
    stop_server = StopServer(store=ground.store, clock=ground.clock, driver=driver, refresh=ground.refresh)
    admission = Admission(
        store=ground.store, driver=driver, book=queue, progress=progress, breaker=breaker, policy=policy
    )
    return Machinery(
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
