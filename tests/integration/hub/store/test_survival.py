"""
The driver over SQLite: what the rows in the file say is enough to go on from, whenever the hub dies.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.users import User
from perijove.hub.store.schema import upgrade
from perijove.hub.store.sql import SqlStore
from tests.unit.hub.usecases.world import Fuse, Hub, World


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("database") / "empty.sqlite"
    upgrade(f"sqlite:///{file}")
    return file


@asynccontextmanager
async def world_over(file: Path) -> AsyncIterator[World]:
    async with SqlStore(f"sqlite:///{file}") as store:
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


async def test_a_hub_killed_anywhere_goes_on_from_the_file(empty_database: Path, tmp_path: Path) -> None:
    """
    Every third of the points that the unit test tries over the store in memory.
    """
    whole = Fuse()
    shutil.copy(empty_database, tmp_path / "whole.sqlite")
    async with world_over(tmp_path / "whole.sqlite") as world:
        await play(world, whole, await world.add_user())

    for point in range(1, whole.burnt + 1, 3):
        file = tmp_path / f"{point}.sqlite"
        shutil.copy(empty_database, file)
        async with world_over(file) as world:
            ada = await world.add_user()
            with capture_logs():
                await play(world, Fuse(point), ada)
        # The file is opened anew, as a new process does; processes and proxy have gone on meanwhile.
        async with SqlStore(f"sqlite:///{file}") as store:
            world.store = store
            await recover(world, ada)

            await world.check()
