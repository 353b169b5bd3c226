"""
Signing out, and taking back what was let through the proxy's door before.

`Revocations` remembers what a proxy that was away has not heard yet; the reconciler sends it again.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import structlog

from perijove.hub.domain.errors import ProxyAway
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.users import User
from perijove.hub.ports import ProxyGateway, Store
from perijove.kit.clock import Clock
from perijove.wire.control import Revocation

log = structlog.get_logger(__name__)

#: Revocations kept for a proxy that is away. It asks about every visit in use anyway, so the oldest may be lost.
MAX_PENDING: Final = 10_000


class Revocations:
    """Tells the proxy whom to refuse from now on."""

    def __init__(self, *, proxy: ProxyGateway, clock: Clock) -> None:
        self._proxy = proxy
        self._clock = clock
        self._pending: deque[Revocation] = deque(maxlen=MAX_PENDING)

    async def revoke(self, *, sid: str = "", user: str = "", audience: str = "") -> None:
        """Refuse a session's or a user's identity tokens that were issued until now; sent again later if need be."""
        before = int(self._clock.now().timestamp())
        self._pending.append(Revocation(before=before, sid=sid, user=user, audience=audience))
        await self.send_pending()

    async def send_pending(self) -> bool:
        """Send what is due, oldest first; whether all of it arrived."""
        while self._pending:
            revocation = self._pending[0]
            try:
                await self._proxy.revoke(revocation)
            except ProxyAway:
                log.warning("revocation.delayed", waiting=len(self._pending))
                return False
            # Another task may have sent this one, or a full queue dropped it, while we waited.
            if self._pending and self._pending[0] is revocation:
                self._pending.popleft()
        return True


class SignOut:
    """Ends a session everywhere."""

    def __init__(self, *, store: Store, revocations: Revocations) -> None:
        self._store = store
        self._revocations = revocations

    async def __call__(self, session: Session, user: User) -> None:
        """End *session* with its tokens, and close the door and the open WebSockets that it opened."""
        async with self._store.unit() as unit:
            await unit.sessions.delete(session.id)
        log.info("session.ended", user=user.name)
        await self._revocations.revoke(sid=session.id)
