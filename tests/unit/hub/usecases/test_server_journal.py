"""
Which starts and stops are told as events: those that succeeded, each once.
"""

from __future__ import annotations

import asyncio

from perijove.config.settings import ServerPolicy
from perijove.hub.ports import Exit
from tests.unit.hub.usecases.world import World


async def test_a_start_and_a_stop_are_an_event_each() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub(policy=ServerPolicy(allow_named_servers=True)) as hub:
        for name in ("", "second"):
            server = await hub.start(ada, name)
            await hub.driver.settled(server.id, 10)
        await hub.stop.and_wait(ada, "second", timeout=10)

    assert world.events.told == [("start", "ada", ""), ("start", "ada", "second"), ("stop", "ada", "second")]


async def test_a_server_that_died_was_not_stopped() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub(watching=True) as hub:
        server = await hub.start(ada, "")
        await hub.driver.settled(server.id, 10)
        world.spawners.die(server.key, Exit(message="It was ended by signal SIGKILL."))
        await hub.driver.settled(server.id, 10)
        await asyncio.sleep(0.1)

    assert world.events.told == [("start", "ada", "")]


async def test_a_start_that_failed_is_neither() -> None:
    world = World()
    ada = await world.add_user()
    world.prober.answers = False

    async with world.hub() as hub:
        server = await hub.start(ada, "")
        await hub.driver.settled(server.id, 1000)

    assert world.events.told == []


async def test_a_stop_that_another_hub_has_to_end_is_told_once() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub() as first:
        server = await first.start(ada, "")
        await first.driver.settled(server.id, 10)
    async with world.hub(watching=True) as second:
        await second.stop.and_wait(ada, "", timeout=10)

    assert world.events.told == [("start", "ada", ""), ("stop", "ada", "")]
