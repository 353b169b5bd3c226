"""
Who asks: a user (by browser session or token) or a service, with the scopes that count for this request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from perijove.hub.domain.users import User


class Kind(Enum):
    """What a principal is."""

    USER = "user"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody identified. `scopes` are expanded and already intersected with the token's, if it came with one."""

    kind: Kind
    name: str
    scopes: frozenset[str]
    #: 0 for services
    user_id: int = 0
    admin: bool = False
    #: browser session; empty with a token
    session_id: str = ""
    #: `a<N>` of the token it came with; empty with a session
    token_id: str = ""
    #: browser session in which that token was given, if it was in one
    given_in: str = ""
    #: when that token ends, if it does
    token_ends: datetime | None = None
    #: the user, as read when they were identified; None for services
    user: User | None = field(default=None, compare=False, repr=False)
    #: names of the user's groups, in order, as read with them
    groups: tuple[str, ...] = field(default=(), compare=False, repr=False)
    #: where the request came from, for the audit log; the web edge knows
    address: str = field(default="", compare=False)

    @property
    def visit_id(self) -> str:
        """`sid` of the identity tokens made for it."""
        return self.session_id or f"token:{self.token_id}"


def themselves(user: User, address: str) -> Principal:
    """*user*, who has just proved who they are, as the one who does something: for the audit log, without scopes."""
    return Principal(
        kind=Kind.USER, name=user.name, scopes=frozenset(), user_id=user.id, admin=user.admin, address=address
    )
