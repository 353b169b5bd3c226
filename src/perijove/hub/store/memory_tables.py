"""
The tables of the store in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from perijove.hub.domain.accounts import Account, Invitation
from perijove.hub.domain.groups import Group
from perijove.hub.domain.hubs import HubProcess
from perijove.hub.domain.servers import Server
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.tokens import ApiToken
from perijove.hub.domain.users import User

Key = TypeVar("Key")
Row = TypeVar("Row")


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
            last_id=self.last_id,
        )

    def next_id(self) -> int:
        """A new id."""
        self.last_id += 1
        return self.last_id


def drop(rows: dict[Key, Row], goes: Callable[[Row], bool]) -> int:
    """Remove the rows that *goes* says; answers how many."""
    gone = [key for key, row in rows.items() if goes(row)]
    for key in gone:
        del rows[key]
    return len(gone)


def later(old: datetime | None, new: datetime) -> datetime:
    """The later of two times."""
    return new if old is None else max(old, new)
