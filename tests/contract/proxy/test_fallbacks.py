"""
Targets that several processes can stand for, through every engine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.proxy.support import (
    UPGRADE,
    Connection,
    Site,
    accept_websocket,
    answering,
    echoing,
    listening,
    ok,
    request,
    serving,
)


def nobody() -> str:
    """An address at which connections are refused."""
    with listening() as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


async def test_a_route_keeps_and_shows_who_stands_in(site: Site) -> None:
    fallbacks = ["http://127.0.0.1:2", "http+unix://%2Fx"]
    await site.route("/user/ada", "http://127.0.0.1:1", fallbacks=fallbacks)
    listed = (await site.control("GET", "/api/routes")).json()

    assert listed["/user/ada"]["fallbacks"] == fallbacks


@pytest.mark.parametrize(
    ("fallbacks", "text"),
    [
        ("http://127.0.0.1:2", "'fallbacks' must be a list"),
        ([1], "'fallbacks' must be a list"),
        (None, "'fallbacks' must be a list"),
        (["http://127.0.0.1:2"] * 9, "at most 8"),
        (["ftp://x"], "A target must look like"),
        (["http://127.0.0.1:2/other"], "must have the path of 'target'"),
    ],
)
async def test_what_cannot_stand_in_is_refused(site: Site, fallbacks: Any, text: str) -> None:
    body = {"target": "http://127.0.0.1:1", "fallbacks": fallbacks}
    answers = [
        await site.control("POST", "/api/routes/x", body),
        await site.control("PUT", "/api/routes", {"/x": body}),
    ]

    assert [answer.status for answer in answers] == [400, 400]
    assert all(text in answer.body.decode() for answer in answers)
    assert (await site.control("GET", "/api/routes")).json() == {}


async def test_while_the_target_answers_nobody_else_is_asked(site: Site) -> None:
    async with serving(echoing(b"first:")) as first, serving(echoing(b"second:")) as second:
        await site.route("/", first.url, fallbacks=[second.url])
        answers = [(await site.ask(f"/{number}")).body[:6] for number in range(5)]

    assert answers == [b"first:"] * 5
    assert second.connections == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_next_is_asked_when_one_cannot_be_connected_to(site: Site, tmp_path: Path, method: str) -> None:
    missing = "http+unix://" + str(tmp_path / "missing").replace("/", "%2F")
    async with serving(answering(lambda _, body: ok(b"it was " + body))) as server:
        await site.route("/", nobody(), fallbacks=[missing, server.url])
        answers = [await site.ask("/x", method=method, body=b"said") for _ in range(5)]

    assert [(answer.status, answer.body) for answer in answers] == [(200, b"it was said")] * 5


async def test_a_websocket_goes_to_who_stands_in(site: Site) -> None:
    async def accept(connection: Connection) -> None:
        await accept_websocket(connection, await connection.reader.readuntil(b"\r\n\r\n"))

    async with serving(accept) as server:
        await site.route("/", nobody(), fallbacks=[server.url])
        client = await site.connect()
        client.send(request("/ws", *UPGRADE))
        answer = await client.response()
        client.send(b"hello")

        assert (answer.status, await client.read(5)) == (101, b"hello")

        await site.control("DELETE", "/api/routes/")

        assert await client.is_closed()


async def test_when_nobody_is_there_it_is_a_503(site: Site) -> None:
    await site.route("/user/ada", nobody(), fallbacks=[nobody()])
    answer = await site.ask("/user/ada")

    assert answer.status == 503


async def test_requests_go_on_when_a_server_is_killed(site: Site) -> None:
    async with serving(echoing(b"second:")) as second:
        async with serving(echoing(b"first:")) as first:
            await site.route("/", first.url, fallbacks=[second.url])
            client = await site.connect()
            client.send(request("/before"))
            before = await client.response()
        answers = []
        for number in range(20):
            client.send(request(f"/{number}"))
            answers.append(await client.response())

    assert before.body.startswith(b"first:")
    assert [(answer.status, answer.body[:7]) for answer in answers] == [(200, b"second:")] * 20


async def test_a_replaced_stand_in_is_asked_no_more(site: Site) -> None:
    dead = nobody()
    async with serving(echoing(b"old:")) as old, serving(echoing(b"new:")) as new:
        await site.route("/", dead, fallbacks=[old.url])
        client = await site.connect()
        client.send(request("/1"))
        before = await client.response()
        await site.route("/", dead, fallbacks=[new.url])
        client.send(request("/2"))
        after = await client.response()

    assert (before.body[:4], after.body[:4]) == (b"old:", b"new:")
