from __future__ import annotations

import asyncio

import pytest

from perijove.kit.tasks import TaskGroup
from perijove.spawners.errors import SpawnFailed, StopTimedOut
from perijove.spawners.testing import FakeMachine, FakeSpawner
from perijove.spawners.values import SpawnerUser, SpawnRequest

REQUEST = SpawnRequest(key="ada/", generation=1, user="ada", server_name="", environment={})


def spawner(machine: FakeMachine) -> FakeSpawner:
    return FakeSpawner(user=SpawnerUser(name="ada"), backend=machine)


async def test_a_start_can_be_held_up() -> None:
    machine = FakeMachine(gate=asyncio.Event())
    async with TaskGroup("test") as tasks:
        start = tasks.start("start", spawner(machine).start(REQUEST))
        await asyncio.sleep(0)
        held = start.done()
        assert machine.gate is not None
        machine.gate.set()
        await start

    assert not held
    assert machine.starts == 1


async def test_a_start_can_fail() -> None:
    with pytest.raises(SpawnFailed, match="no room"):
        await spawner(FakeMachine(failure="no room")).start(REQUEST)


async def test_a_deaf_server_is_stopped_only_by_force() -> None:
    machine = FakeMachine(deaf=True)
    running = await spawner(machine).start(REQUEST)

    with pytest.raises(StopTimedOut):
        await spawner(machine).stop(running.handle)
    await spawner(machine).stop(running.handle, now=True)

    assert await spawner(machine).poll(running.handle) is not None


async def test_a_server_can_die_by_itself() -> None:
    machine = FakeMachine()
    running = await spawner(machine).start(REQUEST)
    machine.end("ada/", status=9)
    report = await spawner(machine).poll(running.handle)

    assert report is not None
    assert (report.status, report.asked) == (9, False)
