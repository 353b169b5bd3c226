"""
All that a set of scopes implies, for one holder (contract f).

Self-referring filters (`!user`, `!server`, `!service`) become the holder's own names; one that the holder
cannot fill lets nothing through and is dropped. Implied scopes inherit the filter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from perijove.hub.scopes.catalog import IMPLIED, INHERIT, SELF, SELF_SCOPES
from perijove.hub.scopes.grammar import Filter, FilterKind, Scope, parse
from perijove.hub.scopes.intersection import reduce

_BY_GROUP: Final = "!group="
#: scopes that are about groups and not about those who are in them
OF_GROUPS: Final = IMPLIED["admin:groups"] | IMPLIED["groups:shares"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whose scopes these are: what self-referring filters mean."""

    user: str = ""
    #: `owner/name` of the server that a token was made for
    server: str = ""
    service: str = ""

    def own(self, kind: FilterKind) -> str:
        """The holder's own value for a filter of *kind*; empty if there is none."""
        names = {FilterKind.USER: self.user, FilterKind.SERVER: self.server, FilterKind.SERVICE: self.service}
        return names.get(kind, "")


def expand(scopes: Iterable[str], holder: Holder) -> frozenset[str]:
    """
    Everything that *scopes* allow *holder*, in canonical text. `inherit` stays: only a token's owner can fill it.
    What custom scopes bring along is `CustomScopes.widen`'s to add.

    Raises:
        BadScope: one of them does not exist.
    """
    return reduce(text for scope in scopes for text in _expand_one(parse(scope), holder))


def groups_of_filters(scopes: Iterable[str]) -> frozenset[str]:
    """Names of the groups whose members decide what *scopes* reach."""
    return frozenset(text.partition(_BY_GROUP)[2] for text in scopes if _BY_GROUP in text and not _is_of_groups(text))


def with_members(scopes: frozenset[str], members: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """
    Expanded *scopes*, and those filtered to a group for each of its members besides (contract f).

    So a decision about a user stays a look-up. The filter to the group stays, too: it is about the group itself.
    """
    filtered = (text.partition(_BY_GROUP) for text in scopes if _BY_GROUP in text and not _is_of_groups(text))
    return reduce({*scopes, *(f"{name}!user={user}" for name, _, group in filtered for user in members.get(group, ()))})


def _is_of_groups(text: str) -> bool:
    return text.partition("!")[0] in OF_GROUPS


def _expand_one(scope: Scope, holder: Holder) -> Iterable[str]:
    if scope.name == INHERIT:
        return (INHERIT,)
    if scope.name == SELF:
        own = Filter(FilterKind.USER, holder.user)
        return (text for name in SELF_SCOPES for text in _with_filter(name, own)) if holder.user else ()
    if scope.filter is None:
        return _implied(scope.name)
    value = scope.filter.value or holder.own(scope.filter.kind)
    return _with_filter(scope.name, Filter(scope.filter.kind, value)) if value else ()


def _with_filter(name: str, narrowed: Filter) -> Iterable[str]:
    for implied in _implied(name):
        # Reading a user is not a part of reading one server: the filter would make no sense there.
        if narrowed.kind is FilterKind.SERVER and implied.startswith("read:users"):
            continue
        yield f"{implied}!{narrowed}"


def _implied(name: str) -> Iterable[str]:
    return IMPLIED.get(name) or (name,)
