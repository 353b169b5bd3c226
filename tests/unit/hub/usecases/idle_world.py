"""
A hub that stops idle servers, and servers that report to it as ours do, in time that passes at once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from perijove.hub.domain.idle import read_policies
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.ports import Store
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.cull import Culler
from perijove.hub.usecases.deadlines import Deadlines, KeepServer, Policies
from perijove.hub.usecases.load_roles import load_roles
from perijove.hub.usecases.sign_out import Revocations
from perijove.hub.usecases.users import DeleteUser
from perijove.kit.clock import Clock
from perijove.kit.tasks import TaskGroup
from perijove.singleuser.activity import ActivityReporter, Standing
from perijove.singleuser.busy import KERNEL
from perijove.singleuser.environment import read
from perijove.wire.activity import Deadline, deadline_body
from tests.unit.hub.usecases.world import Hub, World

INTERVAL = 300.0
HOUR = 3600.0
POLICY = {"idle_seconds": HOUR, "warn_seconds": 300, "extend_seconds": HOUR}


class Watch:
    """What one hub process knows of idleness."""

    def __init__(
        self,
        world: World,
        hub: Hub,
        policies: Sequence[Mapping[str, Any]],
        *,
        groups: Sequence[str] = (),
        roles: Sequence[Mapping[str, Any]] = (),
        store: Store | None = None,
    ) -> None:
        store = store or world.store
        book = load_roles(roles=roles, services=())
        rules = read_policies(policies, groups=groups, roles=book.names)
        self.activity = Activity(store=store, clock=world.clock, report_seconds=INTERVAL)
        self.deadlines = Deadlines(
            clock=world.clock,
            activity=self.activity,
            policies=Policies(policies=rules, roles=book, clock=world.clock, store=store),
            report_seconds=INTERVAL,
        )
        self.keep = KeepServer(store=store, clock=world.clock, activity=self.activity, deadlines=self.deadlines)
        self.culler = Culler(
            store=store,
            clock=world.clock,
            activity=self.activity,
            deadlines=self.deadlines,
            stop_server=hub.stop,
            delete_user=DeleteUser(
                store=store,
                clock=world.clock,
                stop_server=hub.stop,
                revocations=Revocations(outboxes=[], clock=world.clock),
                stop_timeout=10,
            ),
            report_seconds=INTERVAL,
        )

    async def run(self) -> None:
        """As the composition root does."""
        async with TaskGroup("watch") as tasks:
            tasks.start("culler", self.culler.run())
            while True:
                await asyncio.sleep(30)
                await self.activity.flush()

    async def post(self, user: str, body: str) -> str:
        """What the API does with a report."""
        speaking = await self.activity.report(user, json.loads(body))
        deadlines = await self.deadlines.of(speaking)
        return json.dumps({"servers": {row.name: deadline_body(deadlines.get(row.id)) for row in speaking}})


class Notebook:
    """A server of ours from within: used, busy, warned."""

    def __init__(self, watch: Watch, user: User, clock: Clock) -> None:
        self._clock = clock
        self._used = clock.now()
        self.is_busy = False
        self.warned_at: list[float] = []

        async def post(body: str) -> str:
            return await watch.post(user.name, body)

        environment = {"JUPYTERHUB_SERVICE_PREFIX": "/", "JUPYTERHUB_USER": user.name, "JUPYTER_RUNTIME_DIR": "/run"}
        self.reporter = ActivityReporter(
            config=replace(read(environment), activity_interval=INTERVAL),
            standing=self._standing,
            post=post,
            now=clock.now,
            spread=lambda: 0.0,
        )

    def use(self) -> None:
        """Somebody does something."""
        self._used = self._clock.now()

    def _standing(self) -> Standing:
        if self.is_busy:
            self._used = self._clock.now()
        return Standing(last_activity=self._used, busy=KERNEL if self.is_busy else None)

    async def run(self) -> None:
        """Report, and look as often as a page does whether there is something to show."""
        async with TaskGroup("notebook") as tasks:
            tasks.start("reports", self.reporter.keep_reporting())
            while True:
                await asyncio.sleep(5)
                if self.reporter.warning is not None:
                    self.warned_at.append(asyncio.get_running_loop().time())


class Scene:
    """One user with a running server, and a hub that watches it."""

    def __init__(self, world: World, hub: Hub, tasks: TaskGroup, watch: Watch, user: User) -> None:
        self.world = world
        self.hub = hub
        self.tasks = tasks
        self.watch = watch
        self.user = user

    async def start(self) -> Server:
        """Start the server."""
        server = await self.hub.start(self.user, "")
        return await self.hub.driver.settled(server.id, 10)

    def notebook(self, watch: Watch | None = None) -> Notebook:
        """Ours runs in it."""
        inside = Notebook(watch or self.watch, self.user, self.world.clock)
        self.tasks.start("notebook", inside.run())
        return inside

    async def row(self) -> Server:
        """As it is."""
        return await self.world.server(self.user)

    async def stopped_after(self, limit: float) -> float | None:
        """Seconds until the server is stopped; None if it still runs after *limit*."""
        began = asyncio.get_running_loop().time()
        while (passed := asyncio.get_running_loop().time() - began) < limit:
            if not (await self.row()).is_active:
                return passed
            await asyncio.sleep(15)
        return None

    async def deadline(self) -> Deadline | None:
        """What somebody who asks is told."""
        return await self.watch.deadlines.of_one(self.watch.activity.fresh_server(await self.row()))

    def later(self, seconds: float) -> datetime:
        """From now."""
        return self.world.clock.now() + timedelta(seconds=seconds)


@asynccontextmanager
async def scene(*policies: Mapping[str, Any], running: bool = True, **more: Any) -> AsyncIterator[Scene]:
    """With these policies; *running*: the hub looks after idle servers."""
    world = World()
    ada = await world.add_user()
    async with world.hub() as hub, TaskGroup("scene") as tasks:
        watch = Watch(world, hub, policies, **more)
        if running:
            tasks.start("watch", watch.run())
        yield Scene(world, hub, tasks, watch, ada)
