"""
Recording what is meant whatever the state: others may change the row between the look at it and the change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from perijove.hub.domain.errors import StaleGeneration

Answer = TypeVar("Answer")

#: looks at a row that others keep changing; each of them means progress for somebody else
TRIES: Final = 10


async def although_overtaken(attempt: Callable[[], Awaitable[Answer]]) -> Answer:
    """
    The answer of *attempt*, which looks at a row and changes it in one unit.

    Raises:
        StaleGeneration: it was overtaken each time; nothing has changed.
    """
    for _ in range(TRIES - 1):
        with suppress(StaleGeneration):
            return await attempt()
    return await attempt()
