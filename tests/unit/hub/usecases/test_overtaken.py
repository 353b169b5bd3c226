"""
Whoever means something whatever the state tries again when others are quicker, but not for ever.
"""

from __future__ import annotations

import pytest

from perijove.hub.domain.errors import IllegalTransition, StaleGeneration
from perijove.hub.usecases.overtaken import TRIES, although_overtaken


class Attempt:
    def __init__(self, fails: int, error: Exception) -> None:
        self.calls = 0
        self._fails = fails
        self._error = error

    async def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self._fails:
            raise self._error
        return self.calls


async def test_whoever_is_overtaken_tries_again() -> None:
    assert await although_overtaken(Attempt(TRIES - 1, StaleGeneration())) == TRIES


async def test_whoever_is_overtaken_each_time_gives_up() -> None:
    attempt = Attempt(TRIES, StaleGeneration())
    with pytest.raises(StaleGeneration):
        await although_overtaken(attempt)

    assert attempt.calls == TRIES


async def test_what_cannot_be_is_not_tried_again() -> None:
    attempt = Attempt(1, IllegalTransition())
    with pytest.raises(IllegalTransition):
        await although_overtaken(attempt)

    assert attempt.calls == 1
