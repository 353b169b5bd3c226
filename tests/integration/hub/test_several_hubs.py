"""
Several hubs over one real database, each with connections of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import pytest

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.attempts import AttemptRule
from perijove.hub.domain.errors import TooManyAttempts
from perijove.hub.domain.lifecycle import State
from perijove.hub.ports import Store
from perijove.hub.store.sql import SqlStore
from perijove.hub.usecases.limit_attempts import AttemptLimiter
from perijove.hub.usecases.membership import Membership
from perijove.kit.tasks import TaskGroup
from tests.support.databases import Databases
from tests.unit.hub.usecases.world import Hub, World

pytestmark = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
LEASE: Final = 2.0
POLICY: Final = ServerPolicy(lease_seconds=LEASE)
#: seconds in which anything here is done
PATIENCE: Final = 20.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """A world, and stores over its database for hubs."""

    world: World
    stores: tuple[Store, Store]


@asynccontextmanager
async def deployment(databases: Databases, kind: str) -> AsyncIterator[Deployment]:
    with databases.fresh(kind) as db_url:
        async with AsyncExitStack() as stack:
            one, two = [await stack.enter_async_context(SqlStore(db_url)) for _ in range(2)]
            yield Deployment(World(one), (one, two))


async def story_of(hub: Hub, server_id: int) -> list[str]:
    return [event.message async for event in hub.driver.progress(server_id)]


async def test_a_start_whose_hub_was_killed_is_finished_by_another(databases: Databases, kind: str) -> None:
    async with deployment(databases, kind) as made, AsyncExitStack() as stack:
        world, (here, there) = made.world, made.stores
        ada = await world.add_user()
        world.prober.gate.clear()
        async with world.hub(policy=POLICY, name="one", watching=True, store=here) as one:
            asked = await one.start(ada, "")
            async with asyncio.timeout(PATIENCE):
                while not world.prober.probed:  # noqa: ASYNC110  # the prober tells nobody
                    await asyncio.sleep(0.01)
            two = await stack.enter_async_context(world.hub(policy=POLICY, name="two", watching=True, store=there))
            await two.membership.keep()
        world.prober.gate.set()
        server = await two.driver.settled(asked.id, PATIENCE)
        await world.check()

    assert server.state is State.READY


async def test_who_waits_at_another_hub_hears_what_becomes_of_a_start(databases: Databases, kind: str) -> None:
    async with deployment(databases, kind) as made, AsyncExitStack() as stack:
        world, (here, there) = made.world, made.stores
        ada = await world.add_user()
        world.spawners.gate.clear()
        one = await stack.enter_async_context(world.hub(policy=POLICY, name="one", watching=True, store=here))
        two = await stack.enter_async_context(world.hub(policy=POLICY, name="two", watching=True, store=there))
        asked = await one.start(ada, "")
        tasks = await stack.enter_async_context(TaskGroup("test"))
        story = tasks.start("story", story_of(two, asked.id))
        waiting = tasks.start("wait", two.driver.settled(asked.id, PATIENCE))
        await asyncio.sleep(0)
        world.spawners.gate.set()
        server = await asyncio.wait_for(waiting, PATIENCE)
        told = await asyncio.wait_for(story, PATIENCE)
        await world.check()

    assert server.state is State.READY
    assert told[-1] == "Server ready at /user/ada/"


async def test_a_stop_at_another_hub_ends_a_start(databases: Databases, kind: str) -> None:
    async with deployment(databases, kind) as made, AsyncExitStack() as stack:
        world, (here, there) = made.world, made.stores
        ada = await world.add_user()
        world.prober.gate.clear()
        one = await stack.enter_async_context(world.hub(policy=POLICY, name="one", watching=True, store=here))
        two = await stack.enter_async_context(world.hub(policy=POLICY, name="two", watching=True, store=there))
        await one.start(ada, "")
        async with asyncio.timeout(PATIENCE):
            while not world.prober.probed:  # noqa: ASYNC110  # the prober tells nobody
                await asyncio.sleep(0.01)

        stopped = await two.stop.and_wait(ada, "", timeout=PATIENCE)
        await world.check()

    assert stopped.state is State.STOPPED


async def test_of_many_attempts_at_all_hubs_at_once_no_more_get_through_than_may(
    databases: Databases, kind: str
) -> None:
    async with deployment(databases, kind) as made:
        rule = AttemptRule(per_account=3, per_address=100, window_seconds=300)
        hubs = [AttemptLimiter(store=store, clock=made.world.clock, rule=rule) for store in made.stores]
        tries = [hubs[n % 2].count(account="ada", address=f"10.0.0.{n}") for n in range(20)]

        ends = await asyncio.gather(*tries, return_exceptions=True)

    assert [end is None for end in ends].count(True) == 3
    assert [isinstance(end, TooManyAttempts) for end in ends].count(True) == 17


async def test_processes_that_register_at_once_under_one_name_are_different_incarnations(
    databases: Databases, kind: str
) -> None:
    async with deployment(databases, kind) as made:
        members = [
            Membership(store=made.stores[n % 2], clock=made.world.clock, name="one", lease_seconds=LEASE)
            for n in range(6)
        ]

        await asyncio.gather(*(member.keep() for member in members))

    assert sorted(member.holder for member in members) == [f"one#{n}" for n in range(1, 7)]
