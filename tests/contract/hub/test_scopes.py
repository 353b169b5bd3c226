"""
Contract f: what scopes imply, how far filters reach, and which part of a user is shown.
"""

from __future__ import annotations

import pytest

from tests.contract.hub.client import Hub


@pytest.mark.parametrize(
    ("scope", "members"),
    [
        (
            "read:users",
            {"kind", "name", "user_info", "admin", "roles", "groups", "server", "pending", "created", "last_activity"},
        ),
        ("read:users:name", {"kind", "name", "user_info", "admin"}),
        ("read:users:groups", {"kind", "name", "groups"}),
        ("read:users:activity", {"kind", "name", "last_activity"}),
        ("read:servers", {"kind", "name", "user_info", "admin", "servers"}),
        ("read:roles:users", {"kind", "name", "roles", "admin"}),
    ],
)
def test_of_a_user_is_shown_what_the_scope_is_for(hub: Hub, scope: str, members: set[str]) -> None:
    name = hub.user(f"seen-{scope.replace(':', '-')}")

    assert hub("GET", f"/users/{name}", token=hub.limited(f"{scope}!user={name}")).json().keys() == members


def test_a_filter_to_a_server_shows_it_alone(hub: Hub) -> None:
    name = hub.user("one-of-two")
    for server in ("one", "two"):
        hub("PUT", f"/users/{name}/servers/{server}")
    token = hub.limited(f"read:servers!server={name}/one")

    answers = [hub("GET", f"/users/{name}/servers/{server}", token=token).status_code for server in ("one", "two")]
    user = hub("GET", f"/users/{name}?include_stopped_servers=1", token=token)

    assert answers == [200, 404]
    assert list(user.json().get("servers", {})) in ([], ["one"])


@pytest.mark.parametrize(
    ("scope", "implied"),
    [
        ("list:users", {"list:users", "read:users:name"}),
        ("users:activity", {"users:activity", "read:users:activity"}),
        ("servers", {"servers", "read:servers", "read:users:name", "start:servers", "delete:servers"}),
        ("tokens", {"tokens", "read:tokens"}),
        ("read:roles", {"read:roles", "read:roles:users", "read:roles:services", "read:roles:groups"}),
        ("list:services", {"list:services", "read:services:name"}),
    ],
)
def test_a_scope_brings_others_with_it(hub: Hub, scope: str, implied: set[str]) -> None:
    assert hub.scopes_of(hub.limited(scope)) == implied


def test_a_scope_without_a_filter_takes_in_the_same_with_one(hub: Hub) -> None:
    scopes = hub("GET", "/user", token=hub.limited("read:hub", "list:users", "list:users!user=x")).json()["scopes"]

    assert "list:users!user=x" not in scopes


def test_every_token_of_a_user_may_tell_whose_it_is(hub: Hub) -> None:
    name = hub.user("whose")
    made = hub(
        "POST", f"/users/{name}/tokens", {"scopes": [f"read:users:activity!user={name}"]}, token=hub.token_of(name)
    )

    scopes = hub("GET", "/user", token=made.json()["token"]).json()["scopes"]

    own = {f"read:users:{part}!user={name}" for part in ("activity", "groups", "name")}
    assert set(scopes) == own


def test_a_list_is_cut_to_what_a_filter_reaches(hub: Hub) -> None:
    one, two = hub.user("listed-a"), hub.user("listed-b")
    hub.user("listed-c")

    listed = hub("GET", "/users", token=hub.limited(f"list:users!user={one}", f"list:users!user={two}")).json()

    assert sorted(user["name"] for user in listed) == [one, two]


def test_a_filter_to_a_server_lists_nobody(hub: Hub) -> None:
    name = hub.user("not-listed")

    assert hub("GET", "/users", token=hub.limited(f"list:users!server={name}/")).status_code == 403


def test_a_user_may_do_to_themselves_what_the_role_says(hub: Hub) -> None:
    name = hub.user("oneself")
    token = hub.token_of(name)

    answers = {
        "read": hub("GET", f"/users/{name}", token=token).status_code,
        "tokens": hub("GET", f"/users/{name}/tokens", token=token).status_code,
        "stop": hub("DELETE", f"/users/{name}/server", token=token).status_code,
        "list": hub("GET", "/users", token=token).status_code,
        "delete": hub("DELETE", f"/users/{name}", token=token).status_code,
        "change": hub("PATCH", f"/users/{name}", {"admin": True}, token=token).status_code,
        "group": hub("POST", f"/groups/{name}", token=token).status_code,
        "hub": hub("GET", "/info", token=token).status_code,
    }

    allowed = {"read": 200, "tokens": 200, "stop": 204}
    assert answers == {**dict.fromkeys(answers, 403), **allowed}


def test_start_alone_does_not_stop(hub: Hub) -> None:
    name = hub.user("start-only")
    token = hub.limited(f"start:servers!user={name}")

    started = hub("POST", f"/users/{name}/server", token=token)
    stopped = hub("DELETE", f"/users/{name}/server", token=token)
    hub.until(lambda: hub("GET", f"/users/{name}/server").json()["ready"])
    hub.stopped(name)

    assert started.status_code in {201, 202}
    assert stopped.status_code == 403


def test_the_state_of_a_server_needs_a_scope_of_its_own(hub: Hub) -> None:
    name = hub.user("state")
    hub.started(name)

    plain = hub("GET", f"/users/{name}/server", token=hub.limited("read:servers")).json()
    full = hub("GET", f"/users/{name}/server", token=hub.limited("admin:servers")).json()
    hub.stopped(name)

    assert "state" not in plain
    assert isinstance(full["state"], dict)
