"""
Sessions, as those see them whose they are: listed, and ended one by one, all others, or all of somebody who is blocked.

With a session go the tokens bound to it and, through the proxy, every open WebSocket that either of them opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import NoSuchSession
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.users import User
from perijove.hub.ports import Store, Unit
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.end_sessions import end_sessions
from perijove.hub.usecases.sign_out import Revocations
from perijove.kit.clock import Clock

log = structlog.get_logger(__name__)


class Sessions:
    """Lists and ends them."""

    def __init__(self, *, store: Store, clock: Clock, activity: Activity, revocations: Revocations) -> None:
        self._store = store
        self._clock = clock
        self._activity = activity
        self._revocations = revocations

    async def list(self, user: User) -> Sequence[Session]:
        """Those of *user* that have not ended, the last seen first."""
        async with self._store.reading() as unit:
            rows = [self._activity.fresh_session(row) for row in await self._valid(unit, user)]
        return sorted(rows, key=lambda row: row.last_seen, reverse=True)

    async def end(self, user: User, session_id: str, *, by: Principal) -> None:
        """
        End one session of *user*.

        Raises:
            NoSuchSession: they have none of that id.
        """
        async with self._store.unit() as unit:
            wanted = [row for row in await self._valid(unit, user) if row.id == session_id]
            if not wanted:
                raise NoSuchSession
            sids = await self._end(unit, user, wanted, by, why="asked for")
        await self._shut_out(user, sids)

    async def end_others(self, user: User, *, keep: str, by: Principal) -> int:
        """End all sessions of *user* but the one whose id is *keep*; answers how many those were."""
        async with self._store.unit() as unit:
            others = [row for row in await self._valid(unit, user) if row.id != keep]
            sids = await self._end(unit, user, others, by, why="asked for, with all others")
        await self._shut_out(user, sids)
        return len(others)

    async def end_of_blocked(self, names: Iterable[str]) -> None:
        """
        End all sessions of these users, whom the configuration shuts out; their tokens stay, and open nothing.

        The proxy is told in any case: it may have outlived the hub that let them in.
        """
        for name in sorted(names):
            await self._revocations.revoke(user=name)
            async with self._store.unit() as unit:
                user = await unit.users.by_name(name)
                if user is not None:
                    await self._end(unit, user, await unit.sessions.of_user(user.id), None, why="blocked")

    async def _valid(self, unit: Unit, user: User) -> Sequence[Session]:
        now = self._clock.now()
        return [row for row in await unit.sessions.of_user(user.id) if row.expires_at > now]

    async def _end(
        self, unit: Unit, user: User, sessions: Sequence[Session], by: Principal | None, *, why: str
    ) -> Sequence[str]:
        sids = await end_sessions(unit, user, sessions)
        for session in sessions:
            now = self._clock.now()
            await record(unit, Action.SESSION_ENDED, at=now, by=by, target=user.name, session=session.id, why=why)
        return sids

    async def _shut_out(self, user: User, sids: Sequence[str]) -> None:
        log.info("sessions.ended", user=user.name, visits=len(sids))
        await self._revocations.revoke_all(sids)
