"""
The breaker of starts, with a clock and words for people (`domain/breaker.py` is the rule).

Each hub has its own: what fails for everybody, each finds out soon enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from perijove.hub.domain.breaker import Breaker, kind_of
from perijove.hub.domain.errors import StartsPaused
from perijove.hub.domain.servers import Server
from perijove.kit.clock import Clock

log = structlog.get_logger(__name__)


class StartBreaker:
    """Told how starts go; refuses those of a kind that fails for everybody."""

    def __init__(self, *, clock: Clock, limit: int) -> None:
        self._clock = clock
        self._breaker = Breaker(limit=limit)

    def adopt(self, limit: int) -> None:
        """Trip after that many failures from now on."""
        self._breaker.limit = limit

    def check(self, user_options: Mapping[str, Any]) -> None:
        """
        Let a start with these options through, or not.

        Raises:
            StartsPaused: those like it have failed for several people in a row.
        """
        kind = kind_of(user_options)
        wait = self._breaker.wait(kind, self._clock.monotonic())
        if wait > 0:
            what = f" of {kind}" if kind else ""
            raise StartsPaused(
                f"Starts{what} have failed for several people in a row. The next try is possible in {wait:.0f} s.",
                retry_after=int(wait) + 1,
            )

    def begin(self, server: Server) -> None:
        """It starts now."""
        self._breaker.begin(kind_of(server.user_options), self._clock.monotonic())

    def succeeded(self, server: Server) -> None:
        """It came up."""
        self._breaker.succeeded(kind_of(server.user_options))

    def failed(self, server: Server) -> None:
        """It did not come up, and nothing of perijove's own was away."""
        kind = kind_of(server.user_options)
        if self._breaker.failed(kind, server.user_id, self._clock.monotonic()):
            log.warning("starts.paused", kind=kind or "the default", after=server.key, why=server.failure)
