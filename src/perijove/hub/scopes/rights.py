"""
What somebody may do in a server, in the three words that identity tokens have for it (`wire/identity.py`).
In a service there is nothing to tell apart: who may come in may all that it lets them.

Each of the words is a scope of its own, and the wider scopes bring the narrower ones with them (`catalog.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from perijove.hub.scopes.decision import Decision, HasScopes, ServerResource, ServiceResource, may
from perijove.wire.identity import EXECUTE, FULL_ACCESS, READ, WRITE

#: who holds this may come in
ENTER: Final = "access:servers:read"
#: the same for services
ENTER_SERVICE: Final = "access:services"
#: right → scope, weakest first
SCOPE_OF_RIGHT: Final[Mapping[str, str]] = MappingProxyType(
    {READ: ENTER, WRITE: "access:servers:write", EXECUTE: "access:servers"}
)


def may_come_in(principal: HasScopes, place: ServerResource | ServiceResource) -> Decision:
    """Whether *principal* may enter *place*."""
    return may(principal, ENTER if isinstance(place, ServerResource) else ENTER_SERVICE, place)


def rights(principal: HasScopes, place: ServerResource | ServiceResource) -> tuple[str, ...]:
    """What *principal* may do in *place*, weakest first; empty: not even come in."""
    if isinstance(place, ServiceResource):
        return FULL_ACCESS if may_come_in(principal, place) else ()
    return tuple(right for right, scope in SCOPE_OF_RIGHT.items() if may(principal, scope, place))


def strongest(scopes: tuple[str, ...]) -> str:
    """The strongest right that bare *scopes* give; empty if they give none, but something else perhaps."""
    held = [right for right, scope in SCOPE_OF_RIGHT.items() if scope in scopes]
    return held[-1] if held else ""


def rights_of(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """All rights that bare *scopes* give, weakest first."""
    right = strongest(scopes)
    return FULL_ACCESS[: FULL_ACCESS.index(right) + 1] if right else ()
