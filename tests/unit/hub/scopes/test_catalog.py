from __future__ import annotations

import pytest

from perijove.hub.scopes.catalog import CATALOG, IMPLIED, METASCOPES, SELF_SCOPES

#: contract f, the flat list
NAMES = """
admin-ui admin:users admin:auth_state users delete:users list:users read:users read:users:name read:users:groups
read:users:activity read:roles read:roles:users read:roles:services read:roles:groups users:activity admin:servers
admin:server_state servers read:servers start:servers delete:servers tokens read:tokens admin:groups groups list:groups
read:groups read:groups:name delete:groups admin:services list:services read:services read:services:name read:hub
access:servers access:services users:shares read:users:shares groups:shares read:groups:shares read:shares shares proxy
shutdown read:metrics self inherit
"""
#: less than all of somebody's server
FINER = {"access:servers:read", "access:servers:write"}
#: what JupyterHub has not
OURS = {"read:audit", *FINER}


def test_the_catalog_is_the_contract() -> None:
    assert set(CATALOG) == set(NAMES.split()) | OURS
    assert len(NAMES.split()) == 47


def test_less_than_all_of_a_server_is_below_all_of_it() -> None:
    assert IMPLIED["access:servers"] == {"access:servers", *FINER}
    assert IMPLIED["access:servers:write"] == FINER
    assert IMPLIED["access:servers:read"] == {"access:servers:read"}


def test_everything_implied_exists_and_nothing_implies_itself() -> None:
    for name, definition in CATALOG.items():
        assert set(definition.implies) <= set(CATALOG)
        assert name not in definition.implies


def test_metascopes_are_not_implied_by_anything() -> None:
    for implied in IMPLIED.values():
        assert not implied & METASCOPES


def test_what_is_about_oneself_exists() -> None:
    assert set(SELF_SCOPES) <= set(CATALOG)


@pytest.mark.parametrize("name", CATALOG)
def test_every_scope_says_what_it_means(name: str) -> None:
    assert CATALOG[name].description.endswith(".")


def test_administering_users_comes_with_what_the_contract_says() -> None:
    assert IMPLIED["admin:users"] == {
        "admin:users",
        "admin:auth_state",
        "users",
        "read:users",
        "read:users:name",
        "read:users:groups",
        "read:users:activity",
        "list:users",
        "users:activity",
        "read:roles:users",
        "delete:users",
    }
