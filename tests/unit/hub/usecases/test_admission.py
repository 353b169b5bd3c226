from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.errors import StartsPaused
from perijove.hub.domain.lifecycle import STARTING, State
from perijove.hub.domain.users import User
from perijove.hub.usecases.admission import BATCH
from tests.unit.hub.usecases.world import Fuse, Hub, World

ONE_AT_ONCE = ServerPolicy(concurrent_spawn_limit=1)


async def people(world: World, count: int) -> list[User]:
    return [await world.add_user(f"user{n:03}") for n in range(count)]


async def ask(hub: Hub, users: list[User]) -> list[int]:
    """Ids of the servers, asked for in that order, a moment apart."""
    ids = []
    for user in users:
        ids.append((await hub.start(user, "")).id)
        await asyncio.sleep(0.01)
    return ids


async def states(world: World) -> dict[State, int]:
    async with world.store.reading() as unit:
        rows = await unit.servers.in_states(State)
    return {
        state: sum(row.state is state for row in rows) for state in State if any(row.state is state for row in rows)
    }


async def all_ready(world: World, seconds: float = 100) -> list[str]:
    """The order in which processes were made, once all is quiet."""
    await asyncio.sleep(seconds)
    await world.check()
    return [key for key, _ in world.spawners.launches]


async def test_no_more_start_at_once_than_the_limit_says() -> None:
    world = World()
    world.spawners.gate.clear()

    async with world.hub(policy=ServerPolicy(concurrent_spawn_limit=3)) as hub:
        await ask(hub, await people(world, 10))
        await asyncio.sleep(5)
        while_full = await states(world)
        world.spawners.gate.set()
        await all_ready(world)

    assert while_full == {State.LAUNCHING: 3, State.QUEUED: 7}
    assert len(world.spawners.launches) == 10


async def test_without_a_limit_all_start() -> None:
    world = World()

    async with world.hub(policy=ServerPolicy(concurrent_spawn_limit=0)) as hub:
        await ask(hub, await people(world, 2 * BATCH + 1))
        await all_ready(world)

    assert len(world.spawners.launches) == 2 * BATCH + 1


async def test_a_killed_hub_takes_nobodys_place_with_it() -> None:
    world = World()
    users = await people(world, 8)
    world.spawners.gate.clear()
    async with world.hub(policy=ONE_AT_ONCE) as hub:
        await ask(hub, users)
        await asyncio.sleep(1)

    world.spawners.gate.set()
    async with world.hub(policy=ONE_AT_ONCE, watching=True):
        order = await all_ready(world)

    assert order == [f"{user.name}/" for user in users]


async def test_the_limit_holds_for_all_hubs_together_and_any_of_them_admits() -> None:
    world = World()
    users = await people(world, 30)
    policy = ServerPolicy(concurrent_spawn_limit=4)
    world.spawners.gate.clear()
    starting = []

    async with AsyncExitStack() as stack:
        hubs = [
            await stack.enter_async_context(world.hub(policy=policy, name=f"hub-{n}", watching=True)) for n in range(3)
        ]
        for n, user in enumerate(users):
            await hubs[n % 3].start(user, "")
        for _ in range(5):
            await asyncio.sleep(5)
            async with world.store.reading() as unit:
                starting.append(await unit.servers.count_in(STARTING))
            # Those who wait at the gate now pass; whoever comes later waits.
            world.spawners.gate.set()
            world.spawners.gate.clear()
        world.spawners.gate.set()
        await all_ready(world)

    assert starting == [4] * 5
    assert len(world.spawners.launches) == 30


async def test_a_group_of_few_does_not_wait_for_a_group_of_many() -> None:
    world = World()
    users = await people(world, 12)
    async with world.store.unit() as unit:
        many, few = await unit.groups.put("many", properties={}), await unit.groups.put("few", properties={})
        await unit.groups.add_members(many.id, [user.id for user in users[:-1]])
        await unit.groups.add_members(few.id, [users[-1].id])
    world.spawners.gate.clear()

    async with world.hub(policy=ONE_AT_ONCE) as hub:
        await ask(hub, users)
        world.spawners.gate.set()
        order = await all_ready(world)

    assert order.index("user011/") == 1


async def test_whoever_waits_is_shown_a_place_until_it_is_their_turn() -> None:
    world = World()
    world.spawners.gate.clear()

    async with world.hub(policy=ONE_AT_ONCE) as hub:
        ids = await ask(hub, await people(world, 4))
        await asyncio.sleep(2)
        waiting = [hub.queue.place_of(server_id) for server_id in ids]
        world.spawners.gate.set()
        await all_ready(world)
        after = [hub.queue.place_of(server_id) for server_id in ids]

    assert [place and place.ahead for place in waiting] == [None, 0, 1, 2]
    assert after == [None] * 4


async def test_a_long_line_is_told_its_place_only_when_it_has_changed_enough() -> None:
    world = World()
    world.spawners.gate.clear()

    async with world.hub(policy=ONE_AT_ONCE) as hub:
        ids = await ask(hub, await people(world, 40))
        world.spawners.gate.set()
        story = [event.message async for event in hub.driver.progress(ids[-1])]

    told = [int(text.split()[3]) for text in story if text.startswith("Waiting in line")]
    assert told[-1] == 0
    assert told == sorted(told, reverse=True)
    assert 10 < len(told) < 30


async def test_a_stop_takes_somebody_out_of_the_line() -> None:
    world = World()
    users = await people(world, 3)
    world.spawners.gate.clear()

    async with world.hub(policy=ONE_AT_ONCE) as hub:
        await ask(hub, users)
        stopped = await hub.stop(users[1], "")
        world.spawners.gate.set()
        order = await all_ready(world)

    assert (stopped.state, stopped.failure, stopped.queued_at) == (State.STOPPED, "", None)
    assert order == ["user000/", "user002/"]


async def test_a_profile_that_fails_for_everybody_pauses_and_harms_no_other() -> None:
    world = World()
    users = await people(world, 6)
    policy = ServerPolicy(concurrent_spawn_limit=2, consecutive_failure_limit=3)
    world.spawners.fail_with = "no such image"

    async with world.hub(policy=policy) as hub:
        for user in users[:3]:
            asked = await hub.start(user, "", options={"profile": "gpu"})
            await hub.driver.settled(asked.id, 10)
        with pytest.raises(StartsPaused):
            await hub.start(users[3], "", options={"profile": "gpu"})
        world.spawners.fail_with = ""
        other = await hub.start(users[4], "", options={"profile": "cpu"})
        was_other = await hub.driver.settled(other.id, 10)
        await asyncio.sleep(30)
        trial = await hub.start(users[3], "", options={"profile": "gpu"})
        was_trial = await hub.driver.settled(trial.id, 10)
        again = await hub.start(users[5], "", options={"profile": "gpu"})
        was_again = await hub.driver.settled(again.id, 10)

    assert {was_other.state, was_trial.state, was_again.state} == {State.READY}


async def test_who_waits_behind_failures_of_their_kind_is_told_so_instead_of_failing_too() -> None:
    world = World()
    users = await people(world, 5)
    world.spawners.fail_with = "no such image"
    world.spawners.gate.clear()

    async with world.hub(policy=ServerPolicy(concurrent_spawn_limit=1, consecutive_failure_limit=2)) as hub:
        ids = await ask(hub, users)
        world.spawners.gate.set()
        ends = [await hub.driver.settled(server_id, 60) for server_id in ids]

    assert [end.failure for end in ends[:2]] == ["no such image"] * 2
    assert all("in a row" in end.failure for end in ends[2:])
    assert {end.state for end in ends} == {State.STOPPED}


async def test_hubs_killed_anywhere_keep_the_line_moving_and_its_order() -> None:
    """
    Whatever the hub was doing: the next one finishes every start, one after the other, in the order of asking.
    """
    whole = Fuse()
    await _killed(whole)

    for point in range(1, whole.burnt + 1, 3):
        await _killed(Fuse(point))


async def _killed(fuse: Fuse) -> None:
    world = World()
    users = await people(world, 4)
    world.spawners.gate.clear()
    async with world.hub(policy=ONE_AT_ONCE) as hub:
        await ask(hub, users)
        await asyncio.sleep(1)
    assert await states(world) == {State.LAUNCHING: 1, State.QUEUED: 3}
    world.spawners.gate.set()
    async with world.hub(policy=ONE_AT_ONCE, fuse=fuse, watching=True):
        await asyncio.sleep(30)
    async with world.hub(policy=ONE_AT_ONCE, watching=True):
        order = await all_ready(world)
    assert order == [f"{user.name}/" for user in users]
