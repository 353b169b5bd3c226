"""
Tells the hub when this server was last used (contract section c). The hub may be away: it is told later.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import structlog

from perijove.singleuser.environment import ServerConfig

log = structlog.get_logger(__name__)

#: Part of the interval by which reports of many servers spread out.
JITTER: Final = 0.1
#: Seconds before the first repetition of a failed report; doubled up to the interval.
FIRST_RETRY: Final = 2.0

#: Posts a JSON body to the hub; raises OSError when that did not work.
Post = Callable[[str], Awaitable[None]]


class ActivityReporter:
    """
    Reports new activity, and nothing when there is none.

    Args:
        config: whose activity, and how often.
        last_activity: when this server was last used.
        post: brings a body to the hub.
        spread: a number between -1 and 1, at random.
    """

    def __init__(
        self,
        *,
        config: ServerConfig,
        last_activity: Callable[[], datetime],
        post: Post,
        spread: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311  # spreads load, hides nothing
    ) -> None:
        self._config = config
        self._last_activity = last_activity
        self._post = post
        self._spread = spread
        self._reported: datetime | None = None
        self._failures = 0

    async def report(self) -> bool:
        """Report if there is something new; whether the hub knows everything now."""
        latest = self._last_activity()
        if self._reported is not None and latest <= self._reported:
            return True
        try:
            await self._post(activity_body(self._config.server_name, latest))
        except OSError as exc:
            self._failures += 1
            log.warning("activity.not_reported", error=str(exc), failures=self._failures)
            return False
        self._reported, self._failures = latest, 0
        return True

    def pause(self) -> float:
        """Seconds until the next report: the interval, or less after a failure."""
        interval = self._config.activity_interval
        if self._failures:
            interval = min(interval, FIRST_RETRY * 2 ** min(self._failures - 1, 20))
        return interval * (1 + JITTER * self._spread())

    async def keep_reporting(self) -> None:
        """Report now and then, until cancelled."""
        while True:
            await self.report()
            await asyncio.sleep(self.pause())


def activity_body(server_name: str, latest: datetime) -> str:
    """The JSON body of an activity report."""
    stamp = latest.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return json.dumps({"servers": {server_name: {"last_activity": stamp}}, "last_activity": stamp})
