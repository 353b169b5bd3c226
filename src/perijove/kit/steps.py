"""
Long loops in steps, so that nobody else waits for the whole of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

Item = TypeVar("Item")

#: items at a stretch: one takes ten microseconds or so
STEP: Final = 200


async def in_steps(items: Iterable[Item]) -> AsyncIterator[Item]:
    """*items*, and after every some of them a turn for everybody else."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % STEP == 0:
            await asyncio.sleep(0)
