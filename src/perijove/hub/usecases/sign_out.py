"""
Signing out, and taking back what was let through the proxy's door before.

An `Outbox` remembers what a proxy that was away has not heard yet; its reconciler sends it again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import ProxyAway
from perijove.hub.domain.principals import themselves
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.users import User
from perijove.hub.ports import ProxyGateway, Store
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.end_sessions import end_sessions
from perijove.kit.clock import Clock
from perijove.wire.control import Revocation

log = structlog.get_logger(__name__)

#: Revocations kept for a proxy that is away. It asks about every visit in use anyway, so the oldest may be lost.
MAX_PENDING: Final = 10_000
#: Revocations whose second has not passed; the oldest are forgotten, and who comes back at once is sent round again.
MAX_RECENT: Final = 10_000
#: Seconds that a wait for the next second takes longer: event loops wake a little early.
EARLY: Final = 0.02


class Outbox:
    """What one proxy is to be told, until it has been."""

    def __init__(self, proxy: ProxyGateway) -> None:
        self._proxy = proxy
        self._pending: deque[Revocation] = deque(maxlen=MAX_PENDING)
        #: whether the last sending failed
        self.is_away = False

    def put(self, revocation: Revocation) -> None:
        """To be sent, last."""
        self._pending.append(revocation)

    async def send(self) -> bool:
        """Send what is due, oldest first; whether all of it arrived."""
        while self._pending:
            revocation = self._pending[0]
            try:
                await self._proxy.revoke(revocation)
            except ProxyAway:
                log.warning("revocation.delayed", waiting=len(self._pending))
                self.is_away = True
                return False
            # Another task may have sent this one, or a full queue dropped it, while we waited.
            if self._pending and self._pending[0] is revocation:
                self._pending.popleft()
        self.is_away = False
        return True


class Revocations:
    """Tells every proxy whom to refuse from now on. One that is away hears of it when it is back, and delays nobody."""

    def __init__(self, *, outboxes: Sequence[Outbox], clock: Clock) -> None:
        self._outboxes = outboxes
        self._clock = clock
        self._recent: deque[Revocation] = deque(maxlen=MAX_RECENT)

    async def revoke(self, *, sid: str = "", user: str = "", audience: str = "") -> None:
        """Refuse a session's or a user's identity tokens that were issued until now; sent again later if need be."""
        before = self._now()
        await self._send([Revocation(before=before, sid=sid, user=user, audience=audience)])

    async def revoke_all(self, sids: Sequence[str]) -> None:
        """The same for several sessions, or for none."""
        if sids:
            await self._send([Revocation(before=self._now(), sid=sid) for sid in sids])

    async def revoke_visits(self, visits: Iterable[tuple[str, str]]) -> None:
        """Refuse the identity tokens that users have for servers: pairs of a user's name and an audience."""
        before = self._now()
        await self._send([Revocation(before=before, user=user, audience=at) for user, at in sorted(visits)])

    def seconds_until_good(self, *, sid: str, user: str, audience: str) -> float:
        """
        How long to wait before a statement is signed that is good again; 0 if nothing stands against it.

        Statements count whole seconds: what is signed in the second of a revocation is refused with what went before.
        """
        now = self._clock.now().timestamp()
        while self._recent and self._recent[0].before < int(now):
            self._recent.popleft()
        # What another hub has revoked is not known here: its visitor is sent round until the second has passed.
        stands = any(
            (past.sid == sid if past.sid else past.user == user) and past.audience in {"", audience}
            for past in self._recent
        )
        return int(now) + 1 - now + EARLY if stands else 0.0

    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    async def _send(self, revocations: Sequence[Revocation]) -> None:
        self._recent.extend(revocations)
        for outbox in self._outboxes:
            for revocation in revocations:
                outbox.put(revocation)
        present = [outbox for outbox in self._outboxes if not outbox.is_away]
        await asyncio.gather(*(outbox.send() for outbox in present or self._outboxes))


class SignOut:
    """Ends a session everywhere."""

    def __init__(self, *, store: Store, clock: Clock, revocations: Revocations) -> None:
        self._store = store
        self._clock = clock
        self._revocations = revocations

    async def __call__(self, session: Session, user: User, *, address: str = "") -> None:
        """End *session* with its tokens, and close the door and the open WebSockets that it opened."""
        async with self._store.unit() as unit:
            sids = await end_sessions(unit, user, [session])
            by = themselves(user, address)
            now = self._clock.now()
            await record(unit, Action.SIGNED_OUT, at=now, by=by, target=user.name, session=session.id)
        log.info("session.ended", user=user.name)
        await self._revocations.revoke_all(sids)
