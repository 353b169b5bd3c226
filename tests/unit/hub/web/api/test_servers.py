from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.errors import NoSuchServer
from perijove.hub.domain.progress import ProgressEvent
from perijove.hub.web.api.servers import event_stream
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings


@pytest.fixture
async def named(tasks: TaskGroup) -> Rig:
    rig = Rig(tasks=tasks, settings=make_settings(servers=ServerPolicy(allow_named_servers=True)))
    await rig.add_user("bob")
    return rig


@pytest.fixture
async def bob(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    async with rig.program(await rig.token("bob")) as client:
        yield client


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(frame[6:]) for frame in text.split("\n\n") if frame.startswith("data: ")]


async def test_a_start_that_succeeds_at_once_is_201(rig: Rig, bob: httpx.AsyncClient) -> None:
    answer = await bob.post("/hub/api/users/bob/server")

    assert (answer.status_code, answer.text) == (201, "")
    assert answer.headers["content-type"].startswith("text/plain")
    assert rig.spawners.running() == ["bob/"]


async def test_a_start_that_takes_long_is_202(tasks: TaskGroup) -> None:
    rig = Rig(tasks=tasks, settings=make_settings(servers=ServerPolicy(slow_start_seconds=0)))
    await rig.add_user("bob")
    rig.spawners.gate.clear()
    async with rig.program(await rig.token("bob")) as program:
        first = await program.post("/hub/api/users/bob/server")
        again = await program.post("/hub/api/users/bob/server")
        model = (await program.get("/hub/api/users/bob")).json()

    assert (first.status_code, again.status_code) == (202, 202)
    assert model["pending"] == "spawn"


async def test_whoever_waits_for_a_start_learns_the_place_in_the_line(tasks: TaskGroup) -> None:
    policy = ServerPolicy(slow_start_seconds=0, concurrent_spawn_limit=1)
    rig = Rig(tasks=tasks, settings=make_settings(servers=policy))
    rig.spawners.gate.clear()
    await rig.add_user("ada", admin=True)
    for name in ("bob", "eve", "joe"):
        await rig.add_user(name)
    async with rig.program(await rig.token("ada")) as program:
        for name in ("bob", "eve", "joe"):
            await program.post(f"/hub/api/users/{name}/server")
            await asyncio.sleep(0.1)
        users = (await program.get("/hub/api/users")).json()
    page = await (await rig.signed_in("joe")).get("/hub/spawn-pending/joe")

    assert [user["pending"] for user in users] == [None, "spawn", "spawn", "spawn"]
    shown = [user["servers"][""].get("queue") for user in users[1:]]
    assert shown == [None, {"ahead": 0, "seconds": None}, {"ahead": 1, "seconds": None}]
    assert "Waiting in line: 1 before you" in page.text


async def test_a_profile_that_fails_for_everybody_is_refused_for_a_while(tasks: TaskGroup) -> None:
    policy = ServerPolicy(consecutive_failure_limit=1)
    rig = Rig(tasks=tasks, settings=make_settings(servers=policy))
    rig.spawners.fail_with = "no such image"
    await rig.add_user("bob")
    async with rig.program(await rig.token("bob")) as program:
        await program.post("/hub/api/users/bob/server")
        answer = await program.post("/hub/api/users/bob/server")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "31")
    assert "several people" in answer.json()["message"]


async def test_a_running_server_is_not_started_again(bob: httpx.AsyncClient) -> None:
    await bob.post("/hub/api/users/bob/server")

    answer = await bob.post("/hub/api/users/bob/server")

    assert answer.status_code == 400
    assert "is already running" in answer.json()["message"]


async def test_a_start_that_fails_says_why(rig: Rig, bob: httpx.AsyncClient) -> None:
    rig.spawners.fail_with = "There is no space left."

    answer = await bob.post("/hub/api/users/bob/server")

    assert answer.status_code == 500
    assert "There is no space left." in answer.json()["message"]


async def test_options_are_kept_for_the_next_start(bob: httpx.AsyncClient) -> None:
    """
    Contract d13: bare members are options; without a body the stored ones count.
    """
    await bob.post("/hub/api/users/bob/server", json={"profile": "large"})
    await bob.delete("/hub/api/users/bob/server")
    await bob.post("/hub/api/users/bob/server")

    assert (await bob.get("/hub/api/users/bob/server")).json()["user_options"] == {"profile": "large"}


@pytest.mark.parametrize("body", [b'{"user_options": []}', b'{"user_options": {}, "colour": 1}', b"[1]", b"{"])
async def test_a_body_that_means_nothing_starts_nothing(rig: Rig, bob: httpx.AsyncClient, body: bytes) -> None:
    assert (await bob.post("/hub/api/users/bob/server", content=body)).status_code == 400
    assert not rig.spawners.running()


async def test_a_stop_is_204_and_may_be_asked_again(rig: Rig, bob: httpx.AsyncClient) -> None:
    never = await bob.delete("/hub/api/users/bob/server")
    await bob.post("/hub/api/users/bob/server")
    first = await bob.delete("/hub/api/users/bob/server")
    again = await bob.delete("/hub/api/users/bob/server")

    assert [answer.status_code for answer in (never, first, again)] == [204, 204, 204]
    assert not rig.spawners.running()


async def test_servers_of_others_are_out_of_reach(rig: Rig, bob: httpx.AsyncClient) -> None:
    await rig.start("eve")

    answers = [
        await bob.get("/hub/api/users/eve/server"),
        await bob.post("/hub/api/users/eve/server"),
        await bob.delete("/hub/api/users/eve/server"),
        await bob.get("/hub/api/users/eve/server/progress"),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert rig.spawners.running() == ["eve/"]


async def test_a_named_server_is_made_started_stopped_and_removed(named: Rig) -> None:
    async with named.program(await named.token("bob")) as bob:
        made = await bob.put("/hub/api/users/bob/servers/work", json={"display_name": "My work"})
        twice = await bob.put("/hub/api/users/bob/servers/work")
        started = await bob.post("/hub/api/users/bob/servers/work")
        model = (await bob.get("/hub/api/users/bob/servers/work")).json()
        removed = await bob.request("DELETE", "/hub/api/users/bob/servers/work", json={"remove": True})
        gone = await bob.get("/hub/api/users/bob/servers/work")

    statuses = [answer.status_code for answer in (made, twice, started, removed, gone)]
    assert statuses == [201, 409, 201, 204, 404]
    assert (model["display_name"], model["url"], model["ready"]) == ("My work", "/user/bob/work/", True)


async def test_the_empty_name_is_the_default_server(rig: Rig, bob: httpx.AsyncClient) -> None:
    started = await bob.post("/hub/api/users/bob/servers/")

    assert started.status_code == 201
    assert rig.spawners.running() == ["bob/"]


@pytest.mark.parametrize("name", ["Work", "a--b", "-a", "a-", "a" * 31, "1a"])
async def test_a_bad_name_is_refused(named: Rig, name: str) -> None:
    async with named.program(await named.token("bob")) as bob:
        assert (await bob.post(f"/hub/api/users/bob/servers/{name}")).status_code == 400


async def test_named_servers_need_permission(bob: httpx.AsyncClient) -> None:
    answer = await bob.post("/hub/api/users/bob/servers/work")

    assert answer.status_code == 400
    assert answer.json()["message"] == "Named servers are not enabled."


async def test_the_default_server_cannot_be_removed(bob: httpx.AsyncClient) -> None:
    assert (await bob.request("DELETE", "/hub/api/users/bob/server", json={"remove": True})).status_code == 400


async def test_the_progress_of_a_ready_server_is_one_event(rig: Rig, bob: httpx.AsyncClient) -> None:
    await rig.start("bob")

    answer = await bob.get("/hub/api/users/bob/server/progress")

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.text.startswith("\n\n")
    last = events(answer.text)
    assert len(last) == 1
    assert last[0]["ready"]
    assert last[0]["url"] == "/user/bob/"


async def test_the_progress_of_a_failed_start_says_why(rig: Rig, bob: httpx.AsyncClient) -> None:
    rig.spawners.fail_with = "There is no space left."
    await bob.post("/hub/api/users/bob/server")

    last = events((await bob.get("/hub/api/users/bob/server/progress")).text)[-1]

    assert last["failed"]
    assert "There is no space left." in last["message"]


async def test_what_does_not_start_has_no_progress(rig: Rig, bob: httpx.AsyncClient) -> None:
    never = await bob.get("/hub/api/users/bob/server/progress")
    await rig.start("bob")
    await bob.delete("/hub/api/users/bob/server")

    assert never.status_code == 404
    assert (await bob.get("/hub/api/users/bob/server/progress")).status_code == 400


async def test_a_quiet_stream_shows_signs_of_life() -> None:
    release = asyncio.Event()

    async def slow() -> AsyncIterator[dict[str, Any]]:
        await release.wait()
        yield ProgressEvent(progress=100, message="ready", ready=True).to_json()

    stream = event_stream(slow(), keep_alive=0.001)
    quiet = [await anext(stream) for _ in range(3)]
    release.set()
    rest = [frame async for frame in stream]

    assert quiet == [b"\n\n"] * 3
    assert [frame for frame in rest if frame != b"\n\n"] == [
        b'data: {"progress": 100, "ready": true, "message": "ready"}\n\n'
    ]


async def test_a_server_that_is_removed_meanwhile_ends_the_stream() -> None:
    async def broken() -> AsyncIterator[dict[str, Any]]:
        yield ProgressEvent(progress=0, message="Server requested").to_json()
        raise NoSuchServer

    frames = [frame async for frame in event_stream(broken())]

    assert frames == [b"\n\n", b'data: {"progress": 0, "message": "Server requested"}\n\n']


POLICY = {"idle_seconds": 3600, "extend_seconds": 7200}


@pytest.fixture
async def culling(tasks: TaskGroup) -> Rig:
    """
    A hub that stops idle servers; named ones are allowed.
    """
    servers = ServerPolicy(allow_named_servers=True)
    rig = Rig(tasks=tasks, settings=make_settings(servers=servers, cull_policies=[POLICY]))
    for name in ("bob", "eve"):
        await rig.add_user(name)
    return rig


async def server_token(rig: Rig, name: str) -> str:
    """What the server of *name* has in its environment."""
    return await rig.token(name, rig.parts.roles.server_token_scopes)


@pytest.mark.parametrize(("name", "path"), [("", "server"), ("work", "servers/work")])
async def test_a_server_keeps_itself_with_its_own_token(culling: Rig, name: str, path: str) -> None:
    await culling.start("bob", name)
    async with culling.program(await server_token(culling, "bob")) as client:
        kept = await client.post(f"/hub/api/users/bob/{path}/keep")

    assert kept.status_code == 200
    assert kept.json() == {
        "stop_at": "2026-01-02T05:04:05.000000Z",
        "because": "nothing has run here for 2 hours",
        "warn_seconds": 300,
        "may_be_put_off": False,
    }


async def test_the_server_of_another_cannot_be_kept(culling: Rig) -> None:
    await culling.start("bob")
    async with culling.program(await culling.token("eve")) as client:
        answer = await client.post("/hub/api/users/bob/server/keep")

    assert answer.status_code == 404


async def test_a_server_that_does_not_run_cannot_be_kept(culling: Rig) -> None:
    async with culling.program(await culling.token("bob")) as client:
        missing = await client.post("/hub/api/users/bob/server/keep")
        await culling.start("bob")
        await client.delete("/hub/api/users/bob/server")
        stopped = await client.post("/hub/api/users/bob/server/keep")

    assert (missing.status_code, stopped.status_code) == (404, 400)


async def test_a_server_that_says_whether_it_is_busy_hears_until_when_it_is_kept(culling: Rig) -> None:
    await culling.start("bob")
    now = culling.clock.now().isoformat()
    async with culling.program(await server_token(culling, "bob")) as client:

        async def report(**ours: object) -> httpx.Response:
            body = {"last_activity": now, "servers": {"": {"last_activity": now, **ours}}}
            return await client.post("/hub/api/users/bob/activity", json=body)

        idle, busy, foreign = await report(busy=False), await report(busy=True), await report()

    assert idle.json()["servers"][""]["stop_at"] == "2026-01-02T04:04:05.000000Z"
    assert busy.json() == {"servers": {"": {}}}
    assert (foreign.status_code, foreign.content) == (200, b"")


async def test_without_a_policy_a_server_hears_that_it_is_kept(rig: Rig) -> None:
    await rig.start("bob")
    now = rig.clock.now().isoformat()
    async with rig.program(await server_token(rig, "bob")) as client:
        body = {"servers": {"": {"last_activity": now, "busy": False}}}
        answer = await client.post("/hub/api/users/bob/activity", json=body)

    assert answer.json() == {"servers": {"": {}}}


async def test_a_stopped_server_is_renamed_and_given_other_options(named: Rig) -> None:
    servers = "/hub/api/users/bob/servers"
    async with named.program(await named.token("bob")) as bob:
        made = await bob.put(f"{servers}/work")
        await bob.put(f"{servers}/taken")
        renamed = await bob.patch(f"{servers}/work", json={"name": "play", "user_options": {"a": 1}})
        shown = await bob.patch(f"{servers}/play", json={"display_name": "At play"})
        gone = await bob.get(f"{servers}/work")
        clash = await bob.patch(f"{servers}/play", json={"name": "taken"})

    assert made.json()["display_name"] == "work"
    model = renamed.json()
    assert (model["name"], model["full_name"], model["user_options"]) == ("play", "bob/play", {"a": 1})
    assert shown.json()["display_name"] == "At play"
    assert [answer.status_code for answer in (renamed, shown, gone, clash)] == [200, 200, 404, 409]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("servers/work", None, 400),
        ("servers/work", {}, 400),
        ("servers/work", {"nmae": "x"}, 400),
        ("servers/work", {"name": 7}, 400),
        ("servers/work", {"name": "Not A Name"}, 400),
        ("servers/work", {"user_options": []}, 400),
        ("servers/work", {"display_name": " outer "}, 400),
        ("servers/none", {"name": "x"}, 404),
        ("server", {"name": "x"}, 400),
    ],
)
async def test_a_change_that_cannot_be_is_refused(named: Rig, path: str, body: object, status: int) -> None:
    await named.start("bob")
    async with named.program(await named.token("bob")) as bob:
        await bob.put("/hub/api/users/bob/servers/work")

        assert (await bob.patch(f"/hub/api/users/bob/{path}", json=body)).status_code == status
