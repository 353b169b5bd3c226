"""
Rows of users, in SQL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    asc,
    bindparam,
    cast,
    delete,
    desc,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from perijove.hub.domain.errors import AlreadyExists
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.managed_roles import ManagedRole, from_stored, to_stored
from perijove.hub.domain.shares import scopes_on_server
from perijove.hub.domain.users import Person, User
from perijove.hub.rows import UserActivity, UserSort
from perijove.hub.store.gathered import gathered
from perijove.hub.store.kept import by_key, many
from perijove.hub.store.sqlite_thread import Executes
from perijove.hub.store.tables import accounts, group_members, groups, servers, shares, users
from perijove.hub.store.values import maker

_TOUCH: Final = (
    update(users)
    .where(
        users.c.name == bindparam("who"), or_(users.c.last_activity.is_(None), users.c.last_activity < bindparam("at"))
    )
    .values(last_activity=bindparam("at"))
)
_FIELDS: Final = tuple(column.name for column in users.columns)
_make: Final = maker(User, _FIELDS, readers={"managed_roles": from_stored})


def user_of(row: Sequence[Any], at: int = 0) -> User:
    """The value of a row; in a join, its columns begin *at* that place."""
    return _make(row[at:] if at else row)


_MEMBERSHIPS: Final = group_members.alias("memberships")
_LENDERS: Final = users.alias("lenders")
_GROUPS: Final = (
    select(gathered(groups.c.name))
    .select_from(group_members.join(groups))
    .where(group_members.c.user_id == users.c.id)
    .correlate(users)
    .scalar_subquery()
)
_SHARED: Final = (
    select(gathered(shares.c.scopes, _LENDERS.c.name, servers.c.name))
    .select_from(shares.join(servers).join(_LENDERS, _LENDERS.c.id == servers.c.user_id))
    .where(
        or_(
            shares.c.user_id == users.c.id,
            shares.c.group_id.in_(
                select(_MEMBERSHIPS.c.group_id).where(_MEMBERSHIPS.c.user_id == users.c.id).correlate(users)
            ),
        )
    )
    .correlate(users)
    .scalar_subquery()
)
#: a user's columns for a join, with all that the store knows of what they may do
AS_OWNER: Final = (
    *(column.label(f"owner_{column.name}") for column in users.columns),
    _GROUPS.label("owner_groups"),
    _SHARED.label("owner_shared"),
)


def person_of(row: Sequence[Any], at: int = 0) -> Person:
    """The value of a row that has `AS_OWNER` from that place on."""
    groups_found, shared_found = row[at + len(_FIELDS)], row[at + len(_FIELDS) + 1]
    shared = {text for scopes, owner, server in shared_found or () for text in scopes_on_server(scopes, owner, server)}
    return Person(
        user=user_of(row, at),
        groups=tuple(sorted(name for (name,) in groups_found or ())),
        shared=tuple(sorted(shared)),
    )


# Built once: they are asked all the time, and building a statement costs more than running it.
_BY_NAME: Final = by_key(select(users).where(users.c.name == bindparam("wanted")))
_BY_ID: Final = by_key(select(users).where(users.c.id == bindparam("wanted")))
_PERSON: Final = by_key(select(*AS_OWNER).select_from(users).where(users.c.id == bindparam("wanted")))


_ESCAPE: Final = "/"
#: what means something in a LIKE
_WILD: Final = re.compile(r"[%_/]")


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

    async def person(self, user_id: int) -> Person | None:
        """With groups and what others share with them."""
        row = (await self._connection.execute(_PERSON, {"wanted": user_id})).one_or_none()
        return None if row is None else person_of(row)

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
        wanted: dict[str, Any] = {"offset": offset, "limit": limit}
        if name_filter:
            part = _WILD.sub(rf"{_ESCAPE}\g<0>", name_filter.lower())
            wanted["part"] = f"%{part}%"
        if names is not None:
            wanted["names"] = list(names)
        page, count = _page(sort, state, is_filtered=bool(name_filter), is_restricted=names is not None)
        rows = list(await self._connection.execute(page, wanted))
        if rows:
            return [user_of(row) for row in rows], rows[0][len(_FIELDS)]
        # The total stands in the rows of the page; a page behind the last one has none.
        return [], (await self._connection.execute(count, wanted)).scalar_one()

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

    async def set_user_info(self, user_id: int, told: Mapping[str, Any]) -> None:
        """Replace what others see of somebody."""
        await self._connection.execute(update(users).where(users.c.id == user_id).values(user_info=dict(told)))

    async def set_managed_roles(self, user_id: int, roles: Sequence[ManagedRole]) -> None:
        """Replace the roles that the sign-in method gave somebody."""
        await self._connection.execute(
            update(users).where(users.c.id == user_id).values(managed_roles=to_stored(roles))
        )

    async def with_managed_roles(self, *, after: int, limit: int, mentioning: str = "") -> Sequence[User]:
        """Whoever was given roles by the sign-in method."""
        wanted = select(users).where(users.c.id > after, users.c.managed_roles.is_not(None))
        if mentioning:
            # As it is written there: what is not ASCII is escaped.
            part = _WILD.sub(rf"{_ESCAPE}\g<0>", json.dumps(mentioning)[1:-1])
            wanted = wanted.where(cast(users.c.managed_roles, Text).like(f"%{part}%", escape=_ESCAPE))
        rows = await self._connection.execute(wanted.order_by(users.c.id).limit(limit))
        return [user_of(row) for row in rows]

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
        await self._connection.execute(_TOUCH, [{"who": name, "at": at} for name, at in sorted(seen.items())])


@cache
def _page(
    sort: UserSort, state: UserActivity | None, *, is_filtered: bool, is_restricted: bool
) -> tuple[Select[Any], Select[Any]]:
    """
    The statement of a page, whose last column is the total, and that of the total alone.

    Kept by what is asked for: building one takes longer than running it.
    """
    wanted: list[ColumnElement[bool]] = []
    if is_filtered:
        wanted.append(users.c.name.like(bindparam("part"), escape=_ESCAPE))
    if is_restricted:
        wanted.append(users.c.name.in_(bindparam("names", expanding=True)))
    if state is not None:
        wanted.append(_in_state(state))
    if state in ("active", "ready") and len(wanted) == 1:
        # Whoever has a server is a user; the fewer look-ups.
        count = select(func.count(servers.c.user_id.distinct())).where(_active(state))
    else:
        count = select(func.count()).select_from(users).where(*wanted)
    column = users.c[sort.removeprefix("-")]
    order = desc(column).nulls_last() if sort.startswith("-") else asc(column).nulls_first()
    page = select(users, count.scalar_subquery().label("total")).where(*wanted).order_by(order, users.c.id)
    page = page.offset(bindparam("offset")).limit(bindparam("limit"))
    # A list of names is as long as it is: no text can be kept for it.
    return (page, count) if is_restricted else (many(page), many(count))


def _in_state(state: UserActivity) -> ColumnElement[bool]:
    running = select(servers.c.user_id).where(_active(state))
    return users.c.id.not_in(running) if state == "inactive" else users.c.id.in_(running)


def _active(state: UserActivity) -> ColumnElement[bool]:
    # By the index on the state: few servers run, however many users there are.
    if state == "ready":
        return servers.c.state == State.READY.value
    return servers.c.state.in_([literal(other.value) for other in State if other is not State.STOPPED])
