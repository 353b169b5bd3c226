"""
What users let others do with their servers: shares, and codes that make them (contract d22, d23, d31 to d38).

A share keeps bare scopes and the ids of what they are for; the text with names (`access:servers!server=ada/`) is made
when it is read, so that a renamed server or user takes its shares along and a reused name inherits nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one user or one group may do with one server of somebody else's."""

    id: int
    server_id: int
    #: whose server it is, and its name
    owner: str
    server_name: str
    #: exactly one of these is not empty
    user: str = ""
    group: str = ""
    #: bare, without filter; in order
    scopes: tuple[str, ...] = ()
    created: datetime

    @property
    def full_scopes(self) -> tuple[str, ...]:
        """The scopes as somebody holds them."""
        return scopes_on_server(self.scopes, self.owner, self.server_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareCode:
    """Whoever has the code may make themselves a share of one server; only the hash is kept."""

    id: int
    server_id: int
    owner: str
    server_name: str
    #: SHA-256 of the code, hex
    code_hash: str
    #: bare, without filter; in order
    scopes: tuple[str, ...]
    created: datetime
    expires_at: datetime
    exchange_count: int = 0
    last_exchanged_at: datetime | None = None

    @property
    def public_id(self) -> str:
        """The id that the REST API shows (contract d)."""
        return f"sc_{self.id}"

    @property
    def full_scopes(self) -> tuple[str, ...]:
        """The scopes as whoever takes it will hold them."""
        return scopes_on_server(self.scopes, self.owner, self.server_name)


def scopes_on_server(scopes: Iterable[str], owner: str, server_name: str) -> tuple[str, ...]:
    """Bare *scopes*, each for one server."""
    return tuple(f"{scope}!server={owner}/{server_name}" for scope in scopes)
