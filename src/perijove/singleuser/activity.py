"""
Tells the hub when this server was last used and whether something runs in it (contract section c, and
wire/activity.py), and hears until when it is kept. The hub may be away: it is told later.

Law: before the server's end is near, a report every now and then is enough; from the time on at which its user
is to be warned, whatever changes is told within seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from perijove.singleuser.busy import What
from perijove.singleuser.environment import ServerConfig
from perijove.wire import activity as wire

log = structlog.get_logger(__name__)

#: Part of the interval by which reports of many servers spread out.
JITTER: Final = 0.1
#: Part of the interval after which a regular report is due, whatever the jitter made of it.
REGULAR: Final = 0.85
#: Seconds before the first repetition of a failed report; doubled up to the interval.
FIRST_RETRY: Final = 2.0
#: Seconds between looks at what goes on here while the server's end is near.
LOOK_SECONDS: Final = 5.0

#: Posts a JSON body to the hub and answers its body; raises OSError when that did not work.
Post = Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What goes on here."""

    last_activity: datetime
    busy: What | None = None


class ActivityReporter:
    """
    Reports what is new, and to a hub that stops idle servers also that nothing is.

    Args:
        config: whose activity, and how often.
        standing: what goes on here now.
        post: brings a body to the hub.
        now: the time.
        spread: a number between -1 and 1, at random.
    """

    def __init__(
        self,
        *,
        config: ServerConfig,
        standing: Callable[[], Standing],
        post: Post,
        now: Callable[[], datetime],
        spread: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311  # spreads load, hides nothing
    ) -> None:
        self._config = config
        self._standing = standing
        self._post = post
        self._now = now
        self._spread = spread
        self._told: Standing | None = None
        self._told_at = datetime.min.replace(tzinfo=UTC)
        self._busy_since: datetime | None = None
        self._hub_answers = False
        self._failures = 0
        #: until when this server is kept, as the hub said last; None: it is not to be stopped
        self.deadline: wire.Deadline | None = None

    @property
    def warning(self) -> wire.Deadline | None:
        """What the user is to be told now: an end that is near, confirmed since it is."""
        deadline = self.deadline
        is_near = deadline is not None and deadline.warn_at <= self._now() and deadline.warn_at <= self._told_at
        return deadline if is_near else None

    async def report(self) -> bool:
        """Report if there is something to tell; whether the hub knows everything now."""
        standing, now = self._standing(), self._now()
        # While something runs, its time of activity is now.
        self._busy_since = (self._busy_since or standing.last_activity) if standing.busy else None
        if not self._has_to_tell(standing, now):
            return True
        try:
            answer = await self._post(activity_body(self._config.server_name, standing, self._busy_since))
        except OSError as exc:
            self._failures += 1
            log.warning("activity.not_reported", error=str(exc), failures=self._failures)
            return False
        self._told, self._told_at, self._failures = standing, now, 0
        self._hear(answer)
        return True

    def pause(self) -> float:
        """Seconds until the next look: the interval, or less after a failure or when the end is near."""
        interval = self._config.activity_interval
        if self._failures:
            interval = min(interval, FIRST_RETRY * 2 ** min(self._failures - 1, 20))
        seconds = interval * (1 + JITTER * self._spread())
        if self.deadline is None or self._failures:
            return seconds
        until_warning = (self.deadline.warn_at - self._now()).total_seconds()
        return min(seconds, until_warning if until_warning > 0 else LOOK_SECONDS)

    async def keep_reporting(self) -> None:
        """Report now and then, until cancelled."""
        while True:
            await self.report()
            await asyncio.sleep(self.pause())

    def hear_deadline(self, said: object) -> None:
        """The hub has said until when this server is kept."""
        try:
            self.deadline = wire.read_deadline(said)
        except ValueError as exc:
            # The server works without.
            self.deadline = None
            log.warning("activity.answer_not_understood", error=str(exc))

    def _has_to_tell(self, standing: Standing, now: datetime) -> bool:
        told = self._told
        if told is None:
            return True
        is_news = standing.last_activity > told.last_activity
        if (now - self._told_at).total_seconds() >= REGULAR * self._config.activity_interval:
            return is_news or self._hub_answers
        if self.deadline is None or now < self.deadline.warn_at:
            return False
        began_or_ended = (standing.busy is None) != (told.busy is None)
        # While something runs, its time of activity is always now.
        is_used = is_news and standing.busy is None
        return self._told_at < self.deadline.warn_at or began_or_ended or is_used

    def _hear(self, answer: str) -> None:
        try:
            said = json.loads(answer or "null")
        except ValueError:
            said = None
        servers = said.get(wire.SERVERS) if isinstance(said, dict) else None
        self._hub_answers = isinstance(servers, dict)
        self.hear_deadline(servers.get(self._config.server_name) if isinstance(servers, dict) else None)


def activity_body(server_name: str, standing: Standing, busy_since: datetime | None) -> str:
    """The JSON body of an activity report."""
    stamp = wire.stamp(standing.last_activity)
    ours: dict[str, Any] = {wire.LAST_ACTIVITY: stamp, wire.BUSY: standing.busy is not None}
    if standing.busy is not None and busy_since is not None:
        ours |= {wire.SINCE: wire.stamp(busy_since), wire.WITH: standing.busy}
    return json.dumps({wire.SERVERS: {server_name: ours}, wire.LAST_ACTIVITY: stamp})
