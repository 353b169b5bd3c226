"""
Ending sessions as a part of a unit: what belongs to them goes, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from perijove.hub.domain.sessions import Session
from perijove.hub.domain.users import User
from perijove.hub.ports import Unit


async def end_sessions(unit: Unit, user: User, sessions: Sequence[Session]) -> Sequence[str]:
    """
    Delete *sessions* of *user* with the tokens bound to them.

    Answers what the proxy is to be told once the unit is committed (`Revocations.revoke_all`): the visits that they and
    those tokens opened.
    """
    ids = {session.id for session in sessions}
    bound = [token for token in await unit.tokens.of_user(user.id) if token.session_id in ids] if ids else []
    for session_id in sorted(ids):
        await unit.sessions.delete(session_id)
    return [*sorted(ids), *(f"token:{token.public_id}" for token in bound)]
