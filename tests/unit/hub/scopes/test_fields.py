from __future__ import annotations

import pytest

from perijove.hub.scopes.fields import READ_SCOPES, visible_fields, visible_group_fields, visible_service_fields


@pytest.mark.parametrize(
    ("scopes", "shown"),
    [
        ({"read:users:name"}, {"kind", "name", "user_info", "admin"}),
        ({"read:users:groups!user=ada"}, {"kind", "name", "groups"}),
        ({"read:users:activity"}, {"kind", "name", "last_activity"}),
        ({"read:servers!user=ada"}, {"kind", "name", "servers"}),
        ({"read:servers!server=ada/work"}, {"kind", "name", "servers"}),
        ({"read:roles:users"}, {"kind", "name", "roles", "admin"}),
        ({"admin:auth_state"}, {"kind", "name", "auth_state"}),
        ({"read:users:groups", "read:servers"}, {"kind", "name", "groups", "servers"}),
        ({"read:users!user=bob", "read:servers!server=adam/", "proxy"}, set()),
    ],
)
def test_each_scope_shows_its_part_of_a_user(scopes: set[str], shown: set[str]) -> None:
    assert visible_fields(frozenset(scopes), "ada") == shown


def test_every_reading_scope_shows_something() -> None:
    for scope in READ_SCOPES:
        assert visible_fields(frozenset({scope}), "ada")


@pytest.mark.parametrize(
    ("scopes", "shown"),
    [
        ({"read:groups"}, {"kind", "name", "users", "properties"}),
        ({"read:groups:name!group=class"}, {"kind", "name"}),
        ({"read:roles:groups", "read:groups:name"}, {"kind", "name", "roles"}),
        ({"read:groups!group=other", "read:users"}, set()),
    ],
)
def test_a_scope_shows_its_members_of_a_group(scopes: set[str], shown: set[str]) -> None:
    assert visible_group_fields(frozenset(scopes), "class") == shown


@pytest.mark.parametrize(
    ("scopes", "shown"),
    [
        ({"read:services"}, {"kind", "name", "admin", "url", "prefix", "command", "pid", "info", "display", "access"}),
        ({"read:services:name!service=grader"}, {"kind", "name", "admin"}),
        ({"read:roles:services"}, {"kind", "name", "roles", "admin"}),
        ({"read:services!service=other"}, set()),
    ],
)
def test_a_scope_shows_its_members_of_a_service(scopes: set[str], shown: set[str]) -> None:
    assert visible_service_fields(frozenset(scopes), "grader") == shown
