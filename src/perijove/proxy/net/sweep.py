"""
All timers of the data plane are one loop that looks at everything once a second.

A timer per request would cost more than the request's parsing; deadlines exact to a second are enough.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger(__name__)

SWEEP_SECONDS: Final = 1.0


class CoarseTime:
    """Monotonic time as of the last sweep: reading it is an attribute, not a call into the kernel."""

    def __init__(self) -> None:
        self._now = time.monotonic()

    def now(self) -> float:
        """Seconds from an arbitrary start, up to one sweep ago."""
        return self._now

    def update(self) -> None:
        """Look at the clock."""
        self._now = time.monotonic()


async def sweep_forever(clock: CoarseTime, sweep: Callable[[], None]) -> None:
    """Update *clock* and call *sweep*, every second."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        clock.update()
        try:
            sweep()
        # A supervisor: one connection in an odd state must not stop the timers of all others.
        except Exception:
            log.exception("sweep.failed")
