from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest

from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings

GROUPS: Final = "/hub/api/groups"
NOT_FOUND: Final = {"status": 404, "message": "No access to resources or resources not found"}


@pytest.fixture
async def admin(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    async with rig.program(await rig.token("ada")) as client:
        yield client


async def test_a_group_is_made_read_and_deleted(admin: httpx.AsyncClient) -> None:
    made = await admin.post(f"{GROUPS}/class", json={"users": ["Bob"]})
    again = await admin.post(f"{GROUPS}/class")
    read = await admin.get(f"{GROUPS}/class")
    deleted = await admin.delete(f"{GROUPS}/class")
    gone = [(await admin.request(method, f"{GROUPS}/class")).status_code for method in ("GET", "DELETE")]

    assert (made.status_code, again.status_code, deleted.status_code, gone) == (201, 409, 204, [404, 404])
    assert again.json() == {"status": 409, "message": "Group class already exists"}
    model = {"kind": "group", "name": "class", "roles": [], "users": ["bob"], "properties": {}}
    assert (made.json(), read.json()) == (model, model)


async def test_several_groups_are_made_at_once(admin: httpx.AsyncClient) -> None:
    made = await admin.post(GROUPS, json={"groups": ["a", "b"], "users": ["bob"]})
    clash = await admin.post(GROUPS, json={"groups": ["c", "b"]})

    assert (made.status_code, clash.status_code) == (201, 409)
    assert [(group["name"], group["users"]) for group in made.json()] == [("a", ["bob"]), ("b", ["bob"])]
    assert [group["name"] for group in (await admin.get(GROUPS)).json()] == ["a", "b"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", {}),
        ("POST", "", {"groups": []}),
        ("POST", "", {"groups": "class"}),
        ("POST", "", {"groups": ["x"], "users": ["nobody"]}),
        ("POST", "", {"groups": ["x"], "members": []}),
        ("POST", "/x", {"users": ["nobody"]}),
        ("POST", "/x", {"name": "y"}),
        ("POST", "/class/users", {}),
        ("POST", "/class/users", {"users": ["nobody"]}),
        ("DELETE", "/class/users", {}),
        ("DELETE", "/class/users", {"users": "bob"}),
        ("PUT", "/class/properties", None),
        ("PUT", "/class/properties", ["list"]),
    ],
)
async def test_a_body_that_means_nothing_is_refused(
    admin: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    await admin.post(f"{GROUPS}/class")

    assert (await admin.request(method, f"{GROUPS}{path}", json=body)).status_code == 400


async def test_members_and_properties_are_changed(admin: httpx.AsyncClient) -> None:
    await admin.post(f"{GROUPS}/class")

    added = await admin.post(f"{GROUPS}/class/users", json={"users": ["bob", "eve"]})
    removed = await admin.request("DELETE", f"{GROUPS}/class/users", json={"users": ["bob"]})
    put = await admin.put(f"{GROUPS}/class/properties", json={"room": 7})

    assert [answer.status_code for answer in (added, removed, put)] == [200, 200, 200]
    assert (added.json()["users"], removed.json()["users"]) == (["bob", "eve"], ["eve"])
    assert put.json()["properties"] == {"room": 7}
    assert (await admin.get("/hub/api/users/eve")).json()["groups"] == ["class"]


async def test_groups_come_in_pages_for_who_asks_so(admin: httpx.AsyncClient) -> None:
    accept = {"Accept": "application/jupyterhub-pagination+json"}
    await admin.post(GROUPS, json={"groups": ["a", "b", "c"]})

    first = (await admin.get(f"{GROUPS}?limit=2", headers=accept)).json()
    rest = (await admin.get(first["_pagination"]["next"]["url"], headers=accept)).json()

    assert [[group["name"] for group in page["items"]] for page in (first, rest)] == [["a", "b"], ["c"]]
    assert (first["_pagination"]["total"], rest["_pagination"]["next"]) == (3, None)


async def test_a_filtered_scope_reaches_its_group_and_hides_the_others(tasks: TaskGroup) -> None:
    services = [{"name": "script", "api_token": "script-token"}]
    scopes = ["list:groups!group=mine", "groups!group=mine", "admin:groups!group=mine", "read:roles:groups!group=mine"]
    roles = [
        {"name": "over-mine", "services": ["script"], "scopes": scopes},
        {"name": "given", "groups": ["mine"], "scopes": ["read:hub"]},
    ]
    rig = Rig(tasks=tasks, settings=make_settings(services=services, load_roles=roles))
    await rig.add_user("ada", admin=True)
    async with rig.program(await rig.token("ada")) as admin, rig.program("script-token") as script:
        await admin.post(GROUPS, json={"groups": ["other", "mine"]})

        listed = (await script.get(GROUPS)).json()
        theirs = [await script.request(*call) for call in _all_of("other")]
        none = [await script.request(*call) for call in _all_of("none")]
        bulk = await script.post(GROUPS, json={"groups": ["x"]})
        added = await script.post(f"{GROUPS}/mine/users", json={"users": ["ada"]})

    assert [group["name"] for group in listed] == ["mine"]
    assert listed[0]["roles"] == ["given"]
    assert all(answer.json() == NOT_FOUND for answer in (*theirs, *none))
    assert bulk.status_code == 403
    assert added.json()["users"] == ["ada"]


def _all_of(group: str) -> list[tuple[str, str]]:
    tails = (
        ("GET", ""),
        ("POST", ""),
        ("DELETE", ""),
        ("POST", "/users"),
        ("DELETE", "/users"),
        ("PUT", "/properties"),
    )
    return [(method, f"{GROUPS}/{group}{tail}") for method, tail in tails]


@pytest.mark.parametrize(
    ("scope", "members"),
    [
        ("read:groups", {"kind", "name", "users", "properties"}),
        ("read:groups:name", {"kind", "name"}),
        ("read:roles:groups", {"kind", "name", "roles"}),
    ],
)
async def test_of_a_group_is_shown_what_the_scope_is_for(
    rig: Rig, admin: httpx.AsyncClient, scope: str, members: set[str]
) -> None:
    await admin.post(f"{GROUPS}/class")

    async with rig.program(await rig.token("ada", [scope])) as program:
        shown = (await program.get(f"{GROUPS}/class")).json()
        listed = await program.get(GROUPS)

    assert shown.keys() == members
    assert listed.status_code == 403


async def test_an_ordinary_user_learns_nothing_of_groups(rig: Rig, admin: httpx.AsyncClient) -> None:
    await admin.post(f"{GROUPS}/class", json={"users": ["eve"]})

    async with rig.program(await rig.token("eve")) as program:
        answers = [await program.request(*call) for call in _all_of("class")]
        listed = await program.get(GROUPS)

    assert {answer.status_code for answer in (*answers, listed)} == {403}
