"""
Rows of the audit log, in SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, and_, delete, insert, or_, select, update

from perijove.hub.domain.audit import Action, AuditEntry
from perijove.hub.domain.principals import Kind
from perijove.hub.store.sqlite_thread import Executes
from perijove.hub.store.tables import MAX_ID, audit

_ADD: Final = insert(audit)
_UNSEALED: Final = select(audit).where(audit.c.sequence.is_(None)).order_by(audit.c.id)
_SEALED: Final = select(audit).where(audit.c.sequence.is_not(None))


def _entry_of(row: Any) -> AuditEntry:
    values = dict(row._mapping)  # noqa: SLF001  # public, despite its name
    return AuditEntry(**(values | {"action": Action(values["action"]), "sequence": values["sequence"] or 0}))


class SqlAudit:
    """Rows of the audit log."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def add(self, entry: AuditEntry) -> None:
        """Keep it, not sealed yet."""
        values = {
            "at": entry.at,
            "action": entry.action.value,
            "actor": entry.actor,
            "actor_kind": entry.actor_kind,
            "target": entry.target,
            "detail": dict(entry.detail),
            "address": entry.address,
            "sequence": None,
            "sealed_hash": "",
        }
        await self._connection.execute(_ADD, values)

    async def page(
        self,
        *,
        limit: int,
        before_id: int | None = None,
        actor: str = "",
        target: str = "",
        action: Action | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        concerning: str = "",
    ) -> Sequence[AuditEntry]:
        """The newest entries first."""
        wanted = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if before_id is not None:
            wanted = wanted.where(audit.c.id < min(before_id, MAX_ID))
        if actor:
            wanted = wanted.where(audit.c.actor == actor)
        if target:
            wanted = wanted.where(audit.c.target == target)
        if action is not None:
            wanted = wanted.where(audit.c.action == action.value)
        if since is not None:
            wanted = wanted.where(audit.c.at >= since)
        if until is not None:
            wanted = wanted.where(audit.c.at < until)
        if concerning:
            own = and_(audit.c.actor == concerning, audit.c.actor_kind == Kind.USER.value)
            wanted = wanted.where(or_(audit.c.target == concerning, own))
        return await self._several(wanted)

    async def unsealed(self, limit: int) -> Sequence[AuditEntry]:
        """The oldest that are not sealed."""
        return await self._several(_UNSEALED.limit(limit))

    async def seal(self, entry_id: int, *, sequence: int, sealed_hash: str) -> None:
        """Give an entry its place in the chain."""
        values = {"sequence": sequence, "sealed_hash": sealed_hash}
        await self._connection.execute(update(audit).where(audit.c.id == entry_id).values(**values))

    async def sealed(self, *, after: int, limit: int) -> Sequence[AuditEntry]:
        """The chain from a place on."""
        rest = _SEALED.where(audit.c.sequence > after).order_by(audit.c.sequence)
        return await self._several(rest.limit(limit))

    async def last_sealed(self) -> AuditEntry | None:
        """The end of the chain."""
        found = await self._several(_SEALED.order_by(audit.c.sequence.desc()).limit(1))
        return found[0] if found else None

    async def forget(self, *, up_to: int) -> int:
        """Delete the beginning of the chain."""
        gone = await self._connection.execute(delete(audit).where(audit.c.sequence <= up_to))
        return gone.rowcount

    async def _several(self, statement: Select[Any]) -> Sequence[AuditEntry]:
        return [_entry_of(row) for row in await self._connection.execute(statement)]
