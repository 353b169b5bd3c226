from __future__ import annotations

import pytest
from hypothesis import given

from perijove.hub.scopes.decision import Resource, may
from perijove.hub.scopes.expansion import Holder, expand
from perijove.hub.scopes.intersection import intersect, reduce
from tests.unit.hub.scopes.strategies import PLAIN, resources, scope_sets
from tests.unit.hub.scopes.test_decision import Somebody

ADA = Holder(user="ada")


@pytest.mark.parametrize(
    ("left", "right", "common"),
    [
        ("proxy", "proxy", "proxy"),
        ("proxy", "shutdown", ""),
        ("read:users", "read:users!user=ada", "read:users!user=ada"),
        ("read:servers!user=ada", "read:servers!server=ada/work", "read:servers!server=ada/work"),
        ("read:servers!user=bob", "read:servers!server=ada/work", ""),
        ("read:servers!server=ada/", "read:servers!server=ada/work", ""),
        ("read:users!user=ada", "read:users!user=bob", ""),
        ("read:users!group=g", "read:users!user=ada", ""),
        ("read:users!group=g", "read:users!group=g", "read:users!group=g"),
        ("inherit", "proxy", "proxy"),
    ],
)
def test_what_two_scopes_share(left: str, right: str, common: str) -> None:
    expected = frozenset({common} - {""})

    assert intersect(frozenset({left}), frozenset({right})) == expected
    assert intersect(frozenset({right}), frozenset({left})) == expected


@pytest.mark.parametrize(
    ("scopes", "short"),
    [
        ({"proxy", "proxy!user=ada"}, {"proxy"}),
        ({"read:servers!user=ada", "read:servers!server=ada/"}, {"read:servers!user=ada"}),
        ({"read:servers!user=ada", "read:servers!server=bob/"}, {"read:servers!user=ada", "read:servers!server=bob/"}),
        ({"read:users!group=g", "read:users!user=ada"}, {"read:users!group=g", "read:users!user=ada"}),
    ],
)
def test_what_another_scope_covers_is_left_out(scopes: set[str], short: set[str]) -> None:
    assert reduce(scopes) == short


@given(scope_sets, scope_sets)
def test_the_order_does_not_matter(left: frozenset[str], right: frozenset[str]) -> None:
    one, other = expand(left, ADA), expand(right, ADA)

    assert intersect(one, other) == intersect(other, one)


@given(scope_sets)
def test_with_itself_a_set_is_itself(scopes: frozenset[str]) -> None:
    expanded = expand(scopes, ADA)

    assert intersect(expanded, expanded) == expanded


@given(scope_sets, scope_sets, resources)
def test_what_both_allow_is_what_the_intersection_allows(
    left: frozenset[str], right: frozenset[str], resource: Resource
) -> None:
    """
    A token allows what it and its owner both allow: no more, which would be a hole, and no less.
    """
    one, other = Somebody(expand(left, ADA)), Somebody(expand(right, ADA))
    both = Somebody(intersect(one.scopes, other.scopes))

    for scope in PLAIN:
        allowed = bool(may(one, scope, resource)) and bool(may(other, scope, resource))
        assert bool(may(both, scope, resource)) == allowed
