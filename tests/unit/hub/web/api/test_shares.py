from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from perijove.config.settings import ServerPolicy
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings

API = "/hub/api"
READ = "access:servers:read"
SHARING = {"name": "user", "scopes": ["self", "shares!user", "read:users:name", "read:groups:name"]}
SHARING_GROUP = {"name": "lab-lead", "scopes": ["groups:shares!group=lab"], "users": ["bob"]}


@pytest.fixture
async def rig(tasks: TaskGroup) -> Rig:
    """
    Ada, bob and eve, who may share their servers; bob also answers for a group.
    """
    settings = make_settings(
        load_roles=[SHARING, SHARING_GROUP],
        load_groups={"lab": ["bob"]},
        servers=ServerPolicy(allow_named_servers=True),
        public_url="https://hub.example/",
    )
    rig = Rig(tasks=tasks, settings=settings)
    for name in ("ada", "bob", "eve"):
        await rig.add_user(name)
    async with rig.store.unit() as unit:
        group = await unit.groups.put("lab", properties={})
        bob = await unit.users.by_name("bob")
        assert bob is not None
        await unit.groups.add_members(group.id, [bob.id])
    return rig


@pytest.fixture
async def ada(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    async with rig.program(await rig.token("ada")) as client:
        yield client


@pytest.fixture
async def bob(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    async with rig.program(await rig.token("bob")) as client:
        yield client


def users_of(answer: httpx.Response) -> list[str | None]:
    return [(share["user"] or {}).get("name") for share in answer.json()["items"]]


async def test_a_share_looks_as_the_contract_says(ada: httpx.AsyncClient) -> None:
    answer = await ada.post(f"{API}/shares/ada/", json={"user": "bob"})

    assert answer.status_code == 200
    model = answer.json()
    assert model.pop("created_at").endswith("Z")
    assert model == {
        "server": {
            "user": {"name": "ada"},
            "name": "",
            "url": "/user/ada/",
            "full_url": "https://hub.example/user/ada/",
            "ready": False,
        },
        "scopes": ["access:servers!server=ada/"],
        "user": {"name": "bob"},
        "group": None,
        "kind": "user",
    }


async def test_lists_are_always_in_pages(ada: httpx.AsyncClient) -> None:
    for body in ({"user": "bob"}, {"user": "eve"}, {"group": "lab"}):
        assert (await ada.post(f"{API}/shares/ada/", json=body)).status_code == 200
    await ada.put(f"{API}/users/ada/servers/work", json={})
    await ada.post(f"{API}/shares/ada/work", json={"user": "eve", "scopes": [READ]})

    everything = await ada.get(f"{API}/shares/ada")
    default = await ada.get(f"{API}/shares/ada/")
    work = await ada.get(f"{API}/shares/ada/work")
    page = await ada.get(f"{API}/shares/ada?limit=1&offset=1")

    assert users_of(everything) == ["bob", "eve", None, "eve"]
    assert users_of(default) == ["bob", "eve", None]
    assert users_of(work) == users_of(page) == ["eve"]
    assert page.json()["_pagination"] == {
        "offset": 1,
        "limit": 1,
        "total": 4,
        "next": {"offset": 2, "limit": 1, "url": "http://hub.example/hub/api/shares/ada?offset=2&limit=1"},
    }


async def test_what_is_shared_with_oneself_is_read_and_left(ada: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    await ada.post(f"{API}/shares/ada/", json={"user": "bob"})
    await ada.post(f"{API}/shares/ada/", json={"group": "lab", "scopes": [READ]})

    listed = await bob.get(f"{API}/users/bob/shared")
    one = await bob.get(f"{API}/users/bob/shared/ada/")
    left = await bob.delete(f"{API}/users/bob/shared/ada/")
    again = await bob.delete(f"{API}/users/bob/shared/ada/")

    assert [share["kind"] for share in listed.json()["items"]] == ["user", "group"]
    assert one.json()["user"] == {"name": "bob"}
    assert (left.status_code, left.content, again.status_code) == (204, b"", 404)
    assert [share["kind"] for share in (await bob.get(f"{API}/users/bob/shared")).json()["items"]] == ["group"]


async def test_what_is_shared_with_a_group_is_listed_read_and_left_by_who_may(
    ada: httpx.AsyncClient, bob: httpx.AsyncClient
) -> None:
    await ada.post(f"{API}/shares/ada/", json={"group": "lab"})

    assert (await ada.get(f"{API}/groups/lab/shared")).status_code == 404
    assert (await bob.get(f"{API}/groups/other/shared")).status_code == 404
    assert (await bob.get(f"{API}/groups/lab/shared")).json()["items"][0]["group"] == {"name": "lab"}
    assert (await bob.get(f"{API}/groups/lab/shared/ada/")).json()["kind"] == "group"
    assert (await bob.get(f"{API}/groups/lab/shared/ada/work")).status_code == 404
    assert (await bob.delete(f"{API}/groups/lab/shared/ada/")).status_code == 204
    assert (await bob.get(f"{API}/groups/lab/shared")).json()["items"] == []


async def test_a_share_is_taken_back_in_part_and_whole(ada: httpx.AsyncClient) -> None:
    await ada.post(f"{API}/shares/ada/", json={"user": "bob", "scopes": [READ, "read:servers"]})

    part = await ada.patch(f"{API}/shares/ada/", json={"user": "bob", "scopes": ["read:servers!server=ada/"]})
    rest = await ada.patch(f"{API}/shares/ada/", json={"user": "bob"})
    nobody = await ada.patch(f"{API}/shares/ada/", json={"user": "nobody"})
    await ada.post(f"{API}/shares/ada/", json={"group": "lab"})
    everything = await ada.delete(f"{API}/shares/ada/")

    assert part.json()["scopes"] == [f"{READ}!server=ada/"]
    assert (rest.status_code, rest.json()) == (nobody.status_code, nobody.json()) == (200, {})
    assert everything.status_code == 204
    assert (await ada.get(f"{API}/shares/ada")).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 400, "exactly one"),
        ({"user": "bob", "group": "lab"}, 400, "not both"),
        ({"user": ""}, 400, "exactly one"),
        ({"user": 1}, 400, "user must be str"),
        ({"user": "bob", "scopes": "access:servers"}, 400, "scopes must be list"),
        ({"user": "bob", "expires_in": 60}, 400, "Unknown key: expires_in"),
        ({"user": "bob", "scopes": ["access:servers!user=ada"]}, 400, "!user=ada not allowed"),
        ({"user": "bob", "scopes": ["nonsense"]}, 400, "no scope 'nonsense'"),
        ({"user": "nobody"}, 400, "No such user: nobody"),
        ({"group": "nobody"}, 400, "No such group: nobody"),
        ({"user": "ada"}, 400, "needs no share"),
        ({"user": "bob", "scopes": ["admin:server_state"]}, 403, "Do not have permission to grant"),
    ],
)
async def test_a_bad_share_is_refused_with_a_sentence(
    ada: httpx.AsyncClient, body: dict[str, Any], status: int, message: str
) -> None:
    answer = await ada.post(f"{API}/shares/ada/", json=body)

    assert answer.status_code == answer.json()["status"] == status
    assert message in answer.json()["message"]
    assert (await ada.get(f"{API}/shares/ada")).json()["items"] == []


@pytest.mark.parametrize("path", ["shares/ada", "share-codes/ada"])
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
async def test_without_a_server_there_is_only_the_list(ada: httpx.AsyncClient, path: str, method: str) -> None:
    answer = await ada.request(method, f"{API}/{path}", json={})

    assert (answer.status_code, answer.json()["status"]) == (405, 405)


async def test_a_code_is_made_listed_without_its_text_and_taken_back(ada: httpx.AsyncClient) -> None:
    made = await ada.post(f"{API}/share-codes/ada/", json={"scopes": [READ], "expires_in": 60})
    other = (await ada.post(f"{API}/share-codes/ada/")).json()
    listed = await ada.get(f"{API}/share-codes/ada/")
    model = made.json()

    assert made.status_code == 200
    assert (model["scopes"], model["exchange_count"], model["last_exchanged_at"]) == ([f"{READ}!server=ada/"], 0, None)
    assert len(model["code"]) == 43
    assert model["accept_url"] == f"/hub/accept-share?code={model['code']}"
    assert model["full_accept_url"] == f"https://hub.example/hub/accept-share?code={model['code']}"
    assert listed.json()["_pagination"]["total"] == 2
    assert listed.json()["items"][0] == {
        key: value for key, value in model.items() if key not in {"code", "accept_url", "full_accept_url"}
    }
    assert (await ada.delete(f"{API}/share-codes/ada/?code=nonsense")).status_code == 404
    assert (await ada.delete(f"{API}/share-codes/ada/?id=sc_999")).status_code == 404
    assert (await ada.delete(f"{API}/share-codes/ada/?id={model['id']}")).status_code == 204
    assert (await ada.delete(f"{API}/share-codes/ada/?code={other['code']}")).status_code == 204
    assert (await ada.get(f"{API}/share-codes/ada")).json()["items"] == []
    assert (await ada.delete(f"{API}/share-codes/ada/")).status_code == 204


@pytest.mark.parametrize("body", [{"expires_in": 59}, {"expires_in": "60"}, {"expires_in": True}, {"user": "bob"}])
async def test_a_bad_code_is_not_made(ada: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await ada.post(f"{API}/share-codes/ada/", json=body)).status_code == 400


async def test_who_lacks_the_scope_is_told_and_who_has_it_for_others_is_told_nothing(
    rig: Rig, ada: httpx.AsyncClient, bob: httpx.AsyncClient
) -> None:
    await ada.post(f"{API}/shares/ada/", json={"user": "bob"})
    async with rig.program(await rig.token("ada", ["read:users!user"])) as narrow:
        assert (await narrow.get(f"{API}/shares/ada")).status_code == 403
        assert (await narrow.post(f"{API}/shares/ada/", json={"user": "bob"})).status_code == 403

    for method, path in (
        ("GET", "shares/ada"),
        ("GET", "shares/nobody"),
        ("GET", "shares/ada/"),
        ("POST", "shares/ada/"),
        ("PATCH", "shares/ada/"),
        ("DELETE", "shares/ada/"),
        ("GET", "share-codes/ada"),
        ("POST", "share-codes/ada/"),
        ("DELETE", "share-codes/ada/"),
        ("GET", "users/eve/shared"),
        ("DELETE", "users/eve/shared/ada/"),
    ):
        answer = await bob.request(method, f"{API}/{path}", json={"user": "eve"})
        assert answer.status_code == 404, (method, path)
    assert users_of(await ada.get(f"{API}/shares/ada")) == ["bob"]


async def test_ordinary_users_may_look_but_not_share_unless_the_administrator_says_so(tasks: TaskGroup) -> None:
    rig = Rig(tasks=tasks, settings=make_settings())
    for name in ("ada", "bob"):
        await rig.add_user(name)

    async with rig.program(await rig.token("ada")) as ada:
        looked = await ada.get(f"{API}/shares/ada")
        shared = await ada.post(f"{API}/shares/ada/", json={"user": "bob"})
        offered = await ada.post(f"{API}/share-codes/ada/")

    assert (looked.status_code, shared.status_code, offered.status_code) == (200, 403, 403)


async def test_a_share_may_pass_the_right_to_share_on(ada: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    await ada.post(f"{API}/shares/ada/", json={"user": "bob", "scopes": ["shares"]})

    passed_on = await bob.post(f"{API}/shares/ada/", json={"user": "eve", "scopes": [READ]})
    other_server = await bob.post(f"{API}/shares/ada/work", json={"user": "eve", "scopes": [READ]})

    assert (passed_on.status_code, other_server.status_code) == (200, 404)
