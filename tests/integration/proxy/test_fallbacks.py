"""
Several processes for one target: who is asked when, and for how long nobody is.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from perijove.kit.jws import SigningKey
from perijove.proxy.core import outages
from perijove.proxy.core.limits import Limits
from perijove.proxy.core.targets import parse_target
from perijove.proxy.net.timeouts import Timeouts
from tests.integration.proxy.support import (
    PATIENCE,
    UPGRADE,
    Connection,
    Site,
    answering,
    echoing,
    identity,
    listening,
    ok,
    request,
    running,
    serving,
    websocket,
)
from tests.integration.proxy.test_process import process, started

KEY = SigningKey.generate()
#: With these, whoever waits for a server that says nothing waits longer than a test may take.
ENDLESS = Timeouts(connect=3600, hub=3600)


def nobody() -> str:
    """An address at which connections are refused."""
    with listening() as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def deaf() -> Iterator[str]:
    """An address at which nothing is said to whoever connects: its queue is full."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(sock.getsockname())
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        for one in waiting:
            one.close()


async def silent(connection: Connection) -> None:
    """A server that reads and never answers."""
    await connection.read_all()


async def test_a_server_that_does_not_say_a_word_is_not_waited_for(deaf: str) -> None:
    async with serving(echoing()) as server, running(timeouts=ENDLESS) as proxy:
        await proxy.route("/", deaf, fallbacks=[server.url])

        answers = [await proxy.ask(f"/{number}") for number in range(3)]

    assert [answer.status for answer in answers] == [200] * 3


async def test_many_at_once_all_reach_who_stands_in(deaf: str) -> None:
    async with serving(echoing()) as server, running(timeouts=ENDLESS) as proxy:
        await proxy.route("/", deaf, fallbacks=[server.url])

        answers = await asyncio.gather(*(proxy.ask(f"/{number}", method="POST", body=b"x") for number in range(30)))

    assert [answer.status for answer in answers] == [200] * 30


async def test_a_target_that_is_back_is_the_first_choice_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "SILENT_SECONDS", 0.1)
    async with serving(echoing(b"second:")) as second, running() as proxy:
        async with serving(echoing(b"first:")) as first:
            port = int(first.url.rpartition(":")[2])
        await proxy.route("/", first.url, fallbacks=[second.url])
        away = await proxy.ask("/away")
        async with serving(echoing(b"first:"), port=port), asyncio.timeout(PATIENCE):
            while not (await proxy.ask("/back")).body.startswith(b"first:"):
                pass

    assert away.body.startswith(b"second:")


async def test_who_stands_in_has_room_for_as_many_as_it_may() -> None:
    """
    What is open is counted at the server where it is, and given back there.
    """
    dead = nobody()
    async with serving(websocket) as server, running(limits=Limits(per_target=1)) as proxy:
        await proxy.route("/", dead, fallbacks=[server.url])
        statuses = []
        for is_last in (False, True):
            one, more = await proxy.connect(), await proxy.connect()
            one.send(request("/ws", *UPGRADE))
            statuses.append((await one.response()).status)
            more.send(request("/x"))
            statuses.append((await more.response()).status)
            one.close()
            if not is_last:
                await proxy.until(lambda seen: seen.gauges.tunnels == 0)

    assert statuses == [101, 503, 101, 503]


@pytest.mark.parametrize("is_there", [False, True], ids=["refuses", "never answers"])
async def test_the_door_asks_the_hub_that_answers(*, is_there: bool) -> None:
    statement = identity(KEY)
    said = ok(json.dumps({"identity": statement, "expires_in": 300}).encode())
    seen: list[bytes] = []
    async with serving(silent) as dumb, serving(answering(lambda _, __: said, seen)) as hub, serving(echoing()) as ada:
        urls = [dumb.url if is_there else nobody(), hub.url]
        hubs = tuple(parse_target(f"{url}/hub/") for url in urls)
        async with running(hubs=hubs, timeouts=ENDLESS) as proxy:
            await proxy.control("PUT", "/api/keys", {"keys": [KEY.public_jwk]})
            await proxy.route("/user/ada", ada.url, access="gated", audience="ada/")

            answers = [await proxy.ask("/user/ada/x", f"Authorization: token t{number}") for number in range(3)]

    assert [answer.status for answer in answers] == [200] * 3
    assert len(seen) == 3


async def test_an_error_page_comes_from_who_has_one(deaf: str) -> None:
    page = ok(b"<h1>sorry</h1>", b"Content-Type: text/html")
    async with serving(answering(lambda _, __: page)) as hub:
        targets = tuple(parse_target(f"{url}/hub/error") for url in (deaf, hub.url))
        async with running(error_targets=targets, timeouts=ENDLESS) as proxy:
            answer = await proxy.ask("/nowhere")

    assert (answer.status, answer.body) == (404, b"<h1>sorry</h1>")


@pytest.mark.parametrize("is_file", [False, True], ids=["flags", "file"])
async def test_several_targets_are_said_one_by_one(tmp_path: Path, *, is_file: bool) -> None:
    fds = {"public": listening(), "control": listening()}
    ports = [sock.getsockname()[1] for sock in fds.values()]
    dead, settings = nobody(), tmp_path / "proxy.toml"
    async with serving(echoing()) as server:
        settings.write_text(f'default-target = ["{dead}", "{server.url}"]\nerror-target = "{server.url}/error"\n')
        flags = ["--default-target", dead, "--default-target", server.url, "--error-target", f"{server.url}/error"]
        flags = ["--config", str(settings)] if is_file else flags
        async with process(*flags, "--workers", "1", "--log-level", "debug", fds=fds) as child:
            for sock in fds.values():
                sock.close()
            await started(child)
            site = Site(port=ports[0], control_port=ports[1])
            answer = await site.ask("/x")
            routes = (await site.control("GET", "/api/routes")).json()
            await site.control("DELETE", "/api/routes/")
            page = await site.ask("/nowhere")
            child.terminate()

    assert answer.status == 200
    assert (routes["/"]["target"], routes["/"]["fallbacks"]) == (dead, [server.url])
    assert page.status == 404
    assert b"GET /error/404" in page.body
