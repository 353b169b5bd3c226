from __future__ import annotations

import asyncio

import pytest

from perijove.kit.steps import STEP, in_steps


@pytest.mark.parametrize("count", [0, 1, STEP, 3 * STEP + 1])
async def test_every_item_comes_once_and_in_order(count: int) -> None:
    assert [item async for item in in_steps(range(count))] == list(range(count))


async def test_others_have_their_turn_within_a_long_loop() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.ensure_future(other())  # noqa: TID251  # a test's own
    async for _ in in_steps(range(10 * STEP)):
        pass
    waiting.cancel()

    assert turns >= 10
