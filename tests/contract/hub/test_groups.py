"""
Contract d24 to d30: groups.
"""

from __future__ import annotations

import pytest

from tests.contract.hub.client import PAGES, Hub


def test_a_group_is_made_read_and_deleted(hub: Hub) -> None:
    name, member = hub.name("class"), hub.user("pupil")

    made = hub("POST", f"/groups/{name}", {"users": [member]})
    again = hub("POST", f"/groups/{name}")
    read = hub("GET", f"/groups/{name}")
    deleted = hub("DELETE", f"/groups/{name}")
    gone = [hub(method, f"/groups/{name}").status_code for method in ("GET", "DELETE")]

    assert [answer.status_code for answer in (made, again, read, deleted)] == [201, 409, 200, 204]
    assert gone == [404, 404]
    model = {"kind": "group", "name": name, "roles": [], "users": [member], "properties": {}}
    assert (made.json(), read.json()) == (model, model)


def test_several_groups_are_made_at_once(hub: Hub) -> None:
    names = [hub.name("bulk-a"), hub.name("bulk-b")]

    made = hub("POST", "/groups", {"groups": names})

    assert made.status_code == 201
    assert [group["name"] for group in made.json()] == names
    assert hub("POST", "/groups", {"groups": names}).status_code == 409
    assert hub("POST", "/groups", {}).status_code == 400


def test_members_come_and_go(hub: Hub) -> None:
    one, two = hub.user("member-a"), hub.user("member-b")
    group = hub.group("members", one)

    added = hub("POST", f"/groups/{group}/users", {"users": [one, two]})
    in_it = hub("GET", f"/users/{two}").json()["groups"]
    left = hub("DELETE", f"/groups/{group}/users", {"users": [one]})
    again = hub("DELETE", f"/groups/{group}/users", {"users": [one]})

    assert [answer.status_code for answer in (added, left, again)] == [200, 200, 200]
    assert (sorted(added.json()["users"]), left.json()["users"]) == ([one, two], [two])
    assert in_it == [group]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_unknown_members_and_none_at_all_are_refused(hub: Hub, method: str) -> None:
    group = hub.group(f"strict-{method.lower()}")

    assert hub(method, f"/groups/{group}/users", {"users": [hub.name("nobody")]}).status_code == 400
    assert hub(method, f"/groups/{group}/users", {}).status_code == 400
    assert hub(method, f"/groups/{hub.name('none')}/users", {"users": []}).status_code == 404


def test_properties_are_replaced(hub: Hub) -> None:
    group = hub.group("with-properties")

    hub("PUT", f"/groups/{group}/properties", {"a": 1, "b": 2})
    put = hub("PUT", f"/groups/{group}/properties", {"c": [3]})

    assert (put.status_code, put.json()["properties"]) == (200, {"c": [3]})
    assert hub("GET", f"/groups/{group}").json()["properties"] == {"c": [3]}


def test_properties_of_a_group_must_be_an_object(hub: Hub) -> None:
    group = hub.group("without-properties")

    assert hub("PUT", f"/groups/{group}/properties", ["a"]).status_code == 400


def test_groups_are_listed_in_pages(hub: Hub) -> None:
    names = [hub.group(f"listed-{letter}") for letter in "ab"]
    listed = [group["name"] for group in hub("GET", "/groups").json()]
    page = hub("GET", "/groups?limit=1", headers={"Accept": PAGES}).json()

    assert [name for name in listed if name in names] == names
    assert len(page["items"]) == 1
    assert page["_pagination"]["next"]["offset"] == 1


def test_a_filter_to_a_group_lists_it_alone(hub: Hub) -> None:
    mine, other = hub.group("mine"), hub.group("other")
    token = hub.limited(f"list:groups!group={mine}", f"groups!group={mine}")

    listed = hub("GET", "/groups", token=token)
    hidden = hub("POST", f"/groups/{other}/users", {"users": []}, token=token)
    none = hub("POST", f"/groups/{hub.name('none')}/users", {"users": []}, token=token)

    assert [group["name"] for group in listed.json()] == [mine]
    assert (hidden.status_code, none.status_code) == (404, 404)
    assert hidden.json()["message"] == none.json()["message"] == "No access to resources or resources not found"


@pytest.mark.parametrize(
    ("scope", "members"),
    [
        ("read:groups", {"kind", "name", "users", "properties"}),
        ("read:groups:name", {"kind", "name"}),
        ("read:roles:groups", {"kind", "name", "roles"}),
    ],
)
def test_of_a_group_is_shown_what_the_scope_is_for(hub: Hub, scope: str, members: set[str]) -> None:
    group = hub.group(f"seen-{scope.replace(':', '-')}")

    assert hub("GET", f"/groups/{group}", token=hub.limited(scope)).json().keys() == members


def test_a_filter_to_a_group_reaches_its_members(hub: Hub) -> None:
    member, other = hub.user("reached"), hub.user("unreached")
    group = hub.group("reach", member)
    token = hub.limited(f"read:users!group={group}", f"list:users!group={group}")

    answers = [hub("GET", f"/users/{name}", token=token).status_code for name in (member, other)]
    listed = [user["name"] for user in hub("GET", "/users", token=token).json()]
    hub("DELETE", f"/groups/{group}/users", {"users": [member]})
    left = hub("GET", f"/users/{member}", token=token).status_code

    assert (answers, listed, left) == ([200, 404], [member], 404)
