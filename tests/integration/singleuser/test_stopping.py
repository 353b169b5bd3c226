"""
What a server's end looks like from inside: what it tells the hub, what it tells its pages.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from websockets.asyncio.client import connect as connection
from websockets.asyncio.client import unix_connect

from perijove.spawners.launcher_client import LauncherClient
from perijove.wire.identity import READ, WRITE
from perijove.wire.launcher import Launched
from tests.support.launcher import browser, end, eventually, identity, launch_request, launched

EXTENSION = "@perijove/stopping"
#: Made when the suite is collected, used when its turn comes.
PROGRAM = identity(sid="token:1", lifetime=24 * 3600)
_CONFIG = re.compile(r'<script id="jupyter-config-data"[^>]*>(.*?)</script>', re.DOTALL)


def connect(server: Launched, path: str) -> connection:
    uri = f"ws://hub.example/user/ada/{path}"
    return unix_connect(server.socket, uri=uri, additional_headers=dict(PROGRAM))


class Hub:
    """Hears of one server, and says when it is to be stopped."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.reports: list[dict[str, Any]] = []
        self.seconds = 20.0
        self.port = 0

    async def heard(self, count: int) -> None:
        """Until there are so many reports."""

        async def enough() -> bool:
            return len(self.reports) >= count

        await eventually(enough)

    async def busy(self) -> dict[str, Any] | None:
        """The last report, if it says that something runs."""
        return self.reports[-1] if self.reports[-1]["busy"] else None

    def _deadline(self) -> dict[str, Any]:
        at = (datetime.now(UTC) + timedelta(seconds=self.seconds)).isoformat()
        return {"stop_at": at, "because": "nothing ran", "warn_seconds": 60, "may_be_put_off": True}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        token = re.search(r"Authorization: token (\S+)", head)
        assert length is not None
        assert token is not None
        said = json.loads(await reader.readexactly(int(length[1])))
        path = head.split()[1]
        self.asked.append((path, token[1]))
        if path.endswith("/keep"):
            self.seconds = 3600.0
            body = self._deadline()
        else:
            self.reports.append(said["servers"][""])
            body = {"servers": {"": self._deadline()}}
        raw = json.dumps(body).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
        writer.close()


@asynccontextmanager
async def reporting(client: LauncherClient) -> AsyncIterator[tuple[Hub, Launched]]:
    """A server that reports every second to a hub that will stop it."""
    hub = Hub()
    listener = await asyncio.start_server(hub.answer, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    activity = {
        "JUPYTERHUB_ACTIVITY_URL": f"http://127.0.0.1:{port}/hub/api/users/ada/activity",
        "JUPYTERHUB_ACTIVITY_INTERVAL": "1",
    }
    _, before = await client.inspect("ada/")
    async with listener:
        request = launch_request(generation=before.generation + 1 if before else 1, environment=activity)
        server = await launched(client, request)
        try:
            yield hub, server
        finally:
            await end(client, server)


@pytest.mark.parametrize("page", ["lab", "tree"])
async def test_pages_load_the_warning_without_configuration(server: Launched, page: str) -> None:
    async with browser(server, identity()) as visitor:
        found = _CONFIG.search((await visitor.get(f"/user/ada/{page}")).text)
        assert found is not None
        config = json.loads(found[1])
        (ours,) = [item for item in config["federated_extensions"] if item["name"] == EXTENSION]
        script = await visitor.get(f"{config['fullLabextensionsUrl']}/{EXTENSION}/{ours['load']}")

    assert script.status_code == 200
    assert "javascript" in script.headers["content-type"]
    assert f"'{EXTENSION}'" in script.text


async def test_a_server_that_is_not_to_be_stopped_says_so(server: Launched) -> None:
    async with browser(server, identity()) as visitor:
        answer = await visitor.get("/user/ada/perijove/stopping")

    assert answer.json() == {"warn": False, "ask_again_seconds": 60}


@pytest.mark.parametrize(
    ("scope", "read", "keep"), [((), 403, 403), ((READ,), 200, 403), ((READ, WRITE), 200, 403)], ids=["", "r", "rw"]
)
async def test_only_whoever_may_run_code_may_keep_a_server(
    server: Launched, scope: tuple[str, ...], read: int, keep: int
) -> None:
    headers = identity(scope=scope, sid="token:1") if scope else None
    async with browser(server, headers) as visitor:
        answers = [
            await visitor.get("/user/ada/perijove/stopping"),
            await visitor.post("/user/ada/perijove/keep", json={}),
        ]

    assert [answer.status_code for answer in answers] == [read, keep]


async def test_a_click_in_the_page_asks_the_hub_with_the_servers_own_token(client: LauncherClient) -> None:
    async with reporting(client) as (hub, server), browser(server, PROGRAM) as visitor:

        async def warned() -> bool:
            return bool((await visitor.get("/user/ada/perijove/stopping")).json()["warn"])

        await eventually(warned)
        kept = (await visitor.post("/user/ada/perijove/keep", json={})).json()

    assert kept["warn"] is False
    assert kept["kept_until"]
    assert ("/hub/api/users/ada/server/keep", "secret-of-the-server") in hub.asked


async def test_a_hub_that_cannot_be_asked_is_a_503(server: Launched) -> None:
    async with browser(server, PROGRAM) as visitor:
        answer = await visitor.post("/user/ada/perijove/keep", json={})

    assert answer.status_code == 503


async def test_a_job_in_front_of_a_terminal_is_told_and_polling_is_not_activity(client: LauncherClient) -> None:
    async with reporting(client) as (hub, server), browser(server, PROGRAM) as visitor:
        name = (await visitor.post("/user/ada/api/terminals")).json()["name"]
        await hub.heard(2)
        used = hub.reports[-1]["last_activity"]
        for path in ("kernels", "sessions", "terminals", "contents?content=1"):
            await visitor.get(f"/user/ada/api/{path}")
        count = len(hub.reports)
        await hub.heard(count + 2)
        polled = hub.reports[-1]
        async with connect(server, f"terminals/websocket/{name}") as terminal:
            await terminal.send(json.dumps(["stdin", "sleep 60\r"]))
            busy = await eventually(hub.busy)

    assert (polled["busy"], polled["last_activity"]) == (False, used)
    assert busy["with"] == "terminal"
    assert busy["since"] <= busy["last_activity"]
