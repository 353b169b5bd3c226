from __future__ import annotations

import asyncio
from collections.abc import MutableSequence
from typing import Any

from perijove.hub.domain.errors import StoreAway
from perijove.hub.usecases.forever import forever
from perijove.kit.tasks import TaskGroup


async def test_no_failure_ends_the_rounds(logged: MutableSequence[Any]) -> None:
    rounds: list[float] = []
    failures = [StoreAway(), ZeroDivisionError("oops")]

    async def work() -> None:
        rounds.append(asyncio.get_running_loop().time())
        if failures:
            raise failures.pop(0)

    async with TaskGroup("test") as tasks:
        tasks.start("rounds", forever("chores", work, every=10))
        await asyncio.sleep(35)

    assert rounds == [0, 10, 20, 30]
    assert [(entry["event"], entry["work"]) for entry in logged] == [
        ("round.delayed", "chores"),
        ("round.failed", "chores"),
    ]
