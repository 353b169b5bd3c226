"""
The tables of the store in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from perijove.hub.domain.accounts import Account, Invitation
from perijove.hub.domain.audit import AuditEntry
from perijove.hub.domain.groups import Group
from perijove.hub.domain.hubs import HubProcess
from perijove.hub.domain.oauth_codes import OAuthCode
from perijove.hub.domain.runtime_services import RuntimeService
from perijove.hub.domain.servers import Server
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.shares import Share, ShareCode
from perijove.hub.domain.tokens import ApiToken
from perijove.hub.domain.users import Person, User

Key = TypeVar("Key")
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRow:
    """A share by ids; names are looked up when it is read."""

    id: int
    server_id: int
    user_id: int | None
    group_id: int | None
    scopes: tuple[str, ...] = ()
    created: datetime


@dataclass(slots=True)
class Tables:
    """All rows. The rows are frozen, so that a copy of the dictionaries is a copy of everything."""

    users: dict[int, User] = field(default_factory=dict)
    servers: dict[int, Server] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    tokens: dict[int, ApiToken] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    invitations: dict[int, Invitation] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)
    #: group id → user ids
    members: dict[int, frozenset[int]] = field(default_factory=dict)
    hubs: dict[str, HubProcess] = field(default_factory=dict)
    attempts: dict[str, tuple[datetime, ...]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    shares: dict[int, ShareRow] = field(default_factory=dict)
    share_codes: dict[int, ShareCode] = field(default_factory=dict)
    oauth_codes: dict[str, OAuthCode] = field(default_factory=dict)
    services: dict[str, RuntimeService] = field(default_factory=dict)
    auth_states: dict[int, str] = field(default_factory=dict)
    audit: dict[int, AuditEntry] = field(default_factory=dict)
    #: last id given out, for all tables together: an id is never given twice
    last_id: int = 0

    def copy(self) -> Tables:
        """The same rows in new dictionaries."""
        return Tables(
            users=dict(self.users),
            servers=dict(self.servers),
            sessions=dict(self.sessions),
            tokens=dict(self.tokens),
            accounts=dict(self.accounts),
            invitations=dict(self.invitations),
            groups=dict(self.groups),
            members=dict(self.members),
            hubs=dict(self.hubs),
            attempts=dict(self.attempts),
            facts=dict(self.facts),
            shares=dict(self.shares),
            share_codes=dict(self.share_codes),
            oauth_codes=dict(self.oauth_codes),
            services=dict(self.services),
            auth_states=dict(self.auth_states),
            audit=dict(self.audit),
            last_id=self.last_id,
        )

    def next_id(self) -> int:
        """A new id."""
        self.last_id += 1
        return self.last_id

    def groups_of(self, user_id: int) -> frozenset[int]:
        """Ids of a user's groups."""
        return frozenset(group_id for group_id, members in self.members.items() if user_id in members)

    def shares_with(self, user_id: int) -> Iterable[ShareRow]:
        """What a user was given, themselves or by a group of theirs."""
        mine = self.groups_of(user_id)
        return [row for row in self.shares.values() if row.user_id == user_id or row.group_id in mine]

    def share(self, row: ShareRow) -> Share:
        """A share with the names of now."""
        server = self.servers[row.server_id]
        return Share(
            id=row.id,
            server_id=row.server_id,
            owner=server.user_name,
            server_name=server.name,
            user="" if row.user_id is None else self.users[row.user_id].name,
            group="" if row.group_id is None else self.groups[row.group_id].name,
            scopes=row.scopes,
            created=row.created,
        )

    def person(self, user_id: int) -> Person:
        """A user with groups and shares."""
        shared = {text for row in self.shares_with(user_id) for text in self.share(row).full_scopes}
        return Person(
            user=self.users[user_id],
            groups=tuple(sorted(self.groups[group_id].name for group_id in self.groups_of(user_id))),
            shared=tuple(sorted(shared)),
        )

    def drop_server(self, server_id: int) -> None:
        """A server's row and what hangs on it."""
        self.servers.pop(server_id, None)
        drop(self.shares, lambda row: row.server_id == server_id)
        drop(self.share_codes, lambda code: code.server_id == server_id)


def drop(rows: dict[Key, Row], goes: Callable[[Row], bool]) -> int:
    """Remove the rows that *goes* says; answers how many."""
    gone = [key for key, row in rows.items() if goes(row)]
    for key in gone:
        del rows[key]
    return len(gone)


def later(old: datetime | None, new: datetime) -> datetime:
    """The later of two times."""
    return new if old is None else max(old, new)
