from __future__ import annotations

from typing import Any

import pytest

from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.managed_roles import ManagedRole
from perijove.hub.domain.role_declarations import (
    DEFAULT_ROLES,
    check_metascopes,
    read_added_service,
    read_dictated,
    read_role,
    read_service,
)
from perijove.hub.domain.roles import Role
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.scopes.expansion import Holder, expand

SERVICE = {"name": "culler", "api_token": "0123456789"}


@pytest.mark.parametrize("role", list(DEFAULT_ROLES.values()), ids=lambda role: role.name)
def test_default_roles_have_scopes_that_exist(role: Role) -> None:
    assert expand(role.scopes, Holder(user="ada", server="ada/"))


def test_a_service_keeps_only_the_hash_of_its_token() -> None:
    service = read_service(
        {**SERVICE, "url": "http://127.0.0.1:99/", "admin": True, "info": {"a": 1}, "display": False}
    )

    assert service.api_token_hash == hash_secret("0123456789")
    assert "0123456789" not in repr(service)
    assert (service.url, service.admin, service.info, service.display) == ("http://127.0.0.1:99", True, {"a": 1}, False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "needs a name"),
        ({"name": "a/b"}, "needs a name"),
        ({"name": ".."}, "needs a name"),
        ({"name": 7}, "name must be text"),
        ({"api_token": ""}, "'culler' needs an api_token"),
        ({"api_token": "short"}, "8 to 64"),
        ({"api_token": "x" * 65}, "8 to 64"),
        ({"api_token": "two words of it"}, "no spaces"),
        ({"api_token": "schlüssel"}, "ASCII"),
        ({"admin": "yes"}, "admin must be True or False"),
        ({"info": []}, "info must be a dictionary"),
        ({"url": "localhost:99"}, "url must begin with"),
        ({"oauth_client_id": "grades"}, "must begin with service-"),
        ({"oauth_redirect_uri": "https://a.example/cb#x"}, "oauth_redirect_uri must be"),
        ({"oauth_redirect_uri": "//a.example/cb"}, "oauth_redirect_uri must be"),
        ({"oauth_no_confirm": 1}, "oauth_no_confirm must be True or False"),
        ({"oauth_client_allowed_scopes": ["no:such"]}, "no scope"),
        ({"oauth_client_allowed_scopes": "tokens"}, "must be a list"),
        ({"access": "closed"}, "access must be 'gated'"),
        ({"access": ["gated"]}, "access must be 'gated'"),
        ({"access": "gated"}, "nothing to guard"),
        ({"kommand": ["x"]}, "'culler' has an unknown key 'kommand'"),
    ],
)
def test_a_wrong_service_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_service({**SERVICE, **change})


def test_a_service_is_open_unless_it_says_otherwise() -> None:
    """
    JupyterHub's services sign their visitors in themselves: behind the door they would never see anybody's token.
    """
    gated = read_service({**SERVICE, "url": "http://127.0.0.1:99", "access": "gated"})
    added, kept = read_added_service("board", {"url": "http://127.0.0.1:99", "access": "gated"})

    assert (gated.is_gated, added.is_gated, kept["access"]) == (True, True, "gated")
    assert not read_service({**SERVICE, "url": "http://127.0.0.1:99"}).is_gated


def test_a_role_is_read_with_normalised_names() -> None:
    role = read_role(
        {"name": "culling", "description": "d", "scopes": ["list:users"], "users": [" Ada "], "services": ["culler"]}
    )

    assert role == Role(
        name="culling",
        description="d",
        scopes=("list:users",),
        users=frozenset({"ada"}),
        services=frozenset({"culler"}),
    )


def test_a_default_role_without_scopes_keeps_its_own() -> None:
    assert read_role({"name": "user", "users": ["ada"]}).scopes == ("self",)


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"name": "admin"}, "cannot be changed"),
        ({"name": "X"}, "invalid name"),
        ({}, "invalid name"),
        ({"name": "culling", "scope": []}, "unknown key 'scope'"),
        ({"name": "culling", "groups": "g"}, "must be a list"),
        ({"name": "culling", "scopes": ["read:minds"]}, "'culling': There is no scope 'read:minds'"),
        ({"name": "culling", "scopes": "list:users"}, "scopes must be a list"),
        ({"name": "culling", "scopes": [7]}, "list of names"),
        ({"name": "culling", "description": 7}, "description must be text"),
    ],
)
def test_a_wrong_role_is_refused_by_name(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_role(declared)


def test_metascopes_cannot_be_given_to_services() -> None:
    with pytest.raises(InvalidRequest, match="mean nothing"):
        check_metascopes(Role(name="culling", scopes=("self",), services=frozenset({"culler"})))


def test_a_service_says_how_it_signs_people_in() -> None:
    service = read_service(
        {
            **SERVICE,
            "oauth_client_id": "service-x",
            "oauth_redirect_uri": "https://app.example/cb",
            "oauth_no_confirm": True,
            "oauth_client_allowed_scopes": ["tokens!user"],
        }
    )

    assert (service.oauth_client_id, service.oauth_redirect_uri) == ("service-x", "https://app.example/cb")
    assert (service.oauth_no_confirm, service.oauth_client_allowed_scopes) == (True, ("tokens!user",))


def test_an_added_service_is_kept_without_its_token() -> None:
    service, kept = read_added_service("board", {"name": "board", "api_token": "12345678", "url": "http://x:1/"})

    assert (service.name, service.url, service.api_token_hash) == ("board", "http://x:1", hash_secret("12345678"))
    assert kept == {"url": "http://x:1/"}


def test_an_added_service_without_a_token_cannot_identify_itself() -> None:
    service, _ = read_added_service("board", {"url": "http://x:1"})

    assert not service.api_token_hash


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"command": ["true"]}, "Can not create managed service board at runtime"),
        ({"cwd": "/"}, "unknown key 'cwd'"),
        ({"timeout": 3}, "unknown key 'timeout'"),
        ({"name": "other"}, "another name"),
        ({"api_token": "short"}, "8 to 64"),
        ({"url": "localhost:9"}, "url must begin"),
    ],
)
def test_a_wrong_added_service_is_refused(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_added_service("board", declared)


@pytest.mark.parametrize("name", ["", "a/b", "a%2f", " a", ".."])
def test_a_name_that_no_service_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="needs a name"):
        read_added_service(name, {})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"oauth_client_id": "mine"}, "begin with service-"),
        ({"oauth_redirect_uri": "javascript:x"}, "must be a path"),
        ({"oauth_no_confirm": 1}, "True or False"),
        ({"oauth_client_allowed_scopes": ["read:minds"]}, "no scope 'read:minds'"),
    ],
)
def test_what_a_service_says_of_oauth_is_checked(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_service({**SERVICE, **change})


def test_a_dictated_role_is_known_by_name_or_brings_its_scopes() -> None:
    known = frozenset({"reading"})

    assert read_dictated({"name": "reading"}, known=known) == ManagedRole(name="reading")
    assert read_dictated({"name": "admin"}, known=known) == ManagedRole(name="admin")
    assert read_dictated({"name": "new", "scopes": []}, known=known) == ManagedRole(name="new", scopes=())


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("reading", "must be a dictionary"),
        ({"name": "new"}, "no role 'new'"),
        ({"name": "admin", "scopes": []}, "'admin' cannot be changed"),
        ({"name": "new", "scopes": ["no"]}, "'new'"),
    ],
)
def test_a_dictated_role_that_is_wrong_is_refused(told: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_dictated(told, known=frozenset({"reading"}))
