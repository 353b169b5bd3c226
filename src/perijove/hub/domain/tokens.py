"""
Hub API tokens: opaque to their holders, hashed at rest, found by prefix, shown once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

#: characters of a token that are stored in the clear, to find its row
PREFIX_LENGTH: Final = 8


#: what every token of a user may do, if its owner may: tell whose it is (contract f)
IDENTITY: Final = ("read:users:name!user", "read:users:groups!user")
#: what every server's own token may do besides: report activity (contract a)
SERVERS_DUTY: Final = "users:activity!user"


def with_identity(scopes: Iterable[str]) -> tuple[str, ...]:
    """*scopes* and those that tell whose a token is."""
    return tuple(dict.fromkeys((*scopes, *IDENTITY)))


def with_duties(scopes: Iterable[str]) -> tuple[str, ...]:
    """*scopes* and those that no server can do without."""
    return with_identity((*scopes, SERVERS_DUTY))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """What may be told about a token after its creation. Belongs to one user."""

    id: int
    user_id: int
    prefix: str
    #: SHA-256 of the token, hex; tokens have 128 random bits, so no slow hash is needed
    token_hash: str
    scopes: tuple[str, ...]
    note: str
    created: datetime
    expires_at: datetime | None = None
    last_activity: datetime | None = None
    #: session whose end ends this token too
    session_id: str = ""
    #: server (`owner/name`) whose stop ends this token too
    server: str = ""
    #: OAuth client that it was given to; empty: a person or the hub made it
    client_id: str = ""

    @property
    def public_id(self) -> str:
        """The id that the REST API shows (contract d, `a<N>`)."""
        return f"a{self.id}"
