from __future__ import annotations

import pytest
from hypothesis import given

from perijove.hub.scopes.catalog import SELF_SCOPES
from perijove.hub.scopes.errors import BadScope
from perijove.hub.scopes.expansion import Holder, expand, groups_of_filters, with_members
from tests.unit.hub.scopes.strategies import scope_sets

ADA = Holder(user="ada")


def test_a_scope_brings_what_it_implies() -> None:
    assert expand(["servers"], ADA) == {
        "servers",
        "read:servers",
        "read:users:name",
        "start:servers",
        "delete:servers",
    }


def test_implied_scopes_inherit_the_filter() -> None:
    assert expand(["list:users!user=bob"], ADA) == {"list:users!user=bob", "read:users:name!user=bob"}


def test_a_filter_to_a_server_does_not_reach_its_owner() -> None:
    assert expand(["read:servers!server=bob/work"], ADA) == {"read:servers!server=bob/work"}


def test_self_is_everything_about_the_holder() -> None:
    mine = expand(["self"], ADA)

    assert {f"{scope}!user=ada" for scope in SELF_SCOPES} <= mine
    assert "start:servers!user=ada" in mine
    assert all(scope.endswith("!user=ada") for scope in mine)


def test_self_means_nothing_to_a_service() -> None:
    assert expand(["self"], Holder(service="culler")) == frozenset()


def test_inherit_stays_for_the_owner_to_fill() -> None:
    assert expand(["inherit"], ADA) == {"inherit"}


@pytest.mark.parametrize(
    ("text", "holder", "expanded"),
    [
        ("users:activity!user", ADA, "users:activity!user=ada"),
        ("access:servers!server", Holder(user="ada", server="ada/"), "access:servers!server=ada/"),
        ("access:services!service", Holder(service="culler"), "access:services!service=culler"),
    ],
)
def test_a_filter_without_a_value_means_the_holders_own(text: str, holder: Holder, expanded: str) -> None:
    assert expanded in expand([text], holder)


def test_a_filter_that_the_holder_cannot_fill_lets_nothing_through() -> None:
    assert expand(["access:servers!server", "access:services!service"], ADA) == frozenset()


def test_a_scope_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadScope):
        expand(["read:users", "read:minds"], ADA)


@given(scope_sets)
def test_expanding_twice_is_expanding_once(scopes: frozenset[str]) -> None:
    once = expand(scopes, ADA)

    assert expand(once, ADA) == once


def test_a_filter_to_a_group_becomes_filters_to_its_members() -> None:
    scopes = expand(["read:servers!group=class", "groups!group=class"], Holder(user="tess"))

    reached = with_members(scopes, {"class": ["ada", "bob"]})

    assert groups_of_filters(scopes) == {"class"}
    assert reached - scopes == {
        f"{name}!user={user}" for name in ("read:servers", "read:users:name") for user in ("ada", "bob")
    }
    assert scopes <= reached


def test_members_of_a_group_that_is_everybodys_anyway_are_left_out() -> None:
    scopes = expand(["read:users:name", "read:users:name!group=class"], Holder())

    assert with_members(scopes, {"class": ["ada"]}) == {"read:users:name"}
