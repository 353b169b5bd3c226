"""
Shares, authorization codes, services at run time, auth states and the audit log, in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from perijove.hub.domain.audit import Action, AuditEntry
from perijove.hub.domain.errors import AlreadyExists
from perijove.hub.domain.oauth_codes import OAuthCode
from perijove.hub.domain.principals import Kind
from perijove.hub.domain.runtime_services import RuntimeService
from perijove.hub.domain.shares import Share, ShareCode
from perijove.hub.store.memory_tables import ShareRow, Tables, drop


class MemoryShares:
    """Rows of what users share with others."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def get(self, server_id: int, *, user_id: int | None = None, group_id: int | None = None) -> Share | None:
        """What one user or one group was given of one server."""
        row = self._row(server_id, user_id, group_id)
        return None if row is None else self._tables.share(row)

    async def of_servers(self, server_ids: Iterable[int]) -> Sequence[Share]:
        """All shares of these servers."""
        wanted = frozenset(server_ids)
        return self._several(row for row in self._tables.shares.values() if row.server_id in wanted)

    async def with_user(self, user_id: int) -> Sequence[Share]:
        """All that one user was given, themselves or by a group of theirs."""
        return self._several(self._tables.shares_with(user_id))

    async def with_group(self, group_id: int) -> Sequence[Share]:
        """All that a group was given."""
        return self._several(row for row in self._tables.shares.values() if row.group_id == group_id)

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
        row = self._row(server_id, user_id, group_id) or ShareRow(
            id=self._tables.next_id(), server_id=server_id, user_id=user_id, group_id=group_id, created=created
        )
        self._tables.shares[row.id] = replace(row, scopes=tuple(scopes))
        return self._tables.share(self._tables.shares[row.id])

    async def delete(self, share_id: int) -> None:
        """Take one back."""
        self._tables.shares.pop(share_id, None)

    async def delete_of_server(self, server_id: int) -> None:
        """Take all of a server back."""
        drop(self._tables.shares, lambda row: row.server_id == server_id)

    def _row(self, server_id: int, user_id: int | None, group_id: int | None) -> ShareRow | None:
        wanted = (server_id, user_id, group_id)
        rows = self._tables.shares.values()
        return next((row for row in rows if (row.server_id, row.user_id, row.group_id) == wanted), None)

    def _several(self, rows: Iterable[ShareRow]) -> Sequence[Share]:
        return [self._tables.share(row) for row in sorted(rows, key=lambda row: row.id)]


@dataclass(frozen=True, slots=True)
class MemoryShareCodes:
    """Rows of codes that make shares."""

    tables: Tables

    async def by_hash(self, code_hash: str) -> ShareCode | None:
        """The code with that hash."""
        return next((code for code in self._all() if code.code_hash == code_hash), None)

    async def of_servers(self, server_ids: Iterable[int]) -> Sequence[ShareCode]:
        """All codes of these servers."""
        wanted = frozenset(server_ids)
        return [code for code in self._all() if code.server_id in wanted]

    async def add(
        self, *, server_id: int, code_hash: str, scopes: Sequence[str], created: datetime, expires_at: datetime
    ) -> ShareCode:
        """Keep a code."""
        server = self.tables.servers[server_id]
        code = ShareCode(
            id=self.tables.next_id(),
            server_id=server_id,
            owner=server.user_name,
            server_name=server.name,
            code_hash=code_hash,
            scopes=tuple(scopes),
            created=created,
            expires_at=expires_at,
        )
        self.tables.share_codes[code.id] = code
        return code

    async def note_exchange(self, code_id: int, at: datetime) -> None:
        """It was used once more."""
        code = self.tables.share_codes[code_id]
        counted = replace(code, exchange_count=code.exchange_count + 1, last_exchanged_at=at)
        self.tables.share_codes[code_id] = counted

    async def delete(self, code_id: int) -> None:
        """Take one back."""
        self.tables.share_codes.pop(code_id, None)

    async def delete_of_server(self, server_id: int) -> None:
        """Take all of a server back."""
        drop(self.tables.share_codes, lambda code: code.server_id == server_id)

    async def delete_expired(self, now: datetime) -> int:
        """Forget codes that have ended."""
        return drop(self.tables.share_codes, lambda code: code.expires_at <= now)

    def _all(self) -> Sequence[ShareCode]:
        servers = self.tables.servers
        codes = sorted(self.tables.share_codes.values(), key=lambda code: code.id)
        return [
            replace(code, owner=servers[code.server_id].user_name, server_name=servers[code.server_id].name)
            for code in codes
        ]


class MemoryOAuthCodes:
    """Rows of authorization codes."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.oauth_codes

    async def add(self, code: OAuthCode) -> None:
        """Keep a code."""
        self._rows[code.code_hash] = code

    async def take(self, code_hash: str) -> OAuthCode | None:
        """Remove and answer it."""
        return self._rows.pop(code_hash, None)

    async def delete_of_client(self, client_id: str) -> None:
        """All that were made for it."""
        drop(self._rows, lambda code: code.client_id == client_id)

    async def delete_expired(self, now: datetime) -> int:
        """Forget codes that have ended."""
        return drop(self._rows, lambda code: code.expires_at <= now)


class MemoryRuntimeServices:
    """Rows of services that the configuration does not declare."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.services

    async def all(self) -> Sequence[RuntimeService]:
        """By name."""
        return sorted(self._rows.values(), key=lambda service: service.name)

    async def by_name(self, name: str) -> RuntimeService | None:
        """The service of that name."""
        return self._rows.get(name)

    async def by_prefix(self, prefix: str) -> Sequence[RuntimeService]:
        """Services whose token begins so."""
        return [service for service in self._rows.values() if service.prefix == prefix]

    async def add(self, service: RuntimeService) -> None:
        """Raises AlreadyExists."""
        if service.name in self._rows:
            raise AlreadyExists(f"There is a service {service.name!r} already.")
        self._rows[service.name] = service

    async def delete(self, name: str) -> None:
        """Forget a service."""
        self._rows.pop(name, None)


class MemoryAuthStates:
    """What sign-in methods want remembered of users, sealed."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.auth_states

    async def get(self, user_id: int) -> str | None:
        """What is kept of a user."""
        return self._rows.get(user_id)

    async def put(self, user_id: int, sealed: str | None) -> None:
        """None forgets it."""
        self._rows.pop(user_id, None)
        if sealed is not None:
            self._rows[user_id] = sealed

    async def page(self, *, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """By user id."""
        return [row for row in sorted(self._rows.items()) if row[0] > after][:limit]

    async def swap(self, user_id: int, old: str, new: str) -> None:
        """Replace what is still there."""
        if self._rows.get(user_id) == old:
            self._rows[user_id] = new


class MemoryAudit:
    """Rows of the audit log."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def add(self, entry: AuditEntry) -> None:
        """Keep it, not sealed yet."""
        new = replace(entry, id=self._tables.next_id(), sequence=0, sealed_hash="")
        self._tables.audit[new.id] = new

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
        found = [
            entry
            for entry in self._tables.audit.values()
            if (before_id is None or entry.id < before_id)
            and (not actor or entry.actor == actor)
            and (not target or entry.target == target)
            and (action is None or entry.action is action)
            and (since is None or entry.at >= since)
            and (until is None or entry.at < until)
            and (not concerning or _concerns(entry, concerning))
        ]
        return sorted(found, key=lambda entry: -entry.id)[:limit]

    async def unsealed(self, limit: int) -> Sequence[AuditEntry]:
        """The oldest that are not sealed."""
        open_ = [entry for entry in self._tables.audit.values() if not entry.sequence]
        return sorted(open_, key=lambda entry: entry.id)[:limit]

    async def seal(self, entry_id: int, *, sequence: int, sealed_hash: str) -> None:
        """Give an entry its place in the chain."""
        entry = self._tables.audit[entry_id]
        self._tables.audit[entry_id] = replace(entry, sequence=sequence, sealed_hash=sealed_hash)

    async def sealed(self, *, after: int, limit: int) -> Sequence[AuditEntry]:
        """The chain from a place on."""
        return [entry for entry in self._chain() if entry.sequence > after][:limit]

    async def last_sealed(self) -> AuditEntry | None:
        """The end of the chain."""
        chain = self._chain()
        return chain[-1] if chain else None

    def _chain(self) -> Sequence[AuditEntry]:
        closed = (entry for entry in self._tables.audit.values() if entry.sequence)
        return sorted(closed, key=lambda entry: entry.sequence)

    async def forget(self, *, up_to: int) -> int:
        """Delete the beginning of the chain."""
        return drop(self._tables.audit, lambda entry: 0 < entry.sequence <= up_to)


def _concerns(entry: AuditEntry, user: str) -> bool:
    return entry.target == user or (entry.actor == user and entry.actor_kind == Kind.USER.value)
