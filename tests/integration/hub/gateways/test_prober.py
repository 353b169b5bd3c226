from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from perijove.hub.gateways.prober import HttpProber
from tests.support.certificates import Authority

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def server(path: Path, answers: Sequence[bytes]) -> AsyncIterator[list[bytes]]:
    """Answers one connection after the other, the last answer for all that follow."""
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answers[min(len(heads), len(answers)) - 1])
        writer.close()

    listening = await asyncio.start_unix_server(answer, path)
    async with listening:
        yield heads


def target(path: Path) -> str:
    return f"http+unix://{quote(str(path), safe='')}"


async def probe(where: str, timeout: float = 5) -> bool:
    return await HttpProber().wait_until_answers(where, "/user/ada/api", timeout=timeout)


@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"403 Forbidden", b"404 Not Found"])
async def test_any_status_below_500_is_an_answer(tmp_path: Path, status: bytes) -> None:
    async with server(tmp_path / "s", [b"HTTP/1.1 " + status + b"\r\n\r\n"]) as heads:
        assert await probe(target(tmp_path / "s"))

    assert heads[0].startswith(b"GET /user/ada/api HTTP/1.1\r\nHost: localhost\r\n")


async def test_errors_hang_ups_and_nonsense_are_tried_again(tmp_path: Path) -> None:
    not_yet = [b"HTTP/1.1 503 Not Yet\r\n\r\n", b"", b"SSH-2.0-OpenSSH\r\n", OK]

    async with server(tmp_path / "s", not_yet) as heads:
        assert await probe(target(tmp_path / "s"))

    assert len(heads) == 4


async def test_interim_answers_are_read_over(tmp_path: Path) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"

    async with server(tmp_path / "s", [early + OK]) as heads:
        assert await probe(target(tmp_path / "s"))

    assert len(heads) == 1


async def test_a_socket_that_appears_later_is_found(tmp_path: Path) -> None:
    waiting = asyncio.ensure_future(probe(target(tmp_path / "s")))  # noqa: TID251  # the test's own task
    await asyncio.sleep(0.05)

    async with server(tmp_path / "s", [OK]):
        assert await waiting


async def test_tcp_works_too() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]

        assert await probe(f"http://127.0.0.1:{port}")


async def test_silence_ends_with_the_timeout(tmp_path: Path) -> None:
    assert not await probe(target(tmp_path / "nobody"), timeout=0.05)


async def test_a_server_with_a_certificate_is_asked_over_tls(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    authority, stranger = (Authority(tmp_path / name) for name in ("ours", "theirs"))
    files = authority.issue("localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.cert, files.key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    async with await asyncio.start_server(answer, "localhost", 0, ssl=context) as listening:
        where = f"https://localhost:{listening.sockets[0].getsockname()[1]}"

        assert await HttpProber(str(authority.path)).wait_until_answers(where, "/", timeout=5)
        assert not await HttpProber(str(stranger.path)).wait_until_answers(where, "/", timeout=0.5)
