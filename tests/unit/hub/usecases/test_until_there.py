"""
Work waits for the part that it needs, and says which it was if that does not come.
"""

from __future__ import annotations

import asyncio

import pytest

from perijove.hub.domain.errors import LaunchFailed, StoreAway
from perijove.hub.usecases.until_there import LONGEST_PAUSE, until_there


class Work:
    def __init__(self, fails: float, error: Exception) -> None:
        self.calls = 0
        self._fails = fails
        self._error = error

    async def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self._fails:
            raise self._error
        return self.calls


async def test_work_is_done_once_the_part_is_there() -> None:
    assert await until_there("work", Work(20, StoreAway("It is away."))) == 21


async def test_pauses_grow_to_a_longest_one() -> None:
    work = Work(float("inf"), StoreAway("It is away."))
    began = asyncio.get_running_loop().time()
    with pytest.raises(StoreAway, match="It is away"):
        await until_there("work", work, within=100 * LONGEST_PAUSE)

    assert asyncio.get_running_loop().time() - began == pytest.approx(100 * LONGEST_PAUSE)
    assert 100 <= work.calls <= 110


async def test_what_takes_too_long_is_not_called_away() -> None:
    with pytest.raises(TimeoutError):
        await until_there("work", asyncio.Event().wait, within=10)


async def test_other_failures_are_not_tried_again() -> None:
    work = Work(1, LaunchFailed("It cannot start."))
    with pytest.raises(LaunchFailed):
        await until_there("work", work)

    assert work.calls == 1
