"""
What the control API tells the processes that carry the traffic. Each is complete in itself and in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from perijove.wire.control import Revocation


@dataclass(frozen=True, slots=True)
class PutRoute:
    """Add or replace one route."""

    path: str
    #: the JSON object that was posted, or what `routes.packed` made of it
    body: Mapping[str, Any] | bytes


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    """Remove one route, if it is there."""

    path: str


@dataclass(frozen=True, slots=True)
class ReplaceRoutes:
    """The table is exactly this, in one step."""

    bodies: Mapping[str, Mapping[str, Any] | bytes]


@dataclass(frozen=True, slots=True)
class SetKeys:
    """The door's public keys are exactly these."""

    jwks: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Revoke:
    """Refuse what was issued to a session or a user, and close what is open in its name."""

    revocation: Revocation


Change: TypeAlias = PutRoute | RemoveRoute | ReplaceRoutes | SetKeys | Revoke
