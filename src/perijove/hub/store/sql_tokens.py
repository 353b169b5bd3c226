"""
Rows of API tokens, in SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, or_, select, update

from perijove.hub.domain.tokens import ApiToken
from perijove.hub.domain.users import Person
from perijove.hub.store.kept import by_key
from perijove.hub.store.sql_users import AS_OWNER, person_of
from perijove.hub.store.sqlite_thread import Executes
from perijove.hub.store.tables import MAX_ID, tokens, users

# Built once: it is asked with every request, and building a statement costs more than running it.
_BY_PREFIX: Final = by_key(
    select(tokens, *AS_OWNER).join_from(tokens, users).where(tokens.c.prefix == bindparam("wanted"))
)
_ADD: Final = insert(tokens).returning(tokens.c.id)
_DELETE_OF_SERVER: Final = delete(tokens).where(tokens.c.server == bindparam("wanted"))
_TOUCH: Final = (
    update(tokens)
    .where(
        tokens.c.id == bindparam("which"),
        or_(tokens.c.last_activity.is_(None), tokens.c.last_activity < bindparam("at")),
    )
    .values(last_activity=bindparam("at"))
)
_FIELDS: Final = tuple(column.name for column in tokens.columns)


def _token_of(row: Sequence[Any]) -> ApiToken:
    values = dict(zip(_FIELDS, row, strict=False))
    values["scopes"] = tuple(values["scopes"])
    return ApiToken(**values)


class SqlTokens:
    """Rows of API tokens."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def by_prefix(self, prefix: str) -> Sequence[tuple[ApiToken, Person]]:
        """Tokens that begin so, and whose they are."""
        rows = await self._connection.execute(_BY_PREFIX, {"wanted": prefix})
        return [(_token_of(row), person_of(row, len(_FIELDS))) for row in rows]

    async def get(self, token_id: int) -> ApiToken | None:
        """The token of that id."""
        if token_id > MAX_ID:
            return None
        row = (await self._connection.execute(select(tokens).where(tokens.c.id == token_id))).one_or_none()
        return None if row is None else _token_of(row)

    async def of_user(self, user_id: int) -> Sequence[ApiToken]:
        """All tokens of a user, oldest first."""
        mine = select(tokens).where(tokens.c.user_id == user_id).order_by(tokens.c.id)
        return [_token_of(row) for row in await self._connection.execute(mine)]

    async def add(
        self,
        *,
        user_id: int,
        prefix: str,
        token_hash: str,
        scopes: Sequence[str],
        note: str,
        created: datetime,
        expires_at: datetime | None = None,
        session_id: str = "",
        server: str = "",
        client_id: str = "",
    ) -> ApiToken:
        """Keep a token."""
        values: dict[str, Any] = {
            "user_id": user_id,
            "prefix": prefix,
            "token_hash": token_hash,
            "scopes": list(scopes),
            "note": note,
            "created": created,
            "expires_at": expires_at,
            "session_id": session_id,
            "server": server,
            "client_id": client_id,
        }
        done = await self._connection.execute(_ADD, values)
        return ApiToken(**{**values, "id": done.scalar_one(), "scopes": tuple(scopes)})

    async def delete(self, token_id: int) -> None:
        """Forget a token."""
        await self._connection.execute(delete(tokens).where(tokens.c.id == token_id))

    async def delete_of_server(self, server_key: str) -> None:
        """Forget the tokens that a server was given."""
        await self._connection.execute(_DELETE_OF_SERVER, {"wanted": server_key})

    async def delete_of_client(self, client_id: str, *, user_id: int | None = None) -> Sequence[ApiToken]:
        """Forget those that an OAuth client was given."""
        gone = delete(tokens).where(tokens.c.client_id == client_id).returning(*tokens.columns)
        if user_id is not None:
            gone = gone.where(tokens.c.user_id == user_id)
        return [_token_of(row) for row in await self._connection.execute(gone)]

    async def touch(self, seen: Mapping[int, datetime]) -> None:
        """Raise `last_activity` by token id."""
        if not seen:
            return
        await self._connection.execute(_TOUCH, [{"which": token_id, "at": at} for token_id, at in sorted(seen.items())])

    async def delete_expired(self, now: datetime) -> int:
        """Forget tokens that have ended."""
        return (await self._connection.execute(delete(tokens).where(tokens.c.expires_at <= now))).rowcount
