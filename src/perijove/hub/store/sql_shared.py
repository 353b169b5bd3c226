"""
What hubs over one database share, in SQL: who they are, what was counted, what they agree on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import bindparam, delete, select, update

from perijove.hub.domain.hubs import HubProcess
from perijove.hub.store.sqlite_thread import Executes
from perijove.hub.store.tables import attempts, facts, hubs
from perijove.hub.store.upsert import upsert

_REGISTER: Final = upsert(hubs, hubs.columns.keys(), key="name", counted="incarnation", returning="incarnation")
_COUNT: Final = upsert(attempts, attempts.columns.keys(), key="key")
_STATE: Final = upsert(facts, facts.columns.keys(), key="name")


class SqlHubs:
    """Rows of hub processes."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def register(self, name: str, *, version: str, now: datetime, until: datetime) -> HubProcess:
        """A new incarnation of that name."""
        values = {"name": name, "incarnation": 1, "version": version, "started": now, "alive_until": until}
        incarnation = (await self._connection.execute(_REGISTER, values)).scalar_one()
        return HubProcess(name=name, incarnation=incarnation, version=version, started=now, alive_until=until)

    async def renew(self, hub: HubProcess, until: datetime) -> bool:
        """Stay alive until then."""
        mine = (hubs.c.name == hub.name, hubs.c.incarnation == hub.incarnation)
        return (await self._connection.execute(update(hubs).where(*mine).values(alive_until=until))).rowcount == 1

    async def all(self) -> Sequence[HubProcess]:
        """Every one that has not left."""
        rows = await self._connection.execute(select(hubs).order_by(hubs.c.name))
        return [HubProcess(**row._mapping) for row in rows]  # noqa: SLF001  # public, despite its name

    async def leave(self, hub: HubProcess) -> None:
        """Forget it, unless a newer incarnation has taken the name."""
        mine = (hubs.c.name == hub.name, hubs.c.incarnation == hub.incarnation)
        await self._connection.execute(delete(hubs).where(*mine))


# Built once: these are asked with every sign-in, and building a statement costs more than running it.
_TIMES: Final = select(attempts).where(attempts.c.key.in_(bindparam("keys", expanding=True)))
_FORGET: Final = delete(attempts).where(attempts.c.key.in_(bindparam("keys", expanding=True)))


class SqlAttempts:
    """Rows of what is counted by key."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def times(self, keys: Iterable[str]) -> Mapping[str, Sequence[datetime]]:
        """When each of these keys was counted."""
        rows = await self._connection.execute(_TIMES, {"keys": list(keys)})
        return {row.key: tuple(datetime.fromtimestamp(at, UTC) for at in row.times) for row in rows}

    async def put(self, times: Mapping[str, Sequence[datetime]]) -> None:
        """Replace what is known of these keys."""
        spent = [key for key, counted in times.items() if not counted]
        if spent:
            await self._connection.execute(_FORGET, {"keys": spent})
        # In one order, so that two hubs that write at once wait for each other instead of both for ever.
        new = [
            {"key": key, "times": [at.timestamp() for at in counted], "latest": counted[-1]}
            for key, counted in sorted(times.items())
            if counted
        ]
        if new:
            await self._connection.execute(_COUNT, new)

    async def delete_older(self, than: datetime) -> int:
        """Forget the keys that were counted last before that."""
        return (await self._connection.execute(delete(attempts).where(attempts.c.latest < than))).rowcount


class SqlFacts:
    """Small things that all hubs agree on."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def get(self, name: str) -> str | None:
        """The fact of that name."""
        found = await self._connection.execute(select(facts.c.value).where(facts.c.name == name))
        value: str | None = found.scalar_one_or_none()
        return value

    async def put(self, name: str, value: str) -> None:
        """Add or replace it."""
        await self._connection.execute(_STATE, {"name": name, "value": value})
