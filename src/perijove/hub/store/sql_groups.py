"""
Rows of groups and of their members, in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Row, Select, delete, func, select

from perijove.hub.domain.groups import Group
from perijove.hub.store.kept import among, padded, sized
from perijove.hub.store.sqlite_thread import Executes
from perijove.hub.store.tables import group_members, groups, users
from perijove.hub.store.upsert import insert_missing, upsert

_PUT: Final = upsert(groups, ("name", "properties"), key="name", returning="id")
_JOIN: Final = insert_missing(group_members, group_members.columns.keys())


_OF_USERS: Final = select(group_members.c.user_id, groups.c.name).join_from(group_members, groups)


@cache
def _of_several(size: int) -> Select[Any]:
    return sized(_OF_USERS.where(among(group_members.c.user_id, size)), size)


def _group_of(row: Row[Any]) -> Group:
    return Group(**row._mapping)  # noqa: SLF001  # public, despite its name


class SqlGroups:
    """Rows of groups and of their members."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def by_name(self, name: str) -> Group | None:
        """The group of that name."""
        row = (await self._connection.execute(select(groups).where(groups.c.name == name))).one_or_none()
        return None if row is None else _group_of(row)

    async def page(self, *, offset: int, limit: int, names: Iterable[str] | None = None) -> tuple[Sequence[Group], int]:
        """One page, by id, and the total."""
        wanted = select(groups) if names is None else select(groups).where(groups.c.name.in_(list(names)))
        total = await self._connection.execute(select(func.count()).select_from(wanted.subquery()))
        rows = await self._connection.execute(wanted.order_by(groups.c.id).offset(offset).limit(limit))
        return [_group_of(row) for row in rows], total.scalar_one()

    async def members_of(self, group_ids: Iterable[int]) -> Mapping[int, Sequence[str]]:
        """Names of the users of each group, in order."""
        named = select(group_members.c.group_id, users.c.name).join_from(group_members, users)
        found: dict[int, list[str]] = {}
        for group_id, name in await self._connection.execute(
            named.where(group_members.c.group_id.in_(list(group_ids)))
        ):
            found.setdefault(group_id, []).append(name)
        return {group_id: sorted(names) for group_id, names in found.items()}

    async def members_by_name(self, names: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """The same for groups by their names, in one question."""
        named = select(groups.c.name, users.c.name).select_from(groups).join(group_members).join(users)
        found: dict[str, list[str]] = {}
        for group, name in await self._connection.execute(named.where(groups.c.name.in_(list(names)))):
            found.setdefault(group, []).append(name)
        return {group: sorted(members) for group, members in found.items()}

    async def put(self, name: str, *, properties: Mapping[str, Any]) -> Group:
        """Add it or change its properties."""
        values = dict(properties)
        written = await self._connection.execute(_PUT, {"name": name, "properties": values})
        return Group(id=written.scalar_one(), name=name, properties=values)

    async def delete(self, group_id: int) -> None:
        """With its memberships."""
        await self._connection.execute(delete(groups).where(groups.c.id == group_id))

    async def add_members(self, group_id: int, user_ids: Iterable[int]) -> None:
        """Being a member already is fine."""
        # In one order, so that two who add at once wait for each other instead of both for ever.
        new = [{"group_id": group_id, "user_id": user_id} for user_id in sorted(set(user_ids))]
        if new:
            await self._connection.execute(_JOIN, new)

    async def remove_members(self, group_id: int, user_ids: Iterable[int]) -> None:
        """Not being a member is fine."""
        goes = group_members.c.user_id.in_(list(user_ids))
        await self._connection.execute(delete(group_members).where(group_members.c.group_id == group_id, goes))

    async def members(self, group_id: int) -> Sequence[str]:
        """Names of its users, in order."""
        found = select(users.c.name).join_from(users, group_members).where(group_members.c.group_id == group_id)
        return sorted(row.name for row in await self._connection.execute(found))

    async def of_users(self, user_ids: Iterable[int]) -> Mapping[int, Sequence[str]]:
        """Names of the groups of each user, in order."""
        wanted = list(user_ids)
        parameters = padded(wanted)
        if parameters is None:
            rows = await self._connection.execute(_OF_USERS.where(group_members.c.user_id.in_(wanted)))
        else:
            rows = await self._connection.execute(_of_several(len(parameters)), parameters)
        found: dict[int, list[str]] = {}
        for user_id, name in rows:
            found.setdefault(user_id, []).append(name)
        return {user_id: sorted(names) for user_id, names in found.items()}
