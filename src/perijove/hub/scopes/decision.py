"""
Whether somebody may do something to something: `may(principal, scope, resource)`.

The only yes or no about permissions in the hub. A refusal carries its reason and whether the existence of the
resource must be hidden (contract d: 404 when a scope is held but its filter leaves the target out).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from perijove.hub.scopes.grammar import FilterKind, parse


class HasScopes(Protocol):
    """Somebody with expanded scopes."""

    @property
    def scopes(self) -> frozenset[str]:
        """Expanded, canonical text."""
        ...


@dataclass(frozen=True, slots=True)
class AnyResource:
    """The deployment as a whole: only an unfiltered scope reaches it."""

    @property
    def filters(self) -> tuple[str, ...]:
        """Filters that let this resource through."""
        return ()


@dataclass(frozen=True, slots=True)
class UserResource:
    """A user."""

    name: str

    @property
    def filters(self) -> tuple[str, ...]:
        """Filters that let this resource through."""
        return (f"user={self.name}",)


@dataclass(frozen=True, slots=True)
class ServerResource:
    """A server of a user; the default server has the name ""."""

    user: str
    server: str

    @property
    def filters(self) -> tuple[str, ...]:
        """Filters that let this resource through."""
        return (f"user={self.user}", f"server={self.user}/{self.server}")


@dataclass(frozen=True, slots=True)
class ServiceResource:
    """A service."""

    name: str

    @property
    def filters(self) -> tuple[str, ...]:
        """Filters that let this resource through."""
        return (f"service={self.name}",)


@dataclass(frozen=True, slots=True)
class GroupResource:
    """A group."""

    name: str

    @property
    def filters(self) -> tuple[str, ...]:
        """Filters that let this resource through."""
        return (f"group={self.name}",)


Resource: TypeAlias = AnyResource | UserResource | ServerResource | ServiceResource | GroupResource


@dataclass(frozen=True, slots=True)
class Allowed:
    """Yes."""

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """No, and why."""

    reason: str
    #: whether the answer must not tell that the resource exists
    hidden: bool = False

    def __bool__(self) -> bool:
        return False


Decision: TypeAlias = Allowed | Denied

ALLOWED = Allowed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far a scope goes, for lists."""

    #: it has no filter
    everything: bool
    #: users that it is filtered to
    users: frozenset[str] = frozenset()
    #: servers (`owner/name`) that it is filtered to
    servers: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    #: groups that it is filtered to; their members are among the users
    groups: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether it reaches nothing at all."""
        return not (self.everything or self.users or self.servers or self.services or self.groups)


_EVERYTHING = Reach(everything=True)


def may(principal: HasScopes, scope: str, resource: Resource) -> Decision:
    """Whether *principal* holds *scope* for *resource*."""
    return may_any(principal, (scope,), resource)


def may_any(principal: HasScopes, scopes: Sequence[str], resource: Resource) -> Decision:
    """Whether *principal* holds any one of *scopes* for *resource*."""
    held = principal.scopes
    for scope in scopes:
        if scope in held or any(f"{scope}!{narrowed}" in held for narrowed in resource.filters):
            return ALLOWED
    hidden = not isinstance(resource, AnyResource) and any(_holds_filtered(held, scope) for scope in scopes)
    if hidden:
        return Denied(reason="No access to resources or resources not found", hidden=True)
    return Denied(reason=f"Action is not authorized with current scopes; requires any of [{', '.join(scopes)}]")


def _holds_filtered(held: frozenset[str], scope: str) -> bool:
    start = f"{scope}!"
    return any(text.startswith(start) for text in held)


def reach(principal: HasScopes, scope: str) -> Reach:
    """What *principal*'s *scope* reaches."""
    if scope in principal.scopes:
        return _EVERYTHING
    found: dict[FilterKind, set[str]] = {}
    for text in principal.scopes:
        if text.startswith(f"{scope}!"):
            narrowed = parse(text).filter
            if narrowed is not None:
                found.setdefault(narrowed.kind, set()).add(narrowed.value)
    return Reach(
        everything=False,
        users=frozenset(found.get(FilterKind.USER, ())),
        servers=frozenset(found.get(FilterKind.SERVER, ())),
        services=frozenset(found.get(FilterKind.SERVICE, ())),
        groups=frozenset(found.get(FilterKind.GROUP, ())),
    )
