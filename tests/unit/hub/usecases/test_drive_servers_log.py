"""
What an operator reads: one line when a server has started, stopped or failed.
"""

from __future__ import annotations

import asyncio
from typing import Any

from structlog.testing import capture_logs

from perijove.hub.ports import Exit
from tests.unit.hub.usecases.world import World


def told(lines: list[Any]) -> list[tuple[str, str]]:
    return [(line["log_level"], line["event"]) for line in lines if line["log_level"] != "debug"]


async def test_a_start_and_a_stop_are_one_line_each() -> None:
    world = World()
    ada = await world.add_user()

    with capture_logs() as lines:
        async with world.hub() as hub:
            server = await hub.start(ada, "")
            await hub.driver.settled(server.id, 10)
            await hub.stop.and_wait(ada, "", timeout=10)

    assert told(lines) == [("info", "server.started"), ("info", "server.stopped")]


async def test_a_server_that_nobody_stopped_is_a_warning_with_its_reason() -> None:
    world = World()
    ada = await world.add_user()

    with capture_logs() as lines:
        async with world.hub(watching=True) as hub:
            server = await hub.start(ada, "")
            await hub.driver.settled(server.id, 10)
            world.spawners.die(server.key, Exit(message="It was ended by signal SIGKILL."))
            await asyncio.sleep(0.1)

    assert told(lines)[-1] == ("warning", "server.exited")
    assert lines[-1]["why"] == "It was ended by signal SIGKILL."
