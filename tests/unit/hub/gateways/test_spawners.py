from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from traitlets.config import Config

from perijove.authenticators.base import Authenticator
from perijove.hub.domain.errors import LauncherAway, LaunchFailed, StoreAway
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.gateways.spawners import SpawnerGateway
from perijove.hub.ports import SpawnPlan, Store
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.hub.usecases.testing import START, FakeVault
from perijove.spawners.testing import FakeMachine, FakeSpawner


class Doorman(Authenticator):
    """Writes down what it is asked, before and after."""

    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self._said = said

    async def pre_spawn_start(self, user: Any, spawner: Any) -> None:
        self._said.append(f"authenticator: {user.name} starts {spawner.name!r}")

    async def post_spawn_stop(self, user: Any, spawner: Any) -> None:
        self._said.append(f"authenticator: {user.name} has stopped {spawner.name!r}")


class AwayStore:
    """Does not answer."""

    def reading(self) -> Any:
        raise StoreAway


class World:
    """One user with an auth state, and hooks that write down that they were called."""

    def __init__(self, *, with_hook: bool = True) -> None:
        self.said: list[str] = []
        self.store = MemoryStore()
        self.machine = FakeMachine()
        self.config = Config()
        if with_hook:
            self.config.Spawner.auth_state_hook = lambda _, state: self.said.append(f"state: {state}")
        self.config.Spawner.pre_spawn_hook = lambda _: self.said.append("pre-spawn")
        self.config.Spawner.post_stop_hook = lambda _: self.said.append("post-stop")

    async def plan(self) -> SpawnPlan:
        async with self.store.unit() as unit:
            user: User = await unit.users.add(name="ada", admin=False, created=START)
            server: Server = await unit.servers.add(user_id=user.id, name="", created=START)
            await AuthStateBook(store=self.store, vault=FakeVault()).put_in(unit, user, {"token": 1})
        return SpawnPlan(server=replace(server, generation=1), user=user)

    def gateway(self, store: Store | None = None) -> SpawnerGateway:
        return SpawnerGateway(
            kind=FakeSpawner,
            config=self.config,
            backend=self.machine,
            authenticator=Doorman(self.said),
            auth_states=AuthStateBook(store=store or self.store, vault=FakeVault()),
        )


async def test_authenticator_state_and_hook_come_before_the_start_and_after_the_stop_in_that_order() -> None:
    world = World()
    plan = await world.plan()

    running = await world.gateway().launch(plan)
    await world.gateway().terminate(replace(plan.server, handle=running.handle))

    assert world.said == [
        "authenticator: ada starts ''",
        "state: {'token': 1}",
        "pre-spawn",
        "authenticator: ada has stopped ''",
        "post-stop",
    ]


async def test_a_database_that_is_away_when_the_state_is_needed_fails_no_start() -> None:
    world = World()
    plan = await world.plan()

    with pytest.raises(LauncherAway):
        await world.gateway(AwayStore()).launch(plan)  # type: ignore[arg-type]  # as much of one as is needed

    assert (world.said, world.machine.starts) == ([], 0)


async def test_without_a_hook_the_state_is_not_even_asked_for() -> None:
    world = World(with_hook=False)
    plan = await world.plan()

    await world.gateway(AwayStore()).launch(plan)  # type: ignore[arg-type]

    assert world.machine.starts == 1


async def test_a_hook_that_stumbles_over_the_state_fails_that_start_alone() -> None:
    world = World()
    world.config.Spawner.auth_state_hook = lambda _, state: state["not there"]
    plan = await world.plan()

    with pytest.raises(LaunchFailed, match="only an administrator"):
        await world.gateway().launch(plan)

    assert world.machine.starts == 0
