"""
When the whole deployment stops, every server does, whatever it was about to do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perijove.hub.domain.errors import NoSuchServer, StaleGeneration
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import Server
from perijove.hub.usecases.servers import StopServer
from perijove.hub.usecases.stop_all import StopAllServers
from tests.unit.hub.usecases.world import World


async def test_all_are_stopped_in_whatever_state_they_are() -> None:
    world = World()
    ada, bob = await world.add_user("ada"), await world.add_user("bob")
    async with world.hub() as hub:
        await hub.driver.settled((await hub.start(ada, "")).id, 10)
        world.spawners.gate.clear()
        await hub.start(bob, "")
        stop_all = StopAllServers(store=world.store, stop_server=hub.stop)

        assert await stop_all(timeout=10) == 2
        assert await stop_all(timeout=10) == 0

    await world.check()
    assert not world.spawners.running()


async def test_what_does_not_end_in_time_is_left() -> None:
    world = World()
    ada = await world.add_user()
    async with world.hub() as hub:
        await hub.driver.settled((await hub.start(ada, "")).id, 10)
        world.spawners.is_away = True
        stop_all = StopAllServers(store=world.store, stop_server=hub.stop)

        assert await stop_all(timeout=10) == 0

    assert (await world.server(ada)).state is State.STOPPING


class Overtaken(StopServer):
    """
    Somebody else is quicker each time, and stops it.
    """

    def __init__(self, world: World, error: Exception, **parts: Any) -> None:
        super().__init__(**parts)
        self._world = world
        self._error = error

    async def by_id(self, server_id: int, *, why: str) -> Server:  # noqa: ARG002  # as the real one
        async with self._world.store.unit() as unit:
            row = await unit.servers.by_id(server_id)
            assert row is not None
            if isinstance(self._error, NoSuchServer):
                await unit.servers.delete(server_id)
            else:
                await unit.servers.swap(row, replace(row, state=State.STOPPED))
        raise self._error


@pytest.mark.parametrize("error", [StaleGeneration(), NoSuchServer()])
async def test_what_others_have_stopped_or_removed_counts_as_stopped(error: Exception) -> None:
    world = World()
    ada = await world.add_user()
    async with world.hub() as hub:
        await hub.driver.settled((await hub.start(ada, "")).id, 10)
        stop = Overtaken(world, error, store=world.store, clock=world.clock, driver=hub.driver)

        assert await StopAllServers(store=world.store, stop_server=stop)(timeout=10) == 1
