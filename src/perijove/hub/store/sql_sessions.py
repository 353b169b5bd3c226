"""
Rows of browser sessions, in SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, bindparam, delete, insert, select, update

from perijove.hub.domain.sessions import Session
from perijove.hub.domain.users import Person
from perijove.hub.store.kept import by_key
from perijove.hub.store.sql_users import AS_OWNER, person_of
from perijove.hub.store.sqlite_thread import Executes
from perijove.hub.store.tables import sessions, tokens, users

_WITH_OWNER: Final = select(sessions, *AS_OWNER).join_from(sessions, users)
# Built once: these are asked with every request, and building a statement costs more than running it.
_BY_SECRET: Final = by_key(_WITH_OWNER.where(sessions.c.secret_hash == bindparam("wanted")))
_BY_ID: Final = by_key(_WITH_OWNER.where(sessions.c.id == bindparam("wanted")))
_TOUCH: Final = (
    update(sessions)
    .where(sessions.c.id == bindparam("which"), sessions.c.last_seen < bindparam("at"))
    .values(last_seen=bindparam("at"))
)
_ADD: Final = insert(sessions)
_FIELDS: Final = tuple(column.name for column in sessions.columns)


def _session_of(row: Sequence[Any]) -> Session:
    return Session(**dict(zip(_FIELDS, row, strict=False)))


class SqlSessions:
    """Rows of browser sessions."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def by_secret_hash(self, secret_hash: str) -> tuple[Session, Person] | None:
        """The session with that secret, and whose it is."""
        return await self._one(_BY_SECRET, secret_hash)

    async def by_id(self, session_id: str) -> tuple[Session, Person] | None:
        """The session of that id, and whose it is."""
        return await self._one(_BY_ID, session_id)

    async def of_user(self, user_id: int) -> Sequence[Session]:
        """All sessions of a user, oldest first."""
        mine = select(sessions).where(sessions.c.user_id == user_id).order_by(sessions.c.created, sessions.c.id)
        return [_session_of(row) for row in await self._connection.execute(mine)]

    async def add(self, session: Session) -> None:
        """Keep a session."""
        await self._connection.execute(_ADD, asdict(session))

    async def touch(self, seen: Mapping[str, datetime]) -> None:
        """Raise `last_seen` by session id."""
        if not seen:
            return
        await self._connection.execute(_TOUCH, [{"which": which, "at": at} for which, at in sorted(seen.items())])

    async def delete(self, session_id: str) -> None:
        """And the tokens bound to it."""
        await self._connection.execute(delete(tokens).where(tokens.c.session_id == session_id))
        await self._connection.execute(delete(sessions).where(sessions.c.id == session_id))

    async def delete_expired(self, now: datetime) -> int:
        """Forget sessions that have ended, and the tokens bound to them."""
        ended = sessions.c.expires_at <= now
        await self._connection.execute(
            delete(tokens).where(tokens.c.session_id.in_(select(sessions.c.id).where(ended)))
        )
        return (await self._connection.execute(delete(sessions).where(ended))).rowcount

    async def _one(self, statement: Select[Any], wanted: str) -> tuple[Session, Person] | None:
        row = (await self._connection.execute(statement, {"wanted": wanted})).one_or_none()
        return None if row is None else (_session_of(row), person_of(row, len(_FIELDS)))
