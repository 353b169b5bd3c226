"""
Rows of shares, of codes that make them, and what both come to for whoever has them, in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, delete, insert, or_, select, update

from perijove.hub.domain.shares import Share, ShareCode
from perijove.hub.store.sqlite_thread import Executes
from perijove.hub.store.tables import MAX_ID, group_members, groups, servers, share_codes, shares, users

_OWNERS: Final = users.alias("owners")
_SHARES: Final = (
    select(
        shares.c.id,
        shares.c.server_id,
        _OWNERS.c.name.label("owner"),
        servers.c.name.label("server_name"),
        users.c.name.label("user"),
        groups.c.name.label("group"),
        shares.c.scopes,
        shares.c.created,
    )
    .join_from(shares, servers)
    .join(_OWNERS, _OWNERS.c.id == servers.c.user_id)
    .outerjoin(users, users.c.id == shares.c.user_id)
    .outerjoin(groups, groups.c.id == shares.c.group_id)
    .order_by(shares.c.id)
)
_CODES: Final = (
    select(share_codes, _OWNERS.c.name.label("owner"), servers.c.name.label("server_name"))
    .join_from(share_codes, servers)
    .join(_OWNERS, _OWNERS.c.id == servers.c.user_id)
    .order_by(share_codes.c.id)
)


def _share_of(row: Any) -> Share:
    values = dict(row._mapping)  # noqa: SLF001  # public, despite its name
    values["user"], values["group"] = values["user"] or "", values["group"] or ""
    return Share(**(values | {"scopes": tuple(values["scopes"])}))


def _code_of(row: Any) -> ShareCode:
    values = dict(row._mapping)  # noqa: SLF001
    return ShareCode(**(values | {"scopes": tuple(values["scopes"])}))


class SqlShares:
    """Rows of what users share with others."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def get(self, server_id: int, *, user_id: int | None = None, group_id: int | None = None) -> Share | None:
        """What one user or one group was given of one server."""
        whose = shares.c.user_id == user_id if user_id is not None else shares.c.group_id == group_id
        found = await self._several(_SHARES.where(shares.c.server_id == server_id, whose))
        return found[0] if found else None

    async def of_servers(self, server_ids: Iterable[int]) -> Sequence[Share]:
        """All shares of these servers."""
        return await self._several(_SHARES.where(shares.c.server_id.in_(list(server_ids))))

    async def with_user(self, user_id: int) -> Sequence[Share]:
        """All that one user was given, themselves or by a group of theirs."""
        theirs = select(group_members.c.group_id).where(group_members.c.user_id == user_id)
        return await self._several(_SHARES.where(or_(shares.c.user_id == user_id, shares.c.group_id.in_(theirs))))

    async def with_group(self, group_id: int) -> Sequence[Share]:
        """All that a group was given."""
        return await self._several(_SHARES.where(shares.c.group_id == group_id))

    async def put(
        self,
        server_id: int,
        *,
        user_id: int | None = None,
        group_id: int | None = None,
        scopes: Sequence[str],
        created: datetime,
    ) -> Share:
        """Add it, or give the one that is there exactly these scopes."""
        found = await self.get(server_id, user_id=user_id, group_id=group_id)
        if found is not None:
            changed = update(shares).where(shares.c.id == found.id).values(scopes=list(scopes))
            await self._connection.execute(changed)
            share_id = found.id
        else:
            values = {"server_id": server_id, "user_id": user_id, "group_id": group_id, "created": created}
            added = insert(shares).values(**values, scopes=list(scopes)).returning(shares.c.id)
            share_id = (await self._connection.execute(added)).scalar_one()
        (share,) = await self._several(_SHARES.where(shares.c.id == share_id))
        return share

    async def delete(self, share_id: int) -> None:
        """Take one back."""
        await self._connection.execute(delete(shares).where(shares.c.id == share_id))

    async def delete_of_server(self, server_id: int) -> None:
        """Take all of a server back."""
        await self._connection.execute(delete(shares).where(shares.c.server_id == server_id))

    async def _several(self, statement: Select[Any]) -> Sequence[Share]:
        return [_share_of(row) for row in await self._connection.execute(statement)]


class SqlShareCodes:
    """Rows of codes that make shares."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def by_hash(self, code_hash: str) -> ShareCode | None:
        """The code with that hash."""
        row = (await self._connection.execute(_CODES.where(share_codes.c.code_hash == code_hash))).one_or_none()
        return None if row is None else _code_of(row)

    async def of_servers(self, server_ids: Iterable[int]) -> Sequence[ShareCode]:
        """All codes of these servers."""
        mine = _CODES.where(share_codes.c.server_id.in_(list(server_ids)))
        return [_code_of(row) for row in await self._connection.execute(mine)]

    async def add(
        self, *, server_id: int, code_hash: str, scopes: Sequence[str], created: datetime, expires_at: datetime
    ) -> ShareCode:
        """Keep a code."""
        values = {"server_id": server_id, "code_hash": code_hash, "scopes": list(scopes), "exchange_count": 0}
        added = insert(share_codes).values(**values, created=created, expires_at=expires_at)
        await self._connection.execute(added)
        (row,) = await self._connection.execute(_CODES.where(share_codes.c.code_hash == code_hash))
        return _code_of(row)

    async def note_exchange(self, code_id: int, at: datetime) -> None:
        """It was used once more."""
        used = update(share_codes).where(share_codes.c.id == code_id)
        counted = share_codes.c.exchange_count + 1
        await self._connection.execute(used.values(exchange_count=counted, last_exchanged_at=at))

    async def delete(self, code_id: int) -> None:
        """Take one back."""
        if code_id <= MAX_ID:
            await self._connection.execute(delete(share_codes).where(share_codes.c.id == code_id))

    async def delete_of_server(self, server_id: int) -> None:
        """Take all of a server back."""
        await self._connection.execute(delete(share_codes).where(share_codes.c.server_id == server_id))

    async def delete_expired(self, now: datetime) -> int:
        """Forget codes that have ended."""
        return (await self._connection.execute(delete(share_codes).where(share_codes.c.expires_at <= now))).rowcount
