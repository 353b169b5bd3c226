"""
The driver over real databases: what the rows say is enough to go on from, whenever the hub dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.users import User
from perijove.hub.store.sql import SqlStore
from tests.support.databases import Databases
from tests.unit.hub.usecases.world import Fuse, Hub, World

#: every how many of the points that the unit test tries over the store in memory is tried over each database
STEPS = {"sqlite": 3, "postgresql": 7}


@asynccontextmanager
async def world_over(db_url: str) -> AsyncIterator[World]:
    async with SqlStore(db_url) as store:
        yield World(store)


async def start_and_stop(hub: Hub, user: User) -> None:
    server = await hub.start(user, "")
    await hub.driver.settled(server.id, 10)
    await hub.stop.and_wait(user, "", timeout=10)


async def play(world: World, fuse: Fuse, user: User) -> None:
    """Until the scenario or the hub is over."""
    async with world.hub(fuse=fuse) as hub:
        playing = hub.tasks.start("scenario", start_and_stop(hub, user))
        dead = hub.tasks.start("death", fuse.blown.wait())
        await asyncio.wait({playing, dead}, return_when=asyncio.FIRST_COMPLETED)


async def recover(world: World, user: User) -> None:
    """A new hub takes up what it finds."""
    async with world.hub() as hub:
        await hub.driver.recover()
        async with world.store.unit() as unit:
            server = await unit.servers.get(user.id, "")
        if server is not None and server.state is not State.STOPPED:
            await hub.driver.settled(server.id, 10)
        await hub.driver.watch.poll_ready()
        await hub.reconciler.once()


async def empty(db_url: str) -> None:
    """Nobody is there any more, nor what was theirs."""
    async with SqlStore(db_url) as store, store.unit() as unit:
        users, _ = await unit.users.page(offset=0, limit=100)
        for user in users:
            await unit.users.delete(user.id)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_hub_killed_anywhere_goes_on_from_the_rows(databases: Databases, kind: str) -> None:
    whole = Fuse()
    with databases.fresh(kind) as db_url:
        async with world_over(db_url) as world:
            await play(world, whole, await world.add_user())

        for point in range(1, whole.burnt + 1, STEPS[kind]):
            await empty(db_url)
            async with world_over(db_url) as world:
                ada = await world.add_user()
                with capture_logs():
                    await play(world, Fuse(point), ada)
            # It is opened anew, as a new process does; processes and proxy have gone on meanwhile.
            async with SqlStore(db_url) as store:
                world.store = store
                await recover(world, ada)

                await world.check()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_many_who_start_and_stop_at_once_all_come_to_an_end(databases: Databases, kind: str) -> None:
    """
    Units side by side, on every connection of the pool: nobody waits for ever, and nothing is left behind.
    """
    with databases.fresh(kind) as db_url:
        async with world_over(db_url) as world:
            people = [await world.add_user(f"user{number}") for number in range(20)]
            async with world.hub() as hub:
                await asyncio.gather(*(start_and_stop(hub, user) for user in people))
                await asyncio.gather(*(hub.start(user, "") for user in people))
                await asyncio.gather(*(hub.stop.and_wait(user, "", timeout=30) for user in people))

            await world.check()
