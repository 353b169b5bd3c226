"""
Work that is done again and again until the hub ends, and that no failure stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from perijove.hub.domain.errors import Unavailable

log = structlog.get_logger(__name__)


async def forever(name: str, work: Callable[[], Awaitable[None]], *, every: float) -> None:
    """
    Do *work* now and again *every* seconds after it ended, until cancelled.

    Args:
        name: what the log calls it.
        work: one round.
        every: seconds of rest between rounds.
    """
    while True:
        try:
            await work()
        except Unavailable as exc:
            log.warning("round.delayed", work=name, why=exc.message)
        except Exception:
            # A supervisor's catch: the next round may succeed, and no round at all would be worse.
            log.exception("round.failed", work=name)
        await asyncio.sleep(every)
