"""
An imaginary deployment for tests: processes, a proxy and a store that outlive the hubs that drive them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.notices import Notice
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.ports import Store, Unit
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.admission import Admission
from perijove.hub.usecases.drive_servers import Driver
from perijove.hub.usecases.load_roles import RoleBook, load_roles
from perijove.hub.usecases.membership import Membership
from perijove.hub.usecases.progress_book import ProgressBook
from perijove.hub.usecases.queue_book import QueueBook
from perijove.hub.usecases.reconcile import Proxies, Reconciler
from perijove.hub.usecases.route_table import Routes, RouteTable
from perijove.hub.usecases.server_effects import ServerEffects
from perijove.hub.usecases.server_journal import ServerJournal
from perijove.hub.usecases.servers import StartServer, StopServer
from perijove.hub.usecases.share_progress import SharedProgress
from perijove.hub.usecases.sign_out import Outbox, Revocations
from perijove.hub.usecases.start_breaker import StartBreaker
from perijove.hub.usecases.testing import (
    START,
    FakeEnvironment,
    FakeProber,
    FakeProxy,
    FakeRandomness,
    FakeSigner,
    FakeSpawners,
    RecordedServerEvents,
)
from perijove.hub.usecases.testing_time import LoopClock
from perijove.kit.clock import Clock
from perijove.kit.tasks import TaskGroup


class Crash(BaseException):
    """The hub's process is gone, as after kill -9."""


class Fuse:
    """Blows at the n-th thing that the hub does to the world, and lets nothing pass from then on."""

    def __init__(self, blows_at: int = 0) -> None:
        self.burnt = 0
        self.blown = asyncio.Event()
        self._blows_at = blows_at

    def blow_in(self, steps: int) -> None:
        """Blow after that many further steps."""
        self._blows_at = self.burnt + steps + 1

    def burn_out(self) -> None:
        """Nothing passes from now on."""
        self._blows_at = 1
        self.burnt += 1
        self.blown.set()

    def burn(self) -> None:
        """One step further."""
        self.burnt += 1
        if self._blows_at and self.burnt >= self._blows_at:
            self.blown.set()
            raise Crash


class Fused:
    """Anything with async methods, with a step of the fuse before and after each."""

    def __init__(self, inner: object, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._inner, name)
        if not asyncio.iscoroutinefunction(inner):
            return inner

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._fuse.burn()
            answer = await inner(*args, **kwargs)
            self._fuse.burn()
            return answer

        return call


class FusedStore:
    """A store whose user may die before any statement, before a commit and after it."""

    def __init__(self, inner: Store, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """A transaction."""
        async with self._inner.unit() as unit:
            yield cast("Unit", FusedUnit(unit, self._fuse))
            self._fuse.burn()
        self._fuse.burn()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Unit]:
        """A look."""
        async with self._inner.reading() as unit:
            yield cast("Unit", FusedUnit(unit, self._fuse))

    def notices(self) -> AsyncGenerator[Notice, None]:
        """As they are: hearing one changes nothing."""
        return self._inner.notices()

    async def ping(self) -> None:
        """As it is."""
        await self._inner.ping()


class FusedUnit:
    """One transaction of it."""

    def __init__(self, unit: Unit, fuse: Fuse) -> None:
        self.users = Fused(unit.users, fuse)
        self.servers = Fused(unit.servers, fuse)
        self.sessions = Fused(unit.sessions, fuse)
        self.tokens = Fused(unit.tokens, fuse)
        self.accounts = Fused(unit.accounts, fuse)
        self.groups = Fused(unit.groups, fuse)
        self.hubs = Fused(unit.hubs, fuse)
        self.attempts = Fused(unit.attempts, fuse)
        self.facts = Fused(unit.facts, fuse)
        self.shares = Fused(unit.shares, fuse)
        self.services = Fused(unit.services, fuse)
        self.share_codes = Fused(unit.share_codes, fuse)
        self.audit = Fused(unit.audit, fuse)
        self.oauth_codes = Fused(unit.oauth_codes, fuse)
        self.alone = unit.alone
        self.notify = unit.notify


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """One hub process."""

    store: Store
    membership: Membership
    driver: Driver
    sharing: SharedProgress
    start: StartServer
    stop: StopServer
    routes: Routes
    #: of the first proxy
    reconciler: Reconciler
    proxies: Proxies
    revocations: Revocations
    admission: Admission
    queue: QueueBook
    breaker: StartBreaker
    tasks: TaskGroup
    activity: Activity
    roles: RoleBook


class World:
    """What outlives a hub."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or MemoryStore()
        self.proxy = FakeProxy()
        #: all of them; the first is `proxy`
        self.all_proxies = [self.proxy]
        self.spawners = FakeSpawners()
        self.prober = FakeProber()
        self.events = RecordedServerEvents()
        self.randomness = FakeRandomness()
        self.signer = FakeSigner()
        self.clock = LoopClock()

    @asynccontextmanager
    async def hub(
        self,
        *,
        policy: ServerPolicy | None = None,
        fuse: Fuse | None = None,
        watching: bool = False,
        name: str = "hub",
        clock: Clock | None = None,
        renewing: bool = True,
        store: Store | None = None,
    ) -> AsyncIterator[Hub]:
        """
        A running hub, gone in the end as after kill -9.

        Args:
            policy: of its servers.
            fuse: blows at some point.
            watching: with the loops that the composition root starts.
            name: what it registers as.
            clock: another than the world's.
            renewing: whether it stays registered, or hangs after it has registered.
            store: another than the world's, over the same database.
        """
        fuse = fuse or Fuse()
        async with TaskGroup("hub") as tasks:
            hub = self._assemble(policy or ServerPolicy(), fuse, tasks, name, clock or self.clock, store or self.store)
            await hub.membership.keep()
            if renewing:
                tasks.start("membership", hub.membership.run())
            tasks.start("queue", hub.admission.run())
            if watching:
                tasks.start("driver", hub.driver.run())
                tasks.start("notices", hub.sharing.run())
                tasks.start("proxies", hub.proxies.run())
            yield hub

    async def add_user(self, name: str = "ada") -> User:
        """Somebody who may have servers."""
        async with self.store.unit() as unit:
            return await unit.users.add(name=name, admin=False, created=START)

    async def server(self, user: User, name: str = "") -> Server:
        """A server's row as it is now."""
        async with self.store.unit() as unit:
            row = await unit.servers.get(user.id, name)
        assert row is not None
        return row

    async def check(self) -> None:
        """What must be true whenever nothing is under way."""
        async with self.store.unit() as unit:
            rows = await unit.servers.in_states(State)
            tokens = [
                token for row in rows for token in await unit.tokens.of_user(row.user_id) if token.server == row.key
            ]
        ready = {row.key for row in rows if row.state is State.READY}
        assert all(row.state in (State.READY, State.STOPPED) for row in rows), rows
        assert set(self.spawners.running()) == ready, "a server is lost, or runs unknown to the hub"
        assert {body["audience"] for body in self.proxy.table.values() if body["audience"]} == ready
        assert len(set(self.spawners.launches)) == len(self.spawners.launches), "one start made two processes"
        assert {token.server for token in tokens} == ready, "tokens live exactly as long as their servers"

    def _assemble(
        self, policy: ServerPolicy, fuse: Fuse, tasks: TaskGroup, name: str, clock: Clock, whole_store: Store
    ) -> Hub:
        store = cast("Store", FusedStore(whole_store, fuse))
        gateways = [cast("Any", Fused(proxy, fuse)) for proxy in self.all_proxies]
        spawners = cast("Any", Fused(self.spawners, fuse))
        roles = load_roles(roles=(), services=())
        tables = [RouteTable(proxy=gateway, tasks=tasks, base_url="/") for gateway in gateways]
        outboxes = [Outbox(gateway) for gateway in gateways]
        routes = Routes(tables)
        queue = QueueBook(clock=clock)
        breaker = StartBreaker(clock=clock, limit=policy.consecutive_failure_limit)
        progress = ProgressBook(base_url="/")
        activity = Activity(store=store, clock=clock)
        # Unfused: what it does changes no server, and a hub that dies stops doing it.
        membership = Membership(store=whole_store, clock=clock, name=name, lease_seconds=policy.lease_seconds)
        effects = ServerEffects(
            store=store,
            spawners=spawners,
            routes=routes,
            prober=cast("Any", Fused(self.prober, fuse)),
            clock=clock,
            randomness=self.randomness,
            environment=FakeEnvironment(),
            roles=roles,
            progress=progress,
            policy=policy,
            base_url="/",
            tasks=tasks,
        )
        driver = Driver(
            store=store,
            effects=effects,
            spawners=spawners,
            queue=queue,
            breaker=breaker,
            progress=progress,
            clock=clock,
            policy=policy,
            tasks=tasks,
            membership=membership,
            journal=ServerJournal(events=self.events),
        )
        admission = Admission(store=store, driver=driver, book=queue, progress=progress, breaker=breaker, policy=policy)
        reconcilers = [
            Reconciler(
                store=store,
                proxy=gateway,
                routes=table,
                outbox=outbox,
                signer=self.signer,
                activity=activity,
                clock=clock,
                hub_targets=["http+unix://hub"],
                base_url="/",
            )
            for gateway, table, outbox in zip(gateways, tables, outboxes, strict=True)
        ]
        return Hub(
            store=store,
            membership=membership,
            driver=driver,
            sharing=SharedProgress(store=store, driver=driver, progress=progress, membership=membership),
            start=StartServer(store=store, clock=clock, driver=driver, breaker=breaker, policy=policy),
            stop=StopServer(store=store, clock=clock, driver=driver),
            routes=routes,
            reconciler=reconcilers[0],
            proxies=Proxies(gateways=gateways, reconcilers=reconcilers),
            revocations=Revocations(outboxes=outboxes, clock=clock),
            admission=admission,
            queue=queue,
            breaker=breaker,
            tasks=tasks,
            activity=activity,
            roles=roles,
        )
