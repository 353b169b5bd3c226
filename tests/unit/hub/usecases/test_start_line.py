from __future__ import annotations

import asyncio

import pytest

from perijove.hub.usecases.start_line import StartLine


def silent(_ahead: int) -> None:
    """Nobody listens."""


async def enter_later(line: StartLine, server_id: int, heard: list[int] | None = None) -> asyncio.Task[None]:
    listener = silent if heard is None else heard.append
    task = asyncio.ensure_future(line.enter(server_id, listener))  # noqa: TID251  # the test's own task
    await asyncio.sleep(0)
    return task


async def test_there_is_room_up_to_the_limit() -> None:
    line = StartLine(limit=2)

    await line.enter(1, silent)
    await line.enter(2, silent)
    third = await enter_later(line, 3)

    assert (third.done(), len(line)) == (False, 1)
    line.leave(1)
    await third


async def test_first_come_first_served() -> None:
    line = StartLine(limit=1)
    await line.enter(1, silent)
    tasks = [await enter_later(line, n) for n in (2, 3, 4)]
    order = []
    for n in (1, 2, 3):
        line.leave(n)
        await asyncio.sleep(0)
        order.append([task.done() for task in tasks])

    assert order == [[True, False, False], [True, True, False], [True, True, True]]


async def test_who_waits_hears_how_many_are_before_them() -> None:
    line = StartLine(limit=1)
    heard: list[int] = []
    await line.enter(1, silent)
    second = await enter_later(line, 2)
    third = await enter_later(line, 3)
    await enter_later(line, 4, heard)

    third.cancel()
    await asyncio.wait({third})
    line.leave(1)
    await second

    assert heard == [2, 1, 0]
    line.leave(2)
    await asyncio.sleep(0)
    assert len(line) == 0


async def test_who_leaves_the_line_loses_no_place_for_others() -> None:
    """
    A turn given to somebody who was just cancelled goes to the next.
    """
    line = StartLine(limit=1)
    await line.enter(1, silent)
    second, third = await enter_later(line, 2), await enter_later(line, 3)

    line.leave(1)
    second.cancel()
    await asyncio.wait({second})

    assert second.cancelled()
    await third


async def test_being_inside_already_is_fine_and_so_is_leaving_twice() -> None:
    line = StartLine(limit=1)
    await line.enter(1, silent)
    await line.enter(1, silent)
    line.leave(1)
    line.leave(1)

    await line.enter(2, silent)


@pytest.mark.parametrize("limit", [0, -1])
async def test_without_a_limit_nobody_waits(limit: int) -> None:
    line = StartLine(limit=limit)

    for n in range(1000):
        await line.enter(n, silent)

    assert len(line) == 0
