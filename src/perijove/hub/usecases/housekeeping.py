"""
Throws away what has ended: sessions, tokens, invitations. And writes noted activity down.
"""

from __future__ import annotations

from typing import Final

import structlog

from perijove.hub.ports import Store
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.forever import forever
from perijove.kit.clock import Clock
from perijove.kit.tasks import TaskGroup

log = structlog.get_logger(__name__)

#: seconds between rounds
HOUR: Final = 3600.0
#: seconds of activity that a crash may lose
FLUSH_SECONDS: Final = 10.0


class Housekeeping:
    """The hub's regular chores."""

    def __init__(self, *, store: Store, activity: Activity, clock: Clock) -> None:
        self._store = store
        self._activity = activity
        self._clock = clock

    async def run(self) -> None:
        """Do the chores until cancelled; what was noted last is written then."""
        try:
            async with TaskGroup("housekeeping") as tasks:
                tasks.start("activity", forever("activity", self._activity.flush, every=FLUSH_SECONDS))
                await forever("expired rows", self.sweep, every=HOUR)
        finally:
            await self._activity.flush()

    async def sweep(self) -> None:
        """Delete rows that have ended."""
        now = self._clock.now()
        async with self._store.unit() as unit:
            sessions = await unit.sessions.delete_expired(now)
            tokens = await unit.tokens.delete_expired(now)
            invitations = await unit.accounts.delete_expired_invitations(now)
        if sessions or tokens or invitations:
            log.debug("rows.expired", sessions=sessions, tokens=tokens, invitations=invitations)
