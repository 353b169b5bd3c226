"""
A server that fills its memory: its user is told before, and of what was killed after.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import ClientConnection

from perijove.kit import cgroups
from perijove.singleuser.memory import SCHEMA_ID
from perijove.spawners.launcher_client import LauncherClient
from perijove.wire.launcher import Launched, Limits
from tests.integration.singleuser.test_notebooks import PROGRAM, connect, execute
from tests.support.launcher import browser, end, eventually, launch_request, launched, needs_root

pytestmark = [
    *needs_root,
    pytest.mark.skipif(
        not any("memory" in tree.controllers for tree in cgroups.trees()), reason="no control groups for memory here"
    ),
]
MB = 2**20
LIMIT = 400 * MB


@pytest.fixture
async def server(client: LauncherClient) -> AsyncIterator[Launched]:
    _, before = await client.inspect("ada/")
    generation = before.generation + 1 if before else 1
    request = launch_request(generation=generation, limits=Limits(memory=LIMIT))
    running = await launched(client, request)
    yield running
    await end(client, running)


async def event(events: ClientConnection, *, warn: bool) -> str:
    """What a page is told of memory next, if it says so."""
    async with asyncio.timeout(30):
        while True:
            told = json.loads(await events.recv())
            if told["schema_id"] == SCHEMA_ID:
                assert told["warn"] is warn
                return str(told["message"])


async def test_its_user_is_warned_before_and_when_there_is_room_again(server: Launched) -> None:
    async with browser(server, PROGRAM) as visitor:
        kernel = (await visitor.post("/user/ada/api/kernels", json={"name": "python3"})).json()["id"]
        empty = (await visitor.get("/user/ada/perijove/memory")).json()
        room = LIMIT - empty["used"]
        fill = f"held = bytearray(b'x') * ({room} - 90 * 2**20); print(len(held))"
        async with (
            connect(server, "api/events/subscribe") as events,
            connect(server, f"api/kernels/{kernel}/channels") as socket,
        ):
            await execute(socket, fill)
            for _ in range(60):
                # By and by, as people do: what the kernel itself needs is not known to the byte.
                await execute(socket, "held += bytearray(b'x') * 2**20")
                if (await visitor.get("/user/ada/perijove/memory")).json()["used"] > 0.93 * LIMIT:
                    break
            warning = await event(events, warn=True)
            asked = (await visitor.get("/user/ada/perijove/memory")).json()
            await execute(socket, "del held")
            await event(events, warn=False)

    assert (empty["warn"], empty["limit"]) == (False, LIMIT)
    assert "of 400 MB of memory" in warning
    assert asked["warn"] is True


async def test_a_kernel_that_goes_beyond_is_killed_and_its_server_goes_on(
    client: LauncherClient, server: Launched
) -> None:
    async with browser(server, PROGRAM) as visitor:
        kernel = (await visitor.post("/user/ada/api/kernels", json={"name": "python3"})).json()["id"]
        async with connect(server, f"api/kernels/{kernel}/channels") as socket:
            header = {"msg_id": "1", "msg_type": "execute_request", "session": "s", "username": "", "version": "5.3"}
            content = {"code": "x = bytearray(b'x') * 2**30", "silent": False}
            message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
            await socket.send(json.dumps(message))

            async def was_restarted() -> bool:
                told = json.loads(await socket.recv())
                return bool(told["content"].get("execution_state") in ("restarting", "autorestarting"))

            await eventually(was_restarted)
        again = await visitor.get("/user/ada/api/kernels")
    running, _ = await client.inspect("ada/")

    assert again.status_code == 200
    assert running == server


async def test_where_there_is_no_limit_there_is_nothing_to_warn_of(client: LauncherClient) -> None:
    server = await launched(client, launch_request(server_name="free", environment={"PERIJOVE_AUDIENCE": "ada/"}))
    async with browser(server, PROGRAM) as visitor:
        answer = (await visitor.get("/user/ada/free/perijove/memory")).json()
    await end(client, server)

    assert (answer["warn"], answer["limit"]) == (False, 0)


@pytest.mark.parametrize("page", ["lab", "tree"])
async def test_pages_load_the_warning(server: Launched, page: str) -> None:
    async with browser(server, PROGRAM) as visitor:
        html = (await visitor.get(f"/user/ada/{page}")).text
        script = await visitor.get("/user/ada/lab/extensions/@perijove/memory/static/memory.js")

    assert "@perijove/memory" in html
    assert SCHEMA_ID in script.text
