"""
Work that is done as soon as the part that it needs is there: the database, the launcher, a proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from perijove.hub.domain.errors import Unavailable

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

#: seconds between tries while a part is away: the first, and the longest
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 5.0


async def until_there(name: str, work: Callable[[], Awaitable[Answer]], *, within: float | None = None) -> Answer:
    """
    The answer of *work*, which is tried again while it raises Unavailable.

    Args:
        name: what the log calls it.
        work: one try; what a try did before it failed must bear being done again.
        within: seconds for all tries together; None: until cancelled.

    Raises:
        Unavailable: the part was away to the end.
        TimeoutError: it was there, and the work took too long.
    """
    away: Unavailable | None = None
    pause = FIRST_PAUSE
    try:
        async with asyncio.timeout(within):
            while True:
                try:
                    return await work()
                except Unavailable as exc:
                    if away is None:
                        log.info("work.delayed", work=name, why=exc.message)
                    away = exc
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
    except TimeoutError:
        if away is not None:
            raise away from None
        raise
