from __future__ import annotations

import json

import pytest

from perijove.hub.domain.managed_roles import ManagedRole, from_stored, settled, to_stored
from perijove.hub.domain.roles import Role

GRADING = ManagedRole(name="grading", scopes=("list:users",))
TEACHING = ManagedRole(name="teaching")
USER = ManagedRole(name="user")


@pytest.mark.parametrize("roles", [(), (GRADING,), (GRADING, TEACHING), (ManagedRole(name="none", scopes=()),)])
def test_roles_survive_the_row(roles: tuple[ManagedRole, ...]) -> None:
    assert from_stored(json.loads(json.dumps(to_stored(roles)))) == roles


def test_nothing_said_is_not_the_same_as_no_roles() -> None:
    assert from_stored(None) is None
    assert from_stored([]) == ()


def test_without_a_reset_what_is_not_declared_stays() -> None:
    assert settled((GRADING, TEACHING), "ada", {}, None) == (GRADING, TEACHING)


def test_a_reset_leaves_what_is_declared_or_kept() -> None:
    loaded = {"teaching": Role(name="teaching")}

    assert settled((GRADING, TEACHING, USER), "ada", loaded, frozenset({"user"})) == (TEACHING, USER)


def test_a_role_that_is_declared_anew_allows_what_the_declaration_says() -> None:
    assert settled((GRADING,), "ada", {"grading": Role(name="grading")}, None) == (ManagedRole(name="grading"),)


def test_a_role_that_names_users_is_theirs_and_nobody_elses() -> None:
    loaded = {"teaching": Role(name="teaching", users=frozenset({"ada"}))}

    assert settled((), "ada", loaded, None) == (TEACHING,)
    assert settled((TEACHING,), "ada", loaded, None) == (TEACHING,)
    assert settled((TEACHING,), "bob", loaded, None) == ()
