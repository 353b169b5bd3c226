"""
Rows of users, in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    asc,
    bindparam,
    delete,
    desc,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from perijove.hub.domain.errors import AlreadyExists
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.users import User
from perijove.hub.ports import UserActivity, UserSort
from perijove.hub.store.kept import by_key
from perijove.hub.store.sqlite_thread import Executes
from perijove.hub.store.tables import accounts, servers, users


_FIELDS: Final = tuple(column.name for column in users.columns)


def user_of(row: Sequence[Any], at: int = 0) -> User:
    """The value of a row; in a join, its columns begin *at* that place."""
    return User(**dict(zip(_FIELDS, row[at : at + len(_FIELDS)], strict=True)))


#: a user's columns for a join
AS_OWNER: Final = tuple(column.label(f"owner_{column.name}") for column in users.columns)


# Built once: they are asked all the time, and building a statement costs more than running it.
_BY_NAME: Final = by_key(select(users).where(users.c.name == bindparam("wanted")))
_BY_ID: Final = by_key(select(users).where(users.c.id == bindparam("wanted")))


class SqlUsers:
    """Rows of users."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def by_name(self, name: str) -> User | None:
        """The user of that name."""
        return await self._one(_BY_NAME, name)

    async def by_id(self, user_id: int) -> User | None:
        """The user of that id."""
        return await self._one(_BY_ID, user_id)

    async def _one(self, statement: Select[Any], wanted: str | int) -> User | None:
        row = (await self._connection.execute(statement, {"wanted": wanted})).one_or_none()
        return None if row is None else user_of(row)

    async def page(
        self,
        *,
        offset: int,
        limit: int,
        sort: UserSort = "id",
        name_filter: str = "",
        names: Iterable[str] | None = None,
        state: UserActivity | None = None,
    ) -> tuple[Sequence[User], int]:
        """One page and the total."""
        wanted = [users.c.name.contains(name_filter.lower(), autoescape=True)]
        if names is not None:
            wanted.append(users.c.name.in_(list(names)))
        if state is not None:
            wanted.append(_in_state(state))
        total = (await self._connection.execute(select(func.count()).select_from(users).where(*wanted))).scalar_one()
        column = users.c[sort.removeprefix("-")]
        order = desc(column).nulls_last() if sort.startswith("-") else asc(column).nulls_first()
        page = select(users).where(*wanted).order_by(order, users.c.id).offset(offset).limit(limit)
        return [user_of(row) for row in await self._connection.execute(page)], total

    async def add(self, *, name: str, admin: bool, created: datetime, display_name: str = "") -> User:
        """Raises AlreadyExists."""
        values = {"name": name, "admin": admin, "created": created, "display_name": display_name}
        try:
            done = await self._connection.execute(insert(users).values(values).returning(users.c.id))
        except IntegrityError as exc:
            raise AlreadyExists(f"There is a user {name!r} already.") from exc
        return User(id=done.scalar_one(), name=name, admin=admin, created=created, display_name=display_name)

    async def set_admin(self, user_id: int, *, admin: bool) -> None:
        """Make somebody an administrator, or no longer one."""
        await self._connection.execute(update(users).where(users.c.id == user_id).values(admin=admin))

    async def rename(self, user_id: int, name: str) -> None:
        """Raises AlreadyExists."""
        try:
            await self._connection.execute(update(users).where(users.c.id == user_id).values(name=name))
        except IntegrityError as exc:
            raise AlreadyExists(f"There is a user {name!r} already.") from exc

    async def delete(self, user_id: int) -> None:
        """With account; sessions, tokens and servers go by their foreign keys."""
        name = select(users.c.name).where(users.c.id == user_id).scalar_subquery()
        await self._connection.execute(delete(accounts).where(accounts.c.name == name))
        await self._connection.execute(delete(users).where(users.c.id == user_id))

    async def has_admin(self) -> bool:
        """Whether there is any administrator."""
        found = await self._connection.execute(select(users.c.id).where(users.c.admin.is_(True)).limit(1))
        return found.first() is not None

    async def touch(self, seen: Mapping[str, datetime]) -> None:
        """Raise `last_activity` of the named users."""
        if not seen:
            return
        older = or_(users.c.last_activity.is_(None), users.c.last_activity < bindparam("at"))
        change = update(users).where(users.c.name == bindparam("who"), older).values(last_activity=bindparam("at"))
        await self._connection.execute(change, [{"who": name, "at": at} for name, at in seen.items()])


def _in_state(state: UserActivity) -> ColumnElement[bool]:
    mine = servers.c.user_id == users.c.id
    if state == "ready":
        return exists().where(mine, servers.c.state == State.READY.value)
    active = exists().where(mine, servers.c.state != State.STOPPED.value)
    return active if state == "active" else ~active
