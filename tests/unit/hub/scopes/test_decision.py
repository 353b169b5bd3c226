from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given

from perijove.hub.scopes.decision import (
    AnyResource,
    Denied,
    GroupResource,
    Reach,
    Resource,
    ServerResource,
    ServiceResource,
    UserResource,
    may,
    may_any,
    reach,
)
from perijove.hub.scopes.expansion import Holder, expand
from tests.unit.hub.scopes.strategies import PLAIN, resources, scope_sets

ADA = Holder(user="ada")


@dataclass(frozen=True, slots=True)
class Somebody:
    """A holder of scopes."""

    scopes: frozenset[str]


def holder(*scopes: str) -> Somebody:
    return Somebody(expand(scopes, ADA))


@pytest.mark.parametrize(
    ("held", "resource"),
    [
        ("read:servers", ServerResource("bob", "work")),
        ("read:servers!user=bob", ServerResource("bob", "work")),
        ("read:servers!server=bob/work", ServerResource("bob", "work")),
        ("read:servers!server=bob/", ServerResource("bob", "")),
        ("read:servers!user=bob", UserResource("bob")),
        ("read:servers!service=s", ServiceResource("s")),
        ("read:servers!group=g", GroupResource("g")),
        ("read:servers", AnyResource()),
    ],
)
def test_a_filter_lets_its_own_through(held: str, resource: Resource) -> None:
    assert may(holder(held), "read:servers", resource)


@pytest.mark.parametrize(
    "resource",
    [ServerResource("bob", ""), ServerResource("eve", "work"), UserResource("bob"), GroupResource("bob")],
)
def test_what_a_filter_leaves_out_is_hidden(resource: Resource) -> None:
    """
    Contract d: 404, so that nobody learns what there is.
    """
    decision = may(holder("read:servers!server=bob/work"), "read:servers", resource)

    assert decision == Denied(reason="No access to resources or resources not found", hidden=True)


def test_what_is_not_held_at_all_is_named_and_not_hidden() -> None:
    decision = may_any(holder("proxy"), ["read:users", "read:servers"], UserResource("bob"))

    assert isinstance(decision, Denied)
    assert not decision.hidden
    assert decision.reason == "Action is not authorized with current scopes; requires any of [read:users, read:servers]"


def test_a_filtered_scope_does_not_reach_the_whole() -> None:
    decision = may(holder("admin:users!user=ada"), "admin:users", AnyResource())

    assert isinstance(decision, Denied)
    assert not decision.hidden


def test_any_one_of_several_scopes_is_enough() -> None:
    assert may_any(holder("read:users!user=bob"), ["proxy", "read:users"], UserResource("bob"))


def test_a_group_filter_lets_no_user_through_as_long_as_there_are_no_groups() -> None:
    assert not may(holder("read:users!group=g"), "read:users", UserResource("ada"))


def test_an_ordinary_user_may_do_everything_about_themselves_and_nothing_about_others() -> None:
    ada = holder("self")

    for scope in ("read:users", "start:servers", "delete:servers", "tokens", "access:servers"):
        assert may(ada, scope, ServerResource("ada", "") if "servers" in scope else UserResource("ada"))
        assert not may(ada, scope, ServerResource("bob", "") if "servers" in scope else UserResource("bob"))
        assert not may(ada, scope, AnyResource())


def test_how_far_a_scope_goes() -> None:
    somebody = holder(
        "list:users!user=ada", "list:users!user=bob", "read:services!service=s", "read:servers!server=eve/", "proxy"
    )

    assert reach(somebody, "list:users") == Reach(everything=False, users=frozenset({"ada", "bob"}))
    assert reach(somebody, "read:services").services == {"s"}
    assert reach(somebody, "read:servers").servers == {"eve/"}
    assert reach(somebody, "proxy").everything
    assert reach(somebody, "shutdown").is_empty


@given(scope_sets, scope_sets, resources)
def test_fewer_scopes_never_allow_more(some: frozenset[str], more: frozenset[str], resource: Resource) -> None:
    few, many = Somebody(expand(some, ADA)), Somebody(expand(some | more, ADA))

    for scope in PLAIN:
        assert may(many, scope, resource) or not may(few, scope, resource)
