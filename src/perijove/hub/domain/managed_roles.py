"""
Roles that the sign-in method gives people (contract j, `manage_roles`). Pure.

Law: a person of whom the method has said nothing has the roles of the declarations. One of whom it has spoken has
exactly those that it named, besides those of their groups, and `admin` if they are an administrator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from perijove.hub.domain.roles import Role

#: of one person, and how long they may be together, as JSON
MAX_ROLES: Final = 100
MAX_LENGTH: Final = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedRole:
    """A role as the method gave it to one person."""

    name: str
    #: None: those of the role that is declared
    scopes: tuple[str, ...] | None = None


#: as they are in a row: name and scopes of each
Stored = list[list[Any]]


def to_stored(roles: Iterable[ManagedRole]) -> Stored:
    """The JSON of *roles*."""
    return [[role.name, None if role.scopes is None else list(role.scopes)] for role in roles]


def from_stored(stored: Sequence[Sequence[Any]] | None) -> tuple[ManagedRole, ...] | None:
    """The roles of a row; None: the method has said nothing."""
    if stored is None:
        return None
    return tuple(ManagedRole(name=name, scopes=None if scopes is None else tuple(scopes)) for name, scopes in stored)


def settled(
    said: Sequence[ManagedRole], user: str, loaded: Mapping[str, Role], kept: frozenset[str] | None
) -> tuple[ManagedRole, ...]:
    """
    What *said* of *user* comes to when the hub starts and the method has declared its roles anew.

    Args:
        said: what the method has said at sign-in.
        user: of whom.
        loaded: what it declares now; a role that names users is theirs, and nobody else's.
        kept: names that outlive a reset; None: there is none, and they all do.
    """
    stays = [
        ManagedRole(name=role.name) if role.name in loaded else role
        for role in said
        if _is_left(role.name, user, loaded, kept)
    ]
    new = [role.name for role in loaded.values() if role.users is not None and user in role.users]
    have = {role.name for role in stays}
    stays += [ManagedRole(name=name) for name in new if name not in have]
    return tuple(sorted(stays, key=lambda role: role.name))


def _is_left(name: str, user: str, loaded: Mapping[str, Role], kept: frozenset[str] | None) -> bool:
    role = loaded.get(name)
    if role is None:
        return kept is None or name in kept
    return role.users is None or user in role.users
