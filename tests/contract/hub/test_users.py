"""
Contract d4 to d10: users.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.contract.hub.client import PAGES, Hub


def test_a_user_is_made_read_and_deleted(hub: Hub) -> None:
    name = hub.name("one")

    made = hub("POST", f"/users/{name}")
    again = hub("POST", f"/users/{name}")
    read = hub("GET", f"/users/{name}")
    deleted = hub("DELETE", f"/users/{name}")
    gone = hub("GET", f"/users/{name}")

    assert [answer.status_code for answer in (made, again, read, deleted, gone)] == [201, 409, 200, 204, 404]
    model = read.json()
    assert (model["kind"], model["name"], model["admin"], model["roles"]) == ("user", name, False, ["user"])
    assert (model["groups"], model["server"], model["pending"], model["servers"]) == ([], None, None, {})
    assert model["created"].endswith("Z")
    assert datetime.fromisoformat(model["created"]).microsecond >= 0
    assert {"last_activity", "user_info", "auth_state"} <= model.keys()
    assert deleted.content == b""


def test_many_users_are_made_and_those_who_exist_let_be(hub: Hub) -> None:
    first, second = hub.name("many-a"), hub.name("many-b")

    one = hub("POST", "/users", {"usernames": [first]})
    two = hub("POST", "/users", {"usernames": [first, second], "admin": False})
    none = hub("POST", "/users", {"usernames": [first, second]})

    assert (one.status_code, two.status_code, none.status_code) == (201, 201, 409)
    assert [user["name"] for user in two.json()] == [second]


def test_a_name_is_made_lower_case(hub: Hub) -> None:
    made = hub("POST", "/users", {"usernames": [hub.name("CASE")]})

    assert [user["name"] for user in made.json()] == [hub.name("case")]


def test_a_name_is_made_lower_case_wherever_a_user_is_made(hub: Hub) -> None:
    assert hub("POST", f"/users/{hub.name('ALONE')}").json()["name"] == hub.name("alone")


@pytest.mark.parametrize("body", [None, {}, {"usernames": []}, {"usernames": [".."]}, {"usernames": ["a/b"]}])
def test_no_user_is_made_of_nothing_and_of_a_bad_name(hub: Hub, body: object) -> None:
    assert hub("POST", "/users", body).status_code == 400


def test_only_an_administrator_makes_administrators(hub: Hub) -> None:
    plain = hub.user("plain")
    token = hub.limited("admin:users")

    by_admin = hub("POST", f"/users/{hub.name('raised')}", {"admin": True}, token=token)
    by_nobody = hub("POST", f"/users/{hub.name('raised2')}", {"admin": True}, token=hub.token_of(plain))

    assert by_admin.json()["admin"] is True
    assert sorted(by_admin.json()["roles"]) == ["admin", "user"]
    assert by_nobody.status_code in {403, 404}


def test_users_are_listed_by_part_of_the_name_and_in_order(hub: Hub) -> None:
    names = [hub.user(f"list-{letter}") for letter in "bca"]

    by_id = hub("GET", f"/users?name_filter={hub.name('list-')}").json()
    by_name = hub("GET", f"/users?name_filter={hub.name('LIST-')}&sort=name").json()
    backwards = hub("GET", f"/users?name_filter={hub.name('list-')}&sort=-name").json()

    assert [user["name"] for user in by_id] == names
    assert [user["name"] for user in by_name] == sorted(names)
    assert [user["name"] for user in backwards] == sorted(names, reverse=True)


@pytest.mark.parametrize("query", ["state=asleep", "sort=age", "limit=x", "offset=x"])
def test_a_query_that_means_nothing_is_refused(hub: Hub, query: str) -> None:
    assert hub("GET", f"/users?{query}").status_code == 400


def test_pages_are_for_who_asks_by_media_type(hub: Hub) -> None:
    for letter in "abc":
        hub.user(f"page-{letter}")
    query = f"/users?name_filter={hub.name('page-')}&sort=name&limit=2"

    bare = hub("GET", query)
    first = hub("GET", query, headers={"Accept": f"text/html, {PAGES}"})
    after = first.json()["_pagination"]["next"]
    last = hub("GET", after["url"], headers={"Accept": PAGES}).json()

    assert len(bare.json()) == 2
    assert first.headers["content-type"].startswith("application/json")
    assert {key: first.json()["_pagination"][key] for key in ("offset", "limit", "total")} == {
        "offset": 0,
        "limit": 2,
        "total": 3,
    }
    assert (after["offset"], after["limit"]) == (2, 2)
    assert after["url"].startswith(f"{hub.url}/hub/api/users?")
    assert [user["name"] for user in last["items"]] == [hub.name("page-c")]
    assert last["_pagination"]["next"] is None


def test_a_user_is_renamed_and_raised(hub: Hub) -> None:
    name, new = hub.user("before"), hub.name("after")

    renamed = hub("PATCH", f"/users/{name}", {"name": new, "admin": True})

    assert renamed.status_code == 200
    assert (renamed.json()["name"], renamed.json()["admin"]) == (new, True)
    assert (hub("GET", f"/users/{name}").status_code, hub("GET", f"/users/{new}").status_code) == (404, 200)


@pytest.mark.parametrize("body", [{"shoe_size": 44}, {"admin": "yes"}, {"name": 7}, {"name": "a/b"}])
def test_a_change_of_a_user_that_means_nothing_is_refused(hub: Hub, body: object) -> None:
    name = hub.somebody()

    assert hub("PATCH", f"/users/{name}", body).status_code == 400


def test_a_name_that_is_taken_is_refused_and_nobody_is_not_found(hub: Hub) -> None:
    one, two = hub.user("taken-a"), hub.user("taken-b")

    assert hub("PATCH", f"/users/{one}", {"name": two}).status_code == 400
    assert hub("PATCH", f"/users/{hub.name('nobody')}", {"admin": False}).status_code == 404
    assert hub("DELETE", f"/users/{hub.name('nobody')}").status_code == 404


def test_nobody_deletes_themselves(hub: Hub) -> None:
    name = hub.user("myself", admin=True)

    assert hub("DELETE", f"/users/{name}", token=hub.token_of(name)).status_code == 400


def test_activity_is_noted_unless_it_is_older(hub: Hub) -> None:
    name = hub.user("active")
    at = (datetime.now(UTC) + timedelta(minutes=5)).isoformat(timespec="microseconds").replace("+00:00", "Z")

    noted = hub("POST", f"/users/{name}/activity", {"last_activity": at})
    older = hub("POST", f"/users/{name}/activity", {"last_activity": "2001-01-01T00:00:00.000000Z"})

    assert (noted.status_code, older.status_code) == (200, 200)
    assert hub("GET", f"/users/{name}").json()["last_activity"] == at


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"last_activity": "yesterday"},
        {"last_activity": "2999-01-01T00:00:00Z"},
        {"servers": []},
        {"servers": {"": {}}},
        {"servers": {"none": {"last_activity": "2001-01-01T00:00:00Z"}}},
    ],
)
def test_activity_that_means_nothing_is_refused(hub: Hub, body: object) -> None:
    name = hub.somebody()

    assert hub("POST", f"/users/{name}/activity", body).status_code == 400


def test_old_clients_get_no_further_leave(hub: Hub) -> None:
    assert hub("POST", f"/users/{hub.user('admin-access')}/admin-access").status_code == 403
