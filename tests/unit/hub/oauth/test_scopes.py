from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.hub.oauth.clients import OAuthClient, client_of_server, client_of_service
from perijove.hub.oauth.errors import ScopeNotAllowed
from perijove.hub.oauth.scopes import negotiate, required_scopes
from perijove.hub.scopes.catalog import IMPLIED
from perijove.hub.scopes.expansion import Holder, expand
from perijove.hub.scopes.intersection import intersect
from perijove.hub.usecases.load_roles import load_roles

ALWAYS = ("access:servers!server=ada/lab", "read:users:name!user", "read:users:groups!user")
EVE = expand(["self", "access:servers!server=ada/lab"], Holder(user="eve"))
ROLES = {"reader": ("read:users!user",), "token": ("inherit",), "admin": ("admin:users",)}


ALL = load_roles(roles=[], services=[], custom_scopes={
    "custom:grades:read": {"description": "Read grades."},
    "custom:grades:all": {"description": "All of grades.", "subscopes": ["custom:grades:read"]},
})  # fmt: skip


def server(*allowed: str) -> OAuthClient:
    return client_of_server(base_url="/", owner_id=1, user="ada", server="lab", allowed_scopes=allowed)


def granted(
    client: OAuthClient, asked: Sequence[str] | None, owned: frozenset[str] = EVE, user: str = "eve"
) -> tuple[str, ...]:
    return negotiate(client, asked, user=user, owned=owned, scopes_of_role=ROLES.get, expand=ALL.expand)


@pytest.mark.parametrize("asked", [None, [], ["identify"], ["read:users:name!user"], ["access:servers!server"]])
def test_who_they_are_and_being_let_in_is_always_granted(asked: list[str] | None) -> None:
    assert set(granted(server(), asked)) == set(ALWAYS)


def test_a_client_that_asks_for_nothing_special_gets_all_it_may_have() -> None:
    assert granted(server("read:users!user", "tokens!user"), None) == (*ALWAYS, "read:users!user", "tokens!user")


def test_a_client_gets_what_it_asks_for() -> None:
    client = server("read:users!user", "tokens!user")

    assert granted(client, ["read:tokens!user"]) == (*ALWAYS, "read:tokens!user")


@pytest.mark.parametrize(
    "asked",
    ["tokens", "tokens!user", "admin:users", "inherit", "self", "read:users", "no:such", "read:users!user=bob", "admin",
     "access:servers", "access:servers!user=ada", "read:users!nonsense"],
)  # fmt: skip
def test_a_scope_that_the_client_may_not_have_refuses_the_request(asked: str) -> None:
    """
    Also if the person could give it: what an administrator allows a client is the most it gets.
    """
    everything = expand(IMPLIED, Holder(user="eve"))

    with pytest.raises(ScopeNotAllowed):
        granted(server("read:users!user"), [asked], owned=everything)


def test_a_scope_that_the_person_has_not_is_left_out() -> None:
    client = server("delete:users", "read:users!user")

    assert granted(client, ["delete:users", "read:users!user"]) == (*ALWAYS, "read:users!user")


def test_of_a_scope_that_the_person_has_in_part_that_part_is_granted() -> None:
    """
    A token must not grow when its owner is given more later.
    """
    assert granted(server("read:users:name"), None) == (*ALWAYS, "read:users:name!user=eve")


def test_inherit_is_for_clients_that_may_have_it() -> None:
    client = server("inherit")

    assert granted(client, None) == (*ALWAYS, "inherit")
    assert granted(client, ["tokens!user"]) == (*ALWAYS, "tokens!user")


def test_older_clients_ask_by_names_of_roles() -> None:
    assert granted(server("read:users!user"), ["reader"]) == (*ALWAYS, "read:users!user")
    with pytest.raises(ScopeNotAllowed):
        granted(server("read:users!user"), ["admin"])
    with pytest.raises(ScopeNotAllowed):
        granted(server("read:users!user"), ["token"])


def test_what_refers_to_the_client_is_settled() -> None:
    """
    A token knows its owner, but not which server it was given to.
    """
    owned = expand(["self", "read:servers!server=ada/lab", "access:services"], Holder(user="eve"))
    service = client_of_service(base_url="/", name="hub", url="http://x", allowed_scopes=["read:services!service"])
    assert service is not None

    assert granted(server("read:servers!server"), None, owned=owned)[3:] == ("read:servers!server=ada/lab",)
    assert granted(service, None, owned=expand(["read:services"], Holder(user="eve")))[3:] == (
        "read:services!service=hub",
    )


def test_what_cannot_refer_to_anything_grants_nothing() -> None:
    assert granted(server("read:services!service"), None) == ALWAYS


def test_nonsense_in_the_configuration_allows_nothing() -> None:
    assert granted(server("no:such", "read:users!user"), None) == (*ALWAYS, "read:users!user")


def test_scopes_of_a_service_of_ones_own_count_like_all_others() -> None:
    """
    That is what most services have custom scopes for.
    """
    owned = ALL.expand(["self", "access:servers!server=ada/lab", "custom:grades:all"], Holder(user="eve"))
    client = server("custom:grades:all")

    assert granted(client, ["custom:grades:read"], owned=owned)[3:] == ("custom:grades:read",)
    assert granted(client, None, owned=owned)[3:] == ("custom:grades:all",)
    assert granted(client, None)[3:] == ()
    assert granted(server("custom:not:declared"), None, owned=owned)[3:] == ()
    with pytest.raises(ScopeNotAllowed):
        granted(server("custom:grades:read"), ["custom:grades:all"], owned=owned)


names = st.sampled_from(sorted(IMPLIED))
scopes = st.builds(lambda name, narrowed: f"{name}{narrowed}", names, st.sampled_from(["", "!user", "!user=bob"]))


@given(st.lists(scopes, max_size=4), st.lists(scopes, max_size=4), st.lists(scopes, max_size=4))
def test_nobody_gives_more_than_client_and_person_have(allowed: list[str], asked: list[str], owned: list[str]) -> None:
    holder = Holder(user="eve", server="ada/lab")
    client, has = server(*allowed), expand(owned, holder)
    try:
        given_ = expand(granted(client, asked, owned=has), holder) - expand(required_scopes(client), holder)
    except ScopeNotAllowed:
        return
    most = expand((*allowed, *required_scopes(client)), holder)

    assert intersect(given_, most) == given_
    assert intersect(given_, has) == given_
