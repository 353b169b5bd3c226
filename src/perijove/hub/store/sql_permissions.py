"""
Rows of authorization codes, of services at run time and of auth states, in SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from perijove.hub.domain.errors import AlreadyExists
from perijove.hub.domain.oauth_codes import OAuthCode
from perijove.hub.domain.runtime_services import RuntimeService
from perijove.hub.store.sqlite_thread import Executes
from perijove.hub.store.tables import auth_states, oauth_codes, services
from perijove.hub.store.upsert import upsert

_PUT_STATE: Final = upsert(auth_states, ("user_id", "sealed"), key="user_id")


class SqlOAuthCodes:
    """Rows of authorization codes."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def add(self, code: OAuthCode) -> None:
        """Keep a code."""
        await self._connection.execute(insert(oauth_codes), asdict(code) | {"scopes": list(code.scopes)})

    async def take(self, code_hash: str) -> OAuthCode | None:
        """Remove and answer it."""
        taken = delete(oauth_codes).where(oauth_codes.c.code_hash == code_hash).returning(*oauth_codes.columns)
        row = (await self._connection.execute(taken)).one_or_none()
        if row is None:
            return None
        values = dict(row._mapping)  # noqa: SLF001  # public, despite its name
        return OAuthCode(**(values | {"scopes": tuple(values["scopes"])}))

    async def delete_of_client(self, client_id: str) -> None:
        """All that were made for it."""
        await self._connection.execute(delete(oauth_codes).where(oauth_codes.c.client_id == client_id))

    async def delete_expired(self, now: datetime) -> int:
        """Forget codes that have ended."""
        return (await self._connection.execute(delete(oauth_codes).where(oauth_codes.c.expires_at <= now))).rowcount


class SqlRuntimeServices:
    """Rows of services that the configuration does not declare."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def all(self) -> Sequence[RuntimeService]:
        """By name."""
        rows = await self._connection.execute(select(services))
        return sorted((_service_of(row) for row in rows), key=lambda service: service.name)

    async def by_name(self, name: str) -> RuntimeService | None:
        """The service of that name."""
        row = (await self._connection.execute(select(services).where(services.c.name == name))).one_or_none()
        return None if row is None else _service_of(row)

    async def by_prefix(self, prefix: str) -> Sequence[RuntimeService]:
        """Services whose token begins so."""
        rows = await self._connection.execute(select(services).where(services.c.prefix == prefix))
        return [_service_of(row) for row in rows]

    async def add(self, service: RuntimeService) -> None:
        """Raises AlreadyExists."""
        try:
            values = asdict(service) | {"declaration": dict(service.declaration)}
            await self._connection.execute(insert(services), values)
        except IntegrityError as exc:
            raise AlreadyExists(f"There is a service {service.name!r} already.") from exc

    async def delete(self, name: str) -> None:
        """Forget a service."""
        await self._connection.execute(delete(services).where(services.c.name == name))


class SqlAuthStates:
    """What sign-in methods want remembered of users, sealed."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def get(self, user_id: int) -> str | None:
        """What is kept of a user."""
        wanted = select(auth_states.c.sealed).where(auth_states.c.user_id == user_id)
        row = (await self._connection.execute(wanted)).one_or_none()
        return None if row is None else str(row[0])

    async def put(self, user_id: int, sealed: str | None) -> None:
        """None forgets it."""
        if sealed is None:
            await self._connection.execute(delete(auth_states).where(auth_states.c.user_id == user_id))
        else:
            await self._connection.execute(_PUT_STATE, {"user_id": user_id, "sealed": sealed})

    async def page(self, *, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """By user id."""
        rest = select(auth_states).where(auth_states.c.user_id > after).order_by(auth_states.c.user_id).limit(limit)
        return [(row.user_id, row.sealed) for row in await self._connection.execute(rest)]

    async def swap(self, user_id: int, old: str, new: str) -> None:
        """Replace what is still there."""
        same = and_(auth_states.c.user_id == user_id, auth_states.c.sealed == old)
        await self._connection.execute(update(auth_states).where(same).values(sealed=new))


def _service_of(row: Row[Any]) -> RuntimeService:
    return RuntimeService(**row._mapping)  # noqa: SLF001
