from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from perijove.hub.domain.errors import InvalidRequest
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
