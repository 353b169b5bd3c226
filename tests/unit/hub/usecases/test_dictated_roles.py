from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from perijove.hub.domain.audit import Action
from perijove.hub.domain.managed_roles import MAX_ROLES, ManagedRole
from perijove.hub.usecases.audit import Wanted
from perijove.hub.usecases.dictated_roles import _BATCH, dictated, settle_roles
from perijove.hub.usecases.load_roles import RoleBook, load_roles
from tests.unit.hub.usecases.people import People

FIXED = {"name": "reading", "scopes": ["read:users"]}
LOADED = {"name": "grading", "scopes": ["list:users"]}
CUSTOM = {"custom:grades:read": {"description": "Read grades"}}


def book() -> RoleBook:
    return load_roles(roles=[FIXED], services=[], loaded=[LOADED], custom_scopes=CUSTOM)


def given(*told: Any) -> tuple[tuple[ManagedRole, ...], list[tuple[str, str]]]:
    with capture_logs() as lines:
        roles = dictated(book(), told, "ada")
    return roles, [(line["event"].removeprefix("authenticator."), line.get("role", "")) for line in lines]


def test_a_name_is_enough_for_a_role_that_there_is() -> None:
    roles, lines = given({"name": "reading"}, {"name": "grading"}, {"name": "user"}, {"name": "admin"})

    assert roles == tuple(ManagedRole(name=name) for name in ("admin", "grading", "reading", "user"))
    assert lines == []


def test_a_role_that_is_not_declared_comes_with_its_scopes() -> None:
    roles, lines = given({"name": "helping", "scopes": ["read:users", "custom:grades:read"], "description": "…"})

    assert roles == (ManagedRole(name="helping", scopes=("read:users", "custom:grades:read")),)
    assert lines == []


@pytest.mark.parametrize(
    "told",
    [
        {"name": "unheard-of"},
        {"name": "helping", "scopes": ["no:such:scope"]},
        {"name": "helping", "scopes": ["custom:undeclared:scope"]},
        {"name": "helping", "scopes": "read:users"},
        {"name": "helping", "scopes": [], "colour": "red"},
        {"name": "admin", "scopes": ["read:users"]},
        {"name": "admin", "description": "Chief"},
        {"name": "Not A Name", "scopes": []},
        {"scopes": ["read:users"]},
        {"name": "long", "scopes": [f"read:users!user={'a' * 99}{number}" for number in range(200)]},
        "reading",
        None,
    ],
    ids=str,
)
def test_a_role_that_is_wrong_is_not_given_and_is_named_in_the_log(told: Any) -> None:
    """
    Whoever signs in comes in with the rest: less than the source meant, never more.
    """
    roles, lines = given(told, {"name": "reading"})

    assert roles == (ManagedRole(name="reading"),)
    assert lines == [("bad_role", told.get("name", "") if isinstance(told, Mapping) else "")]


def test_what_the_configuration_declares_allows_what_it_says_there() -> None:
    roles, lines = given({"name": "reading", "scopes": ["admin:users"]}, {"name": "token", "scopes": ["inherit"]})

    assert roles == (ManagedRole(name="reading"), ManagedRole(name="token"))
    assert lines == [("role_is_declared", "reading")]


def test_what_the_method_declared_it_may_say_anew() -> None:
    roles, lines = given({"name": "grading", "scopes": ["read:users"]})

    assert roles == (ManagedRole(name="grading", scopes=("read:users",)),)
    assert lines == []


def test_at_a_sign_in_nobody_else_is_given_a_role() -> None:
    roles, lines = given({"name": "reading", "users": ["eve"]})

    assert roles == (ManagedRole(name="reading"),)
    assert lines == [("role_members_ignored", "reading")]


def test_there_is_a_bound_on_how_many() -> None:
    roles, lines = given(*({"name": f"role-{number:03}", "scopes": []} for number in range(MAX_ROLES + 1)))

    assert len(roles) == MAX_ROLES
    assert lines == [("too_many_roles", "")]


async def test_at_a_start_everybody_holds_what_the_method_declares_now() -> None:
    people = People(roles=[FIXED], managed_roles=[])
    people.method.roles = ({"name": "old", "scopes": ["read:users"]}, {"name": "user"})
    for name in ("ada", "bob"):
        await people.enter(name)
    await settle(people, load_roles(roles=[FIXED], services=[], loaded=[{**LOADED, "users": ["ada"]}]), reset=True)

    ada, bob = await people.user("ada"), await people.user("bob")
    assert ada.managed_roles == (ManagedRole(name="grading"), ManagedRole(name="user"))
    assert bob.managed_roles == (ManagedRole(name="user"),)
    assert [revocation.user for revocation in people.proxy.revocations] == ["ada", "bob"]
    told = await people.audit.page(Wanted(action=Action.USER_CHANGED), limit=2)
    assert [(entry.target, entry.detail["roles"]) for entry in told] == [
        ("bob", ["user"]),
        ("ada", ["grading", "user"]),
    ]


@pytest.mark.parametrize("loaded", [None, []])
async def test_at_a_start_that_changes_nothing_nothing_is_written(loaded: list[Mapping[str, Any]] | None) -> None:
    people = People(managed_roles=[])
    people.method.roles = ({"name": "old", "scopes": ["read:users"]},)
    await people.enter()
    before = await people.user("ada")

    # Without `manage_roles` nothing is touched: it may be set again.
    await settle(people, load_roles(roles=[], services=[], loaded=loaded), reset=loaded is None)

    assert await people.user("ada") == before
    assert not people.proxy.revocations


async def test_a_start_looks_at_everybody() -> None:
    people = People(managed_roles=[])
    async with people.store.unit() as unit:
        for number in range(_BATCH + 1):
            user = await unit.users.add(name=f"user{number}", admin=False, created=people.clock.now())
            await unit.users.set_managed_roles(user.id, (ManagedRole(name="old", scopes=()),))

    await settle(people, people.roles, reset=True)

    assert (await people.user("user0")).managed_roles == ()
    assert (await people.user(f"user{_BATCH}")).managed_roles == ()


async def settle(people: People, book: RoleBook, *, reset: bool) -> None:
    await settle_roles(store=people.store, book=book, clock=people.clock, revocations=people.revocations, reset=reset)
