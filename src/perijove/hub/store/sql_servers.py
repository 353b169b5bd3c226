"""
Rows of servers, in SQL. The name of the owner comes from the join, so that it is kept once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Update, bindparam, delete, func, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError

from perijove.hub.domain.errors import AlreadyExists, NoSuchUser, StaleGeneration
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.queue import Entry
from perijove.hub.domain.servers import Server, first_generation
from perijove.hub.store.kept import among, by_key, many, padded, sized
from perijove.hub.store.sqlite_thread import Executes
from perijove.hub.store.tables import servers, users
from perijove.kit.steps import in_steps

#: columns that a swap may change
SWAPPED: Final = (
    "name",
    "state",
    "generation",
    "display_name",
    "handle",
    "target",
    "started_at",
    "last_activity",
    "user_options",
    "failure",
    "failure_log",
    "lease_holder",
    "lease_until",
    "queued_at",
    "busy_until",
    "keep_until",
    "stop_reason",
)
_ROWS: Final = select(servers, users.c.name.label("user_name")).join_from(servers, users)
# Built once: they are asked all the time, and building a statement costs more than running it.
_OF_USER: Final = by_key(_ROWS.where(servers.c.user_id == bindparam("user"), servers.c.name == bindparam("server")))
_BY_ID: Final = by_key(_ROWS.where(servers.c.id == bindparam("wanted")))
_BY_KEY: Final = by_key(_ROWS.where(users.c.name == bindparam("user"), servers.c.name == bindparam("server")))
_OWNER: Final = select(users.c.name).where(users.c.id == bindparam("wanted"))
_ADD: Final = insert(servers).returning(servers.c.id)
_TOUCH: Final = (
    update(servers)
    .where(servers.c.id == bindparam("which"))
    .where(or_(servers.c.last_activity.is_(None), servers.c.last_activity < bindparam("at")))
    .values(last_activity=bindparam("at"))
)
#: columns that must be as they were for a swap
_FENCE: Final = ("id", "state", "generation", "lease_holder")
#: looking a member of an enumeration up by its value takes several times as long
_STATES: Final = {state.value: state for state in State}
_FIELDS: Final = (*(column.name for column in servers.columns), "user_name")


@cache
def _of_several(size: int) -> Select[Any]:
    return sized(_ROWS.where(among(servers.c.user_id, size)).order_by(servers.c.user_id, servers.c.name), size)


@cache
def _of_these(size: int) -> Select[Any]:
    return sized(_ROWS.where(among(servers.c.id, size)).order_by(servers.c.user_id, servers.c.name), size)


@cache
def _ids_in_states(states: frozenset[State]) -> Select[Any]:
    return many(select(servers.c.id).where(_is_in(states)).order_by(servers.c.id))


def _is_in(states: frozenset[State]) -> ColumnElement[bool]:
    return servers.c.state.in_([literal(state.value) for state in State if state in states])


@lru_cache(maxsize=128)
def _swap(changed: Sequence[str]) -> Update:
    # Each step of a start changes the same columns; building the statement costs several times what running it does.
    fence = (servers.c[name] == bindparam(f"old_{name}") for name in _FENCE)
    return update(servers).where(*fence).values({name: bindparam(f"new_{name}") for name in changed})


def _server_of(row: Sequence[Any]) -> Server:
    columns = dict(zip(_FIELDS, row, strict=True))
    columns["state"] = _STATES[columns["state"]]
    columns["failure_log"] = tuple(columns["failure_log"])
    return Server(**columns)


def _stored(column: str, server: Server) -> Any:
    value = getattr(server, column)
    if isinstance(value, State):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


class SqlServers:
    """Rows of servers."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def get(self, user_id: int, name: str) -> Server | None:
        """A user's server of that name."""
        return await self._one(_OF_USER, {"user": user_id, "server": name})

    async def by_id(self, server_id: int) -> Server | None:
        """The server of that id."""
        return await self._one(_BY_ID, {"wanted": server_id})

    async def by_key(self, user_name: str, name: str) -> Server | None:
        """The server of the named user."""
        return await self._one(_BY_KEY, {"user": user_name, "server": name})

    async def of_users(self, user_ids: Iterable[int]) -> Sequence[Server]:
        """All servers of these users."""
        wanted = list(user_ids)
        parameters = padded(wanted)
        if parameters is None:
            return await self._all(servers.c.user_id.in_(wanted))
        rows = await self._connection.execute(_of_several(len(parameters)), parameters)
        return [_server_of(row) for row in rows]

    async def in_states(self, states: Iterable[State]) -> Sequence[Server]:
        """All servers in any of these states."""
        return await self._all(servers.c.state.in_([state.value for state in states]))

    async def ids_in_states(self, states: Iterable[State]) -> Sequence[int]:
        """Of all servers in any of these states, in order."""
        return [server_id for (server_id,) in await self._connection.execute(_ids_in_states(frozenset(states)))]

    async def by_ids(self, ids: Sequence[int]) -> Sequence[Server]:
        """Those of these that there are."""
        parameters = padded(ids)
        if parameters is None:
            return await self._all(servers.c.id.in_(ids))
        rows = await self._connection.execute(_of_these(len(parameters)), parameters)
        return [_server_of(row) for row in rows]

    async def count_active(self) -> int:
        """How many are in any state but STOPPED."""
        return await self.count_in(state for state in State if state is not State.STOPPED)

    async def count_in(self, states: Iterable[State]) -> int:
        """How many are in any of these states."""
        wanted = servers.c.state.in_([state.value for state in states])
        count = select(func.count()).select_from(servers).where(wanted)
        return int((await self._connection.execute(count)).scalar_one())

    async def entries(self, states: Iterable[State], *, since: datetime | None = None) -> Sequence[Entry]:
        """As much of them as the queue's order needs."""
        kept = ("id", "user_id", "state", "queued_at", "created", "started_at")
        rows = select(*(servers.c[name] for name in kept)).where(servers.c.state.in_([state.value for state in states]))
        if since is not None:
            rows = rows.where(servers.c.started_at >= since)
        return [
            Entry(
                server_id=row.id,
                user_id=row.user_id,
                # Rows of an older release that were starting when it ended have no time of their own.
                queued_at=row.queued_at or row.created,
                began=row.started_at if row.state == State.READY.value else None,
            )
            for row in await self._connection.execute(rows)
        ]

    async def add(self, *, user_id: int, name: str, created: datetime, display_name: str = "") -> Server:
        """A STOPPED server of the first generation. Raises AlreadyExists."""
        owner = (await self._connection.execute(_OWNER, {"wanted": user_id})).scalar_one_or_none()
        if owner is None:
            raise NoSuchUser
        server = Server(
            id=0,
            user_id=user_id,
            user_name=owner,
            name=name,
            state=State.STOPPED,
            generation=first_generation(created),
            created=created,
            display_name=display_name,
        )
        values = {column: _stored(column, server) for column in ("user_id", "created", *SWAPPED)}
        try:
            done = await self._connection.execute(_ADD, values)
        except IntegrityError as exc:
            raise AlreadyExists(f"There is a server {name!r} already.") from exc
        return replace(server, id=done.scalar_one())

    async def swap(self, old: Server, new: Server) -> Server:
        """Compare and swap. Raises StaleGeneration."""
        # Without changes the fence is looked at all the same.
        changed = tuple(name for name in SWAPPED if getattr(new, name) != getattr(old, name)) or ("state",)
        values = {f"new_{name}": _stored(name, new) for name in changed}
        fence = {f"old_{name}": _stored(name, old) for name in _FENCE}
        done = await self._connection.execute(_swap(changed), values | fence)
        if done.rowcount != 1:
            raise StaleGeneration
        return new

    async def renew_leases(self, holder: str, until: datetime) -> None:
        """Move the end of every lease that *holder* has."""
        # Locked in the order of `touch`, so that two hubs wait for each other instead of both for ever.
        held = select(servers.c.id).where(servers.c.lease_holder == holder).order_by(servers.c.id).with_for_update()
        await self._connection.execute(update(servers).where(servers.c.id.in_(held)).values(lease_until=until))

    async def delete(self, server_id: int) -> None:
        """Forget a server."""
        await self._connection.execute(delete(servers).where(servers.c.id == server_id))

    async def touch(self, seen: Mapping[int, datetime]) -> None:
        """Raise `last_activity` by server id."""
        if not seen:
            return
        rows = [{"which": server_id, "at": at} for server_id, at in sorted(seen.items())]
        await self._connection.execute(_TOUCH, rows)

    async def note_busy(self, said: Mapping[int, tuple[datetime, datetime]]) -> None:
        """Set `busy_until` by server id to the first time, where it is not after the second."""
        if not said:
            return
        older = or_(servers.c.busy_until.is_(None), servers.c.busy_until <= bindparam("latest"))
        change = update(servers).where(servers.c.id == bindparam("which"), older).values(busy_until=bindparam("until"))
        rows = [{"which": server_id, "until": until, "latest": latest} for server_id, (until, latest) in said.items()]
        await self._connection.execute(change, rows)

    async def last_used(self, *, before: datetime, or_started: datetime) -> Sequence[Server]:
        """The ready ones that were last active before the one time, or started before the other."""
        unused = or_(servers.c.last_activity.is_(None), servers.c.last_activity <= before)
        return await self._all((servers.c.state == State.READY.value) & (unused | (servers.c.started_at <= or_started)))

    async def _one(self, statement: Select[Any], wanted: Mapping[str, object]) -> Server | None:
        row = (await self._connection.execute(statement, dict(wanted))).one_or_none()
        return None if row is None else _server_of(row)

    async def _all(self, condition: ColumnElement[bool]) -> Sequence[Server]:
        ordered = _ROWS.where(condition).order_by(servers.c.user_id, servers.c.name)
        # Thousands of running servers take a tenth of a second: others are answered meanwhile.
        return [_server_of(row) async for row in in_steps(await self._connection.execute(ordered))]
