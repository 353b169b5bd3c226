from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings


@pytest.fixture
async def admin(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    async with rig.program(await rig.token("ada")) as client:
        yield client


async def test_a_user_is_told_in_full_to_an_administrator(rig: Rig, admin: httpx.AsyncClient) -> None:
    await rig.start("bob")

    model = (await admin.get("/hub/api/users/bob")).json()

    server = model["servers"][""]
    assert model["server"] == "/user/bob/"
    assert model["pending"] is None
    assert model["roles"] == ["user"]
    assert model["created"] == "2026-01-02T03:04:05.000000Z"
    assert (server["ready"], server["full_name"], server["url"]) == (True, "bob/", "/user/bob/")
    assert server["progress_url"] == "/hub/api/users/bob/server/progress"


async def test_what_others_see_of_somebody_is_told_with_their_name(rig: Rig, admin: httpx.AsyncClient) -> None:
    """
    Contract d: `read:users:name` shows it, `read:users:groups` does not.
    """
    told = {"display_name": "Bob", "own": {"desk": 7}}
    async with rig.parts.store.unit() as unit:
        bob = await unit.users.by_name("bob")
        assert bob is not None
        await unit.users.set_user_info(bob.id, told)
    seen = {}
    for scope in ("read:users:name", "read:users:groups"):
        async with rig.program(await rig.token("ada", scopes=[scope])) as program:
            seen[scope] = (await program.get("/hub/api/users/bob")).json()

    assert (await admin.get("/hub/api/users/bob")).json()["user_info"] == told
    assert (await admin.get("/hub/api/users/ada")).json()["user_info"] is None
    assert seen["read:users:name"]["user_info"] == told
    assert "user_info" not in seen["read:users:groups"]


async def test_stopped_servers_are_listed_on_demand(rig: Rig, admin: httpx.AsyncClient) -> None:
    await rig.start("bob")
    await admin.delete("/hub/api/users/bob/server")

    assert (await admin.get("/hub/api/users/bob")).json()["servers"] == {}
    stopped = (await admin.get("/hub/api/users/bob?include_stopped_servers=1")).json()["servers"]
    assert stopped[""]["stopped"]


async def test_somebody_else_does_not_exist(rig: Rig) -> None:
    """
    A filtered scope answers 404 for bob and for nobody alike.
    """
    async with rig.program(await rig.token("eve")) as program:
        bob, nobody, self = [await program.get(f"/hub/api/users/{name}") for name in ("bob", "nobody", "eve")]

    assert (bob.status_code, nobody.status_code, self.status_code) == (404, 404, 200)
    assert bob.json() == nobody.json()


async def test_users_come_in_pages_for_who_asks_so(admin: httpx.AsyncClient) -> None:
    accept = {"Accept": "application/jupyterhub-pagination+json"}

    bare = (await admin.get("/hub/api/users?sort=name&limit=2")).json()
    first = (await admin.get("/hub/api/users?sort=name&limit=2", headers=accept)).json()
    rest = (await admin.get(first["_pagination"]["next"]["url"], headers=accept)).json()

    assert [user["name"] for user in bare] == ["ada", "bob"]
    assert first["_pagination"]["total"] == 3
    assert first["_pagination"]["next"]["url"].startswith("http://hub.example/hub/api/users?sort=name&")
    assert [user["name"] for user in rest["items"]] == ["eve"]
    assert rest["_pagination"]["next"] is None


@pytest.mark.parametrize("query", ["state=asleep", "sort=age", "limit=many", "offset=x"])
async def test_a_query_that_means_nothing_is_refused(admin: httpx.AsyncClient, query: str) -> None:
    assert (await admin.get(f"/hub/api/users?{query}")).status_code == 400


async def test_users_are_found_by_part_of_the_name_and_by_state(rig: Rig, admin: httpx.AsyncClient) -> None:
    await rig.start("bob")

    by_name = (await admin.get("/hub/api/users?name_filter=v")).json()
    ready = (await admin.get("/hub/api/users?state=ready")).json()

    assert [user["name"] for user in by_name] == ["eve"]
    assert [user["name"] for user in ready] == ["bob"]


async def test_several_are_made_at_once(admin: httpx.AsyncClient) -> None:
    made = await admin.post("/hub/api/users", json={"usernames": ["Lin", "bob", "kim"]})
    again = await admin.post("/hub/api/users", json={"usernames": ["lin", "kim"]})

    assert made.status_code == 201
    assert [user["name"] for user in made.json()] == ["lin", "kim"]
    assert again.status_code == 409


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"not json", b'{"usernames": "lin"}', b'{"usernames": [1]}', b'{"usernames": ["../x"]}']
)
async def test_a_body_that_means_nothing_is_refused(admin: httpx.AsyncClient, body: bytes) -> None:
    assert (await admin.post("/hub/api/users", content=body)).status_code == 400


async def test_one_is_made_changed_and_deleted(admin: httpx.AsyncClient) -> None:
    made = await admin.post("/hub/api/users/lin")
    twice = await admin.post("/hub/api/users/lin")
    changed = await admin.patch("/hub/api/users/lin", json={"name": "linus", "admin": True})
    unknown = await admin.patch("/hub/api/users/linus", json={"colour": "red"})
    deleted = await admin.delete("/hub/api/users/linus")
    gone = await admin.get("/hub/api/users/linus")

    assert [answer.status_code for answer in (made, twice, changed, unknown, deleted, gone)] == [
        201, 409, 200, 400, 204, 404,
    ]  # fmt: skip
    assert (changed.json()["name"], changed.json()["admin"]) == ("linus", True)


async def test_a_user_with_a_running_server_is_deleted_whole(rig: Rig, admin: httpx.AsyncClient) -> None:
    await rig.start("bob")

    assert (await admin.delete("/hub/api/users/bob")).status_code == 204
    assert not rig.spawners.running()


async def test_a_server_reports_its_activity(rig: Rig, admin: httpx.AsyncClient) -> None:
    await rig.start("bob")
    token = rig.spawners.processes["bob/"].environment["JUPYTERHUB_API_TOKEN"]
    at = "2026-01-02T03:30:00.000000Z"
    async with rig.program(token) as server:
        answer = await server.post(
            "/hub/api/users/bob/activity", json={"servers": {"": {"last_activity": at}}, "last_activity": at}
        )
        empty = await server.post("/hub/api/users/bob/activity", json={})
        other = await server.post("/hub/api/users/eve/activity", json={"last_activity": at})

    assert [answer.status_code, empty.status_code, other.status_code] == [200, 400, 404]
    assert (await admin.get("/hub/api/users/bob")).json()["servers"][""]["last_activity"] == at


async def test_groups_are_told_to_those_who_may_know_them(tasks: TaskGroup) -> None:
    rig = Rig(tasks=tasks, settings=make_settings(load_groups={"staff": ["bob"], "class": {"users": ["bob", "eve"]}}))
    await rig.add_user("bob")
    await rig.signed_in("bob")
    token = await rig.token("bob", ["read:users:groups!user=bob"])

    async with rig.program(token) as client:
        alone = (await client.get("/hub/api/users/bob")).json()
        oneself = (await client.get("/hub/api/user")).json()

    # Whose it is, every token may tell.
    assert alone == {"kind": "user", "name": "bob", "admin": False, "user_info": None, "groups": ["class", "staff"]}
    assert oneself["groups"] == ["class", "staff"]


async def test_groups_are_in_lists_and_who_is_made_joins_at_once(tasks: TaskGroup) -> None:
    rig = Rig(tasks=tasks, settings=make_settings(load_groups={"class": ["carol"]}))
    await rig.add_user("ada", admin=True)
    async with rig.program(await rig.token("ada")) as client:
        await client.post("/hub/api/users/carol")
        people = (await client.get("/hub/api/users")).json()

    assert [(person["name"], person["groups"]) for person in people] == [("ada", []), ("carol", ["class"])]


async def test_a_filter_to_a_server_lists_no_users(tasks: TaskGroup) -> None:
    """
    It must not be taken for one to the server's user.
    """
    services = [{"name": "script", "api_token": "script-token"}]
    roles = [{"name": "one-server", "services": ["script"], "scopes": ["list:users!server=bob/"]}]
    rig = Rig(tasks=tasks, settings=make_settings(services=services, load_roles=roles))
    await rig.add_user("bob")

    async with rig.program("script-token") as script:
        assert (await script.get("/hub/api/users")).status_code == 403


async def test_a_filter_to_an_empty_group_lists_nobody(tasks: TaskGroup) -> None:
    services = [{"name": "script", "api_token": "script-token"}]
    roles = [{"name": "one-group", "services": ["script"], "scopes": ["list:users!group=class"]}]
    rig = Rig(tasks=tasks, settings=make_settings(services=services, load_roles=roles))
    await rig.add_user("bob")

    async with rig.program("script-token") as script:
        answer = await script.get("/hub/api/users")

    assert (answer.status_code, answer.json()) == (200, [])


async def test_old_clients_are_told_that_no_further_leave_is_given(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/hub/api/users/bob/admin-access")

    assert answer.status_code == 403
    assert answer.json()["message"].startswith("admin access to user servers disabled")


# -- auth state ----------------------------------------------------------------------------------------------------


async def test_administrators_write_and_read_what_the_sign_in_method_remembers(rig: Rig) -> None:
    await rig.add_user("root", admin=True)
    state = {"access_token": "upstream"}
    async with rig.program(await rig.token("root")) as program:
        patched = (await program.patch("/hub/api/users/bob", json={"auth_state": state})).json()
        read = (await program.get("/hub/api/users/bob")).json()
        listed = (await program.get("/hub/api/users")).json()
        await program.patch("/hub/api/users/bob", json={"admin": False})
        kept = (await program.get("/hub/api/users/bob")).json()
        await program.patch("/hub/api/users/bob", json={"auth_state": None})
        forgotten = (await program.get("/hub/api/users/bob")).json()

    assert patched["auth_state"] == read["auth_state"] == kept["auth_state"] == state
    assert {user["auth_state"] for user in listed} == {None}
    assert forgotten["auth_state"] is None


async def test_nobody_else_sees_it_not_even_of_themselves(rig: Rig) -> None:
    await rig.add_user("root", admin=True)
    async with rig.program(await rig.token("root")) as program:
        await program.patch("/hub/api/users/bob", json={"auth_state": {"x": 1}})
    async with rig.program(await rig.token("bob")) as program:
        own = (await program.get("/hub/api/users/bob")).json()
        refused = await program.patch("/hub/api/users/bob", json={"auth_state": {}})

    assert "auth_state" not in own
    assert refused.status_code == 403


@pytest.mark.parametrize("state", ["text", 5, [1]])
async def test_an_auth_state_is_an_object_or_nothing(rig: Rig, state: object) -> None:
    await rig.add_user("root", admin=True)
    async with rig.program(await rig.token("root")) as program:
        answer = await program.patch("/hub/api/users/bob", json={"auth_state": state})

    assert answer.status_code == 400


async def test_where_none_are_kept_writing_one_is_refused(rig: Rig) -> None:
    await rig.add_user("root", admin=True)
    rig.parts.auth_states.adopt(None)
    async with rig.program(await rig.token("root")) as program:
        answer = await program.patch("/hub/api/users/bob", json={"auth_state": {"x": 1}})
        nothing = await program.patch("/hub/api/users/bob", json={"auth_state": None})

    assert (answer.status_code, nothing.status_code) == (400, 200)
    assert "enable_auth_state" in answer.json()["message"]
