"""
What two expanded sets of scopes have in common, and the shortest way to say a set.

A filter whose members only the database knows (`!group=`) meets nothing but itself and no filter at all:
fewer permissions, never more.
"""

from __future__ import annotations

from collections.abc import Iterable

from perijove.hub.scopes.catalog import INHERIT
from perijove.hub.scopes.grammar import Filter, FilterKind, Scope, parse


def reduce(scopes: Iterable[str]) -> frozenset[str]:
    """*scopes* without those that another one contains."""
    held = frozenset(scopes)
    return frozenset(text for text in held if "!" not in text or not _is_covered(parse(text), held))


def _is_covered(scope: Scope, held: frozenset[str]) -> bool:
    if scope.name in held:
        return True
    narrow = scope.filter
    return narrow is not None and narrow.kind is FilterKind.SERVER and f"{scope.name}!user={narrow.owner}" in held


def intersect(left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    """What both of two expanded sets allow. `inherit` on one side stands for all of the other."""
    if INHERIT in left:
        return reduce(right)
    if INHERIT in right:
        return reduce(left)
    others = _by_name(right)
    common: set[str] = set()
    for text in left:
        scope = parse(text)
        for other in others.get(scope.name, ()):
            meeting, meets = _meet(scope.filter, other.filter)
            if meets:
                common.add(str(Scope(scope.name, meeting)))
    return reduce(common)


def _by_name(scopes: frozenset[str]) -> dict[str, list[Scope]]:
    named: dict[str, list[Scope]] = {}
    for text in scopes:
        scope = parse(text)
        named.setdefault(scope.name, []).append(scope)
    return named


def _meet(left: Filter | None, right: Filter | None) -> tuple[Filter | None, bool]:
    """The narrower of two filters, and whether they let anything through together."""
    if left is None or left == right:
        return right, True
    if right is None:
        return left, True
    for wide, narrow in ((left, right), (right, left)):
        if wide.kind is FilterKind.USER and narrow.kind is FilterKind.SERVER and narrow.owner == wide.value:
            return narrow, True
    return None, False
