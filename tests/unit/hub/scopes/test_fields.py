from __future__ import annotations

import pytest

from perijove.hub.scopes.fields import READ_SCOPES, visible_fields


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
