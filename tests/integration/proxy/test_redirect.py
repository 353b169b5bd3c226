"""
The port for plain HTTP beside https, over real sockets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from perijove.proxy.net.redirect import MAX_OPEN, STREAM_LIMIT, Redirects
from perijove.proxy.net.single import SingleRequestServer
from tests.integration.proxy.support import Connection, request, until


@asynccontextmanager
async def redirecting(
    *, challenges: Path | None = None, patience: float = 5.0, has_certificate: Callable[[], bool] = lambda: True
) -> AsyncIterator[tuple[SingleRequestServer, Callable[[], Awaitable[Connection]]]]:
    """A server, and what connects to it."""
    answers = Redirects(port=8443, challenges=challenges, has_certificate=has_certificate)
    redirects = SingleRequestServer(answer=answers.answer, patience=patience, most=MAX_OPEN)
    server = await asyncio.start_server(redirects.handle, "127.0.0.1", 0, limit=STREAM_LIMIT)
    port = server.sockets[0].getsockname()[1]
    opened: list[Connection] = []

    async def connect() -> Connection:
        opened.append(Connection(*await asyncio.open_connection("127.0.0.1", port)))
        return opened[-1]

    try:
        yield redirects, connect
    finally:
        server.close()
        redirects.close()
        for client in opened:
            await client.gone()
        await until_closed(redirects)


async def until_closed(redirects: SingleRequestServer) -> None:
    await until(lambda: not redirects._open)


async def test_a_browser_is_sent_to_https() -> None:
    async with redirecting() as (_, connect):
        client = await connect()
        client.send(request("/user/ada/lab?x=1", host="hub.example.org:80"))
        response = await client.response()

        assert response.status == 301
        assert response.field("location") == "https://hub.example.org:8443/user/ada/lab?x=1"
        assert response.field("connection") == "close"
        assert await client.is_closed()


async def test_a_large_upload_learns_where_it_belongs() -> None:
    """
    What nobody reads must not turn the answer into a reset.
    """
    async with redirecting() as (_, connect):
        client = await connect()
        client.send(request("/", method="POST", body=b"x" * 1_000_000))

        assert (await client.response()).status == 308


async def test_a_challenge_is_answered_as_soon_as_its_file_is_there(tmp_path: Path) -> None:
    async with redirecting(challenges=tmp_path) as (_, connect):
        statuses = []
        for text in (None, "abc.thumb"):
            if text:
                (tmp_path / "abc").write_text(text)
            client = await connect()
            client.send(request("/.well-known/acme-challenge/abc"))
            response = await client.response()
            statuses.append(response.status)

        assert statuses == [404, 200]
        assert response.body == b"abc.thumb"


async def test_no_other_file_is_ever_an_answer(tmp_path: Path) -> None:
    challenges = tmp_path / "challenges"
    challenges.mkdir()
    (tmp_path / "secret").write_text("s")
    (challenges / "link").symlink_to(tmp_path / "secret")
    async with redirecting(challenges=challenges) as (_, connect):
        for name in ("link", "../secret", "..%2fsecret", ".", "%2e%2e/secret"):
            client = await connect()
            client.send(request(f"/.well-known/acme-challenge/{name}"))

            assert (await client.response()).status == 404, name


async def test_without_certificates_of_its_own_there_are_no_challenges() -> None:
    async with redirecting() as (_, connect):
        client = await connect()
        client.send(request("/.well-known/acme-challenge/abc"))

        assert (await client.response()).status == 404


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * STREAM_LIMIT + b"\r\n\r\n", 431),
    ],
    ids=["tls", "no host", "two hosts", "too large"],
)
async def test_what_is_no_request_is_refused(sent: bytes, status: int) -> None:
    async with redirecting() as (_, connect):
        client = await connect()
        client.send(sent)

        assert (await client.response()).status == status


async def test_a_slow_client_is_cut() -> None:
    async with redirecting(patience=0.2) as (_, connect):
        client = await connect()
        client.send(b"GET / HT")
        begin = time.monotonic()

        assert await client.is_closed()
        assert time.monotonic() - begin < 5


async def test_more_than_the_limit_are_not_served_at_once() -> None:
    async with redirecting() as (redirects, connect):
        silent = [await connect() for _ in range(MAX_OPEN)]
        await until(lambda: len(redirects._open) == MAX_OPEN)
        one_more = await connect()
        one_more.send(request("/"))

        assert await one_more.is_closed()
        assert not silent[0].reader.at_eof()
