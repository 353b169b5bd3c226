"""
Throws away what has ended: sessions, tokens, invitations, codes of shares. And writes noted activity down.

A machine's clock can be wrong, and be put right later: what would have ended only by a wrong clock must still
be there then. So rows are deleted only while the wall clock agrees with the one that nobody can set.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog

from perijove.hub.ports import Store
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.audit_chain import AuditChain
from perijove.hub.usecases.audit_failures import FailedSignIns
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.hub.usecases.forever import forever
from perijove.hub.usecases.limit_attempts import AttemptLimiter
from perijove.kit.clock import Clock
from perijove.kit.tasks import TaskGroup

log = structlog.get_logger(__name__)

#: seconds between rounds
HOUR: Final = 3600.0
#: seconds of activity that a crash may lose, unless configured
FLUSH_SECONDS: Final = 10.0
#: Seconds until other hubs know that a server is busy: however seldom the rest is written, they must not stop it.
BUSY_SECONDS: Final = 10.0
#: seconds of failed sign-ins that a crash may lose
FAILURES_SECONDS: Final = 5.0
#: seconds until an entry of the audit log is sealed
SEAL_SECONDS: Final = 5.0
#: seconds between sweeps of attempts, of which strangers make as many as they like
ATTEMPTS_SECONDS: Final = 300.0
#: how far the wall clock may move against the monotonic one within a round: NTP slews, nobody set it
STEADY: Final = timedelta(minutes=1)
#: how far the newest row may lie ahead of the clock: servers of other machines report their own times
TOLERATED: Final = timedelta(hours=1)


class Housekeeping:
    """The hub's regular chores."""

    def __init__(
        self,
        *,
        store: Store,
        activity: Activity,
        clock: Clock,
        limiter: AttemptLimiter,
        audit: AuditChain,
        failures: FailedSignIns,
        auth_states: AuthStateBook,
        activity_resolution: float = FLUSH_SECONDS,
    ) -> None:
        self._activity_resolution = activity_resolution
        self._auth_states = auth_states
        self._audit = audit
        self._failures = failures
        self._store = store
        self._activity = activity
        self._clock = clock
        self._limiter = limiter
        self._clock_started: datetime | None = None

    async def clock_warning(self) -> str:
        """What to tell the operator about this machine's clock; empty if nothing speaks against it."""
        now = self._clock.now()
        async with self._store.reading() as unit:
            newest = await unit.newest()
        if newest is None or newest <= now + TOLERATED:
            return ""
        return (
            f"The clock of this machine says {now:%Y-%m-%d %H:%M} UTC, but the database has entries of "
            f"{newest:%Y-%m-%d %H:%M} UTC. Set the clock: until then, sessions and tokens end at the wrong time."
        )

    async def run(self) -> None:
        """Do the chores until cancelled; what was noted last is written then."""
        try:
            async with TaskGroup("housekeeping") as tasks:
                tasks.start("activity", forever("activity", self._activity.flush, every=self._activity_resolution))
                tasks.start("busy servers", forever("busy servers", self._activity.flush_busy, every=BUSY_SECONDS))
                tasks.start("failed sign-ins", forever("failed sign-ins", self._failures.flush, every=FAILURES_SECONDS))
                tasks.start("audit log", forever("audit log", self._audit.keep, every=SEAL_SECONDS))
                tasks.start("auth states", forever("auth states", self._auth_states.renew, every=HOUR))
                tasks.start("attempts", forever("old attempts", self._limiter.sweep, every=ATTEMPTS_SECONDS))
                await forever("expired rows", self.sweep_if_steady, every=HOUR)
        finally:
            await self._activity.flush()
            await self._failures.flush()

    async def sweep_if_steady(self) -> None:
        """Delete rows that have ended, unless the clock was set since the last round, or this is the first."""
        # When the monotonic clock began, as the wall clock sees it: the same every time, unless one of them was set.
        started = self._clock.now() - timedelta(seconds=self._clock.monotonic())
        before, self._clock_started = self._clock_started, started
        if before is None:
            return
        if abs(started - before) > STEADY:
            log.warning("clock.was_set", by_seconds=round((started - before).total_seconds()))
            return
        await self.sweep()

    async def sweep(self) -> None:
        """Delete rows that have ended."""
        now = self._clock.now()
        async with self._store.unit() as unit:
            sessions = await unit.sessions.delete_expired(now)
            tokens = await unit.tokens.delete_expired(now)
            await unit.oauth_codes.delete_expired(now)
            invitations = await unit.accounts.delete_expired_invitations(now)
            codes = await unit.share_codes.delete_expired(now)
        await self._audit.forget()
        if sessions or tokens or invitations or codes:
            log.debug("rows.expired", sessions=sessions, tokens=tokens, invitations=invitations, share_codes=codes)
