from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.managed_roles import ManagedRole
from perijove.hub.domain.roles import Service
from perijove.hub.domain.users import Person, User
from perijove.hub.usecases.load_roles import RoleBook, load_roles

CULLER = {"name": "culler", "api_token": "0123456789"}


def user(name: str, *, admin: bool = False) -> User:
    return User(id=1, name=name, admin=admin, created=datetime(2026, 1, 2, tzinfo=UTC))


def book(*roles: dict[str, Any]) -> RoleBook:
    return load_roles(roles=roles, services=[CULLER])


def test_whom_the_roles_name_is_known() -> None:
    book = load_roles(roles=[{"name": "culler", "scopes": ["list:users"], "users": ["ada", "bob"]}], services=[])

    assert book.named_users == {"ada", "bob"}


def test_everybody_is_a_user_and_administrators_are_more() -> None:
    roles = book()

    assert roles.roles_of_user(user("ada")) == ("user",)
    assert roles.roles_of_user(user("ada", admin=True)) == ("admin", "user")
    assert "start:servers!user=ada" in roles.scopes_of_person(Person(user=user("ada")))
    assert "admin:users" not in roles.scopes_of_person(Person(user=user("ada")))
    assert {"admin:users", "start:servers", "shutdown", "access:servers"} <= roles.scopes_of_person(
        Person(user=user("ada", admin=True))
    )


def test_a_role_is_given_to_the_users_that_it_names() -> None:
    roles = book({"name": "reader", "scopes": ["read:users"], "users": ["ada"]})

    assert roles.roles_of_user(user("ada")) == ("reader", "user")
    assert roles.roles_of_user(user("bob")) == ("user",)
    assert "read:users" in roles.scopes_of_person(Person(user=user("ada")))


def test_the_role_user_can_be_declared_anew_for_everybody() -> None:
    roles = book({"name": "user", "scopes": ["self", "list:users"]})

    assert "list:users" in roles.scopes_of_person(Person(user=user("ada")))


def test_the_role_user_with_users_is_theirs_alone() -> None:
    roles = book({"name": "user", "users": ["ada"]})

    assert roles.roles_of_user(user("ada")) == ("user",)
    assert roles.roles_of_user(user("bob")) == ()
    assert roles.scopes_of_person(Person(user=user("bob"))) == frozenset()


def test_a_role_for_people_cannot_inherit() -> None:
    """
    Only a token has an owner to inherit from.
    """
    assert "inherit" not in book({"name": "user", "scopes": ["inherit"]}).scopes_of_person(Person(user=user("ada")))


def test_services_have_the_roles_that_name_them() -> None:
    roles = book({"name": "culling", "scopes": ["list:users"], "services": ["culler"]})

    assert roles.roles_of_service("culler", admin=False) == ("culling",)
    assert roles.scopes_of_service(roles.services[0]) == {"list:users", "read:users:name"}
    assert roles.scopes_of_service(Service(name="unknown", api_token_hash="")) == frozenset()
    assert [service.name for service in roles.services] == ["culler"]
    assert roles.service("culler") is roles.services[0]
    assert roles.service("unknown") is None


def test_an_administrating_service_has_the_role_admin() -> None:
    roles = load_roles(roles=(), services=[{**CULLER, "admin": True}])

    assert roles.roles_of_service("culler", admin=True) == ("admin",)
    assert "admin:users" in roles.scopes_of_service(roles.services[0])


def test_a_role_may_name_a_service_that_is_added_later_which_the_log_tells() -> None:
    """
    It may be a mistake in writing, too.
    """
    with capture_logs() as logged:
        roles = book({"name": "culling", "scopes": ["list:users"], "services": ["culler", "later"]})

    assert "list:users" in roles.scopes_of_service(Service(name="later", api_token_hash=""))
    assert [(line["event"], line["service"]) for line in logged] == [("role.names_no_declared_service", "later")]


def test_a_server_can_always_report_its_activity() -> None:
    roles = book({"name": "server", "scopes": ["read:hub"]})

    assert roles.server_token_scopes[:2] == ("read:hub", "users:activity!user")


def test_new_tokens_inherit_unless_the_role_says_otherwise() -> None:
    assert book().new_token_scopes == ("inherit",)
    assert book({"name": "token", "scopes": ["read:hub"]}).new_token_scopes == ("read:hub",)
    assert book().role("unknown") is None
    assert book().scopes_of_role("unknown") == ()


@pytest.mark.parametrize(
    ("roles", "services", "words"),
    [
        ([{"name": "culling"}, {"name": "culling"}], [], "'culling' is declared twice"),
        ([], [CULLER, CULLER], "'culler' is declared twice"),
        ([], [CULLER, {**CULLER, "name": "other"}], "token of another"),
        (
            [],
            [
                {"name": "a", "api_token": "token-of-a", "oauth_client_id": "service-x"},
                {"name": "b", "api_token": "token-of-b", "oauth_client_id": "service-x"},
            ],
            "'b' needs an oauth_client_id of its own: 'service-x' is that of 'a'",
        ),
        (
            [],
            [{"name": "a", "api_token": "token-of-a", "oauth_client_id": "service-culler"}, CULLER],
            "'culler' needs an oauth_client_id of its own: 'service-culler' is that of 'a'",
        ),
        ([{"name": "x-role", "services": ["culler"], "scopes": ["inherit"]}], [CULLER], "mean nothing"),
    ],
)
def test_declarations_that_clash_are_refused(
    roles: list[dict[str, Any]], services: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        load_roles(roles=roles, services=services)


READ = {"description": "Read grades."}
GRADES = {"custom:grades": {"description": "Grades.", "subscopes": ["custom:grades:read"]}, "custom:grades:read": READ}


def test_custom_scopes_are_held_with_what_they_bring_along() -> None:
    grading = {"name": "grading", "scopes": ["custom:grades!user"], "users": ["ada"]}
    roles = load_roles(roles=[grading], services=[], custom_scopes=GRADES)

    held = roles.scopes_of_person(Person(user=user("ada")))
    assert {"custom:grades!user=ada", "custom:grades:read!user=ada"} <= held
    with pytest.raises(InvalidRequest, match="custom:grades"):
        load_roles(roles=[grading], services=[])


def test_everybody_has_the_extra_scopes_of_users() -> None:
    roles = load_roles(roles=[], services=[], custom_scopes=GRADES, extra_user_scopes=["list:users", "custom:grades"])

    held = roles.scopes_of_person(Person(user=user("bob")))
    assert {"list:users", "custom:grades:read", "start:servers!user=bob"} <= held
    for scope in ("no:such", "custom:other:thing"):
        with pytest.raises(InvalidRequest, match=scope):
            load_roles(roles=[], services=[], extra_user_scopes=[scope])


READING = {"name": "reading", "scopes": ["read:users"]}


def with_roles(*said: ManagedRole, admin: bool = False) -> Person:
    return Person(user=replace(user("ada", admin=admin), managed_roles=said), groups=("class",))


def managed(*roles: dict[str, Any], loaded: Sequence[dict[str, Any]] = ()) -> RoleBook:
    return load_roles(roles=roles, services=[], loaded=loaded)


def held(book: RoleBook, person: Person) -> tuple[tuple[str, ...], frozenset[str]]:
    return book.roles_of_user(person.user, person.groups), book.scopes_of_person(person)


def test_whoever_was_given_roles_has_these_and_no_others() -> None:
    """
    As in JupyterHub: not even `user`, unless the method names it.
    """
    book = managed(READING)

    assert held(book, with_roles()) == ((), frozenset())
    names, scopes = held(book, with_roles(ManagedRole(name="reading")))
    assert (names, "read:users" in scopes, "start:servers!user=ada" in scopes) == (("reading",), True, False)
    assert book.roles_of_user(user("bob")) == ("user",)


def test_roles_of_groups_and_administrators_stay_whatever_the_method_says() -> None:
    """
    Whether somebody is an administrator is said by `admin`, and by `admin_users`.
    """
    book = managed(loaded=[{**READING, "groups": ["class"]}])

    assert held(book, with_roles())[0] == ("reading",)
    assert held(book, with_roles(admin=True))[0] == ("admin", "reading")


def test_a_role_that_one_was_given_allows_what_was_said_unless_the_configuration_says_it() -> None:
    own = ManagedRole(name="reading", scopes=("list:groups",))

    assert "list:groups" in held(managed(loaded=[READING]), with_roles(own))[1]
    assert "list:groups" in held(managed(), with_roles(own))[1]
    assert "list:groups" not in held(managed(READING), with_roles(own))[1]
    assert "read:users" in held(managed(READING), with_roles(own))[1]


def test_the_role_admin_allows_what_it_always_does() -> None:
    assert "admin:users" in held(managed(), with_roles(ManagedRole(name="admin")))[1]


def test_a_role_that_is_not_declared_any_more_allows_nothing_and_is_not_there() -> None:
    assert held(managed(), with_roles(ManagedRole(name="reading"))) == ((), frozenset())


def test_a_scope_that_is_not_declared_any_more_is_logged_and_allows_nothing() -> None:
    """
    Who signs in next must not find an error page.
    """
    gone = ManagedRole(name="grading", scopes=("read:users", "custom:grades:read"))
    with capture_logs() as lines:
        scopes = managed().scopes_of_person(with_roles(gone, ManagedRole(name="user")))

    assert [(line["event"], line["role"]) for line in lines] == [("role.has_unknown_scopes", "grading")]
    assert "read:users" not in scopes
    assert "start:servers!user=ada" in scopes


def test_roles_that_were_given_count_only_as_long_as_the_method_manages_them() -> None:
    person = with_roles(ManagedRole(name="admin"))

    assert load_roles(roles=[], services=[]).roles_of_user(person.user) == ("user",)
    assert "admin:users" not in load_roles(roles=[], services=[]).scopes_of_person(person)


def test_a_token_inherits_nothing_by_a_role_that_was_given() -> None:
    assert "inherit" not in held(managed(), with_roles(ManagedRole(name="all", scopes=("inherit",))))[1]


def test_a_role_that_the_method_declares_is_as_one_of_the_configuration() -> None:
    book = managed(loaded=[{**READING, "users": ["bob"]}])

    assert book.roles_of_user(user("bob")) == ("reading", "user")
    assert (book.is_fixed("reading"), book.is_fixed("user"), book.is_fixed("unheard-of")) == (False, True, False)


@pytest.mark.parametrize(
    ("roles", "loaded", "words"),
    [
        ([{**READING, "users": ["ada"]}], [], "'reading' in load_roles must not name users or groups"),
        ([{**READING, "groups": ["class"]}], [], "must not name users or groups"),
        ([READING], [READING], "'reading' is declared twice"),
        ([], [{"name": "admin", "users": ["eve"]}], "'admin' cannot be changed"),
        ([], [{"name": "new", "scopes": ["no:such"]}], "'new'"),
    ],
)
def test_declarations_that_contradict_each_other_stop_the_start(
    roles: list[dict[str, Any]], loaded: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        load_roles(roles=roles, services=[], loaded=loaded)
