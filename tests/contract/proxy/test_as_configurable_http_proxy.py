"""
What configurable-http-proxy promises its users, asked of this proxy as a process with that program's own flags.

With PERIJOVE_TEST_CHP=/path/to/configurable-http-proxy the same is asked of that program: the claims are its own.
"""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.proxy.support import (
    PATIENCE,
    UPGRADE,
    Connection,
    Response,
    answering,
    echoing,
    listening,
    ok,
    request,
    serving,
    websocket,
)
from tests.integration.proxy.test_process import AUTH, COMMAND, ask, process

CHP = os.environ.get("PERIJOVE_TEST_CHP", "")
PROGRAMS = {"perijove": COMMAND} | ({"configurable-http-proxy": (CHP,)} if CHP else {})


@dataclass
class Site:
    """A proxy that runs."""

    port: int
    api_port: int
    process: Process

    async def ask(self, target: str, *lines: str, method: str = "GET") -> Response:
        return await ask(self.port, target, *lines, method=method)

    async def api(self, method: str, path: str, content: Any = None) -> Response:
        return await ask(self.api_port, f"/api/routes{path}", AUTH, method=method, content=content)

    async def route(self, path: str, target: str, **more: Any) -> None:
        assert (await self.api("POST", path, {"target": target, "access": "open", **more})).status == 201

    async def last_activity(self, path: str) -> str:
        return str((await self.api("GET", path)).json()["last_activity"])


def free_port() -> int:
    with listening() as sock:
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return PROGRAMS[request.param]


@asynccontextmanager
async def site(program: tuple[str, ...], *flags: str) -> AsyncIterator[Site]:
    port, api_port = free_port(), free_port()
    words = ("--ip", "127.0.0.1", "--port", str(port), "--api-ip", "127.0.0.1", "--api-port", str(api_port))
    async with process(*words, "--log-level", "error", *flags, command=program) as child:
        found = Site(port=port, api_port=api_port, process=child)
        async with asyncio.timeout(PATIENCE):
            for where in (port, api_port):
                while not await _listens(where):
                    assert child.returncode is None
                    await asyncio.sleep(0.05)
        yield found


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def fields(head: bytes) -> dict[str, str]:
    """The fields of the head that a server got, names in lower case."""
    pairs = (line.partition(":") for line in head.decode().split("\r\n")[1:])
    return {name.lower(): value.strip() for name, _, value in pairs if name}


async def test_a_server_is_told_who_asks(program: tuple[str, ...]) -> None:
    async with serving(echoing()) as server, site(program) as proxy:
        await proxy.route("/", server.url)
        got = fields((await proxy.ask("/x")).body)

    assert got["x-forwarded-for"] == "127.0.0.1"
    assert got["x-forwarded-proto"] == "http"
    assert got["x-forwarded-host"] == got["host"] == "hub.example.org"
    assert got["x-forwarded-port"] == "80"


async def test_what_a_forwarder_says_is_appended_to(program: tuple[str, ...]) -> None:
    """
    Here only a forwarder that is trusted is believed; there everybody is.
    """
    trust = ("--trusted-forwarders", "127.0.0.1") if program is COMMAND else ()
    said = [f"X-Forwarded-{text}" for text in ("For: 198.51.100.1", "Proto: https", "Host: outer", "Port: 443")]
    async with serving(echoing()) as server, site(program, *trust) as proxy:
        await proxy.route("/", server.url)
        got = fields((await proxy.ask("/x", *said)).body)

    assert got["x-forwarded-for"] == "198.51.100.1,127.0.0.1"
    assert got["x-forwarded-proto"] == "https,http"
    assert got["x-forwarded-port"] == "443,80"
    assert got["x-forwarded-host"] == "outer"


async def test_nobody_is_told_without_x_forward(program: tuple[str, ...]) -> None:
    async with serving(echoing()) as server, site(program, "--no-x-forward") as proxy:
        await proxy.route("/", server.url)
        got = fields((await proxy.ask("/x")).body)

    assert [name for name in got if name.startswith("x-forwarded")] == []


@pytest.mark.parametrize(
    ("flags", "path"),
    [
        ((), "/base/user/ada/c%20d?q=1"),
        (("--no-prepend-path",), "/user/ada/c%20d?q=1"),
        (("--no-include-prefix",), "/base/c%20d?q=1"),
        (("--no-include-prefix", "--no-prepend-path"), "/c%20d?q=1"),
    ],
)
async def test_paths_of_route_and_target(program: tuple[str, ...], flags: tuple[str, ...], path: str) -> None:
    async with serving(echoing()) as server, site(program, *flags) as proxy:
        await proxy.route("/user/ada", f"{server.url}/base")
        line = (await proxy.ask("/user/ada/c%20d?q=1")).body.partition(b"\r\n")[0]

    assert line.decode() == f"GET {path} HTTP/1.1"


async def test_the_longest_route_of_whole_segments_wins(program: tuple[str, ...]) -> None:
    async with serving(echoing(b"one")) as one, serving(echoing(b"two")) as two, site(program) as proxy:
        await proxy.route("/", one.url)
        await proxy.route("/user/echo", two.url)
        answers = [(await proxy.ask(path)).body[:3] for path in ("/user/echo", "/user/echo/x", "/user/echoX", "/user")]

    assert answers == [b"two", b"two", b"one", b"one"]


async def test_hosts_can_be_routes(program: tuple[str, ...]) -> None:
    async with serving(echoing()) as server, site(program, "--host-routing") as proxy:
        await proxy.route("/hub.example.org", server.url)
        known, unknown = await proxy.ask("/x"), await ask(proxy.port, "/x")

    assert (known.status, known.body[:6]) == (200, b"GET /x")
    assert unknown.status == 200


@pytest.mark.parametrize(("status", "counts"), [(b"200 OK", True), (b"302 Found", False), (b"500 Error", False)])
async def test_only_success_is_activity(program: tuple[str, ...], status: bytes, *, counts: bool) -> None:
    handler = answering(lambda _head, _body: ok(b"x", status=status))
    async with serving(handler) as server, site(program) as proxy:
        await proxy.route("/user/ada", server.url)
        before = await proxy.last_activity("/user/ada")
        await asyncio.sleep(0.05)
        await proxy.ask("/user/ada/x")
        after = await proxy.last_activity("/user/ada")

    assert (after > before) is counts


async def test_messages_in_a_websocket_are_activity(program: tuple[str, ...]) -> None:
    async with serving(websocket) as server, site(program) as proxy:
        await proxy.route("/user/ada", server.url)
        client = Connection(*await asyncio.open_connection("127.0.0.1", proxy.port))
        client.send(request("/user/ada/ws", *UPGRADE))
        await client.read_head()
        await asyncio.sleep(0.05)
        before = await proxy.last_activity("/user/ada")
        await asyncio.sleep(0.05)
        client.send(b"hello")
        assert await client.read(5) == b"hello"
        after = await proxy.last_activity("/user/ada")
        await client.gone()

    assert after > before


async def test_what_only_the_server_says_in_a_websocket_is_activity_too() -> None:
    """
    There (5.3) it is not: a server whose cell runs and prints would be culled as idle.
    """
    speak = asyncio.Event()

    async def talk(connection: Connection) -> None:
        await connection.reader.readuntil(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        await speak.wait()
        connection.send(b"hello")
        await connection.read_all()

    async with serving(talk) as server, site(COMMAND) as proxy:
        await proxy.route("/user/ada", server.url)
        client = Connection(*await asyncio.open_connection("127.0.0.1", proxy.port))
        client.send(request("/user/ada/ws", *UPGRADE))
        await client.read_head()
        await asyncio.sleep(0.05)
        before = await proxy.last_activity("/user/ada")
        await asyncio.sleep(0.05)
        speak.set()
        assert await client.read(5) == b"hello"
        after = await proxy.last_activity("/user/ada")
        await client.gone()

    assert after > before


async def test_inactive_routes_are_found_by_a_moment(program: tuple[str, ...]) -> None:
    async with site(program) as proxy:
        await proxy.route("/user/ada", "http://127.0.0.1:1")
        future = await proxy.api("GET", "?inactive_since=2999-01-01T00:00:00.000Z")
        past = await proxy.api("GET", "?inactiveSince=2001-01-01T00:00:00.000Z")
        wrong = await proxy.api("GET", "?inactive_since=nonsense")

    assert (list(future.json()), list(past.json())) == (["/user/ada"], [])
    assert (wrong.status, wrong.body) == (400, b"Invalid datestamp 'nonsense' must be ISO8601.")


async def test_routes_come_and_go(program: tuple[str, ...]) -> None:
    body = {"target": "http://127.0.0.1:1", "user": "a b", "jupyterhub": True}
    async with site(program) as proxy:
        added = await proxy.api("POST", "/user/a%20b", body)
        listed = (await proxy.api("GET", "")).json()
        removed = await proxy.api("DELETE", "/user/a%20b")
        again = await proxy.api("DELETE", "/user/a%20b")
        missing = await proxy.api("GET", "/user/a%20b")
        wrong = await proxy.api("POST", "/x", {"port": 1})
        stranger = await ask(proxy.api_port, "/api/routes", "Authorization: token wrong")

    assert [added.status, removed.status, again.status, missing.status] == [201, 204, 404, 404]
    assert list(listed) == ["/user/a b"]
    assert {name: value for name, value in listed["/user/a b"].items() if name != "last_activity"} == body
    assert (wrong.status, wrong.body) == (400, b"Must specify 'target' as string")
    assert (stranger.status, stranger.body) == (403, b"")


async def test_error_pages_are_asked_for(program: tuple[str, ...]) -> None:
    """
    The page of the hub, with the status of what went wrong.
    """
    heads: list[bytes] = []
    handler = answering(lambda _head, _body: ok(b"<p>page", b"Content-Type: text/html"), heads)
    async with serving(handler) as hub, site(program, "--error-target", f"{hub.url}/hub/error") as proxy:
        await proxy.route("/down", "http://127.0.0.1:1")
        missing, down = await proxy.ask("/nowhere?x=1"), await proxy.ask("/down/x")

    assert (missing.status, missing.body) == (404, b"<p>page")
    assert (down.status, down.body) == (503, b"<p>page")
    assert [head.split()[1] for head in heads] == [
        b"/hub/error/404?url=%2Fnowhere%3Fx%3D1",
        b"/hub/error/503?url=%2Fdown%2Fx",
    ]


async def test_error_pages_can_be_files(program: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "404.html").write_text("<p>none")
    (tmp_path / "error.html").write_text("<p>broken")
    async with site(program, "--error-path", str(tmp_path)) as proxy:
        await proxy.route("/down", "http://127.0.0.1:1")
        missing, down = await proxy.ask("/nowhere"), await proxy.ask("/down")

    assert [(answer.status, answer.body) for answer in (missing, down)] == [(404, b"<p>none"), (503, b"<p>broken")]


async def test_a_websocket_that_leads_nowhere_is_a_503(program: tuple[str, ...]) -> None:
    async with site(program) as proxy:
        await proxy.route("/down", "http://127.0.0.1:1")
        answer = await proxy.ask("/down/ws", *UPGRADE)

    assert answer.status == 503


async def test_it_says_that_it_is_well(program: tuple[str, ...]) -> None:
    async with site(program) as proxy:
        answer = await proxy.ask("/_chp_healthz")

    assert (answer.status, answer.json()) == (200, {"status": "OK"})


async def test_servers_can_be_asked_by_their_own_name_and_with_more_headers(program: tuple[str, ...]) -> None:
    async with serving(echoing()) as server, site(program, "--change-origin", "--custom-header", "X-Team: a") as proxy:
        await proxy.route("/", server.url)
        got = fields((await proxy.ask("/x", "X-Team: b")).body)

    assert got["host"] == server.url.removeprefix("http://")
    assert got["x-team"] == "a"


async def test_redirects_can_be_rewritten(program: tuple[str, ...]) -> None:
    locations: list[bytes] = []

    def answer(_head: bytes, _body: bytes) -> bytes:
        return ok(b"", b"Location: " + locations[0] + b"/there", status=b"302 Found")

    # Asked with a port: there a host without one would keep the server's.
    flags = ("--auto-rewrite", "--protocol-rewrite", "https")
    async with serving(answering(answer)) as server, site(program, *flags) as proxy:
        locations.append(server.url.encode())
        await proxy.route("/", server.url)
        client = Connection(*await asyncio.open_connection("127.0.0.1", proxy.port))
        client.send(request("/here", host="hub.example.org:8443"))
        moved = await client.response()
        await client.gone()

    assert moved.field("location") == "https://hub.example.org:8443/there"


async def test_its_metrics_have_its_names(program: tuple[str, ...]) -> None:
    metrics = free_port()
    async with (
        serving(echoing()) as server,
        site(program, "--metrics-ip", "127.0.0.1", "--metrics-port", str(metrics)) as proxy,
    ):
        await proxy.route("/", server.url)
        await proxy.ask("/x")
        text = (await ask(metrics, "/metrics")).body.decode()

    assert "\napi_route_add 1" in text
    assert "\nrequests_web 1" in text
    assert '\nrequests_proxy{status="200"} 1' in text
    assert '\nrequests_api{status="201"} 1' in text
    assert "\nfind_target_for_req_count 1" in text
