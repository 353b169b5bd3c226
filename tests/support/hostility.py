"""
Clients and servers that go away at the worst moment: what tests and soaks do to a proxy, by name.

A client here leaves nothing open on its own side. What it asks for below `/user/ada/` names what the server
does: see `misbehave`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

from tests.integration.proxy.support import UPGRADE, Connection, ok, request

Open = Callable[[], Awaitable[Connection]]
Client = Callable[[Open], Awaitable[None]]

#: Seconds in which what has been sent has most likely got to where it should be.
A_MOMENT: Final = 0.02
_LARGE: Final = 20_000_000
_BODY: Final = b"x" * 1000


#: What a server sends, and whether it then goes on with the connection.
_SAYS: Final[Mapping[bytes, tuple[bytes, bool]]] = {
    b"closes": (b"", False),
    b"half-head": (b"HTTP/1.1 200 OK\r\nContent-Le", False),
    b"half-body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", False),
    b"last": (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", False),
    b"garbage": (os.urandom(2000) + b"\r\n\r\n", True),
    b"more": (ok(b"yes") + ok(b"planted"), True),
}


async def misbehave(connection: Connection) -> None:
    """A server: does what the last segment of the path names, request after request."""
    goes_on = True
    while goes_on:
        head = await connection.reader.readuntil(b"\r\n\r\n")
        what = head.split(b" ")[1].rpartition(b"/")[2]
        if what in _DOES:
            await _DOES[what](connection)
            return
        answer, goes_on = _SAYS.get(what, (ok(b"yes"), True))
        connection.send(answer)


async def _say_nothing(connection: Connection) -> None:
    await connection.read_all()


async def _hear_nothing(connection: Connection) -> None:
    transport = connection.writer.transport
    transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(10 * A_MOMENT)
    transport.resume_reading()  # type: ignore[attr-defined]
    while await connection.read_some():
        pass


async def _say_much(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % _LARGE)
    for _ in range(_LARGE // 100_000):
        connection.send(b"x" * 100_000)
        await connection.writer.drain()


async def _reset(connection: Connection) -> None:
    connection.reset()


async def _break(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
    await connection.writer.drain()
    connection.reset()


async def _refuse(connection: Connection) -> None:
    connection.send(ok(b"no", status=b"413 X"))
    await connection.read_all()


async def _echo(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    while data := await connection.reader.read(65536):
        connection.send(data)


async def _reset_tunnel(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    await connection.reader.read(65536)
    connection.reset()


_DOES: Final[Mapping[bytes, Callable[[Connection], Awaitable[None]]]] = {
    b"silent": _say_nothing,
    b"deaf": _hear_nothing,
    b"large": _say_much,
    b"resets": _reset,
    b"resets-half-body": _break,
    b"early": _refuse,
    b"tunnel": _echo,
    b"tunnel-resets": _reset_tunnel,
}


def _ask(what: str, *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
    return request(f"/user/ada/{what}", *lines, method=method, body=body)


def _then(sent: bytes, leave: Callable[[Connection], None], *, waits: bool = True) -> Client:
    """A client that sends, waits a moment, and leaves."""

    async def play(connect: Open) -> None:
        client = await connect()
        client.send(sent)
        if waits:
            await asyncio.sleep(A_MOMENT)
        leave(client)
        with suppress(OSError):
            await client.writer.wait_closed()

    return play


def _hear(sent: bytes, *, ends: bool = False) -> Client:
    """A client that sends and then takes what comes, to the end or the next second."""

    async def play(connect: Open) -> None:
        client = await connect()
        client.send(sent)
        if ends:
            client.end()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await client.reader.read()
        await client.gone()

    return play


async def _stops_reading(connect: Open) -> None:
    client = await connect()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    client.send(_ask("large"))
    await asyncio.sleep(5 * A_MOMENT)
    client.reset()


async def _uploads_to_the_deaf(connect: Open) -> None:
    client = await connect()
    client.send(b"POST /user/ada/deaf HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n")
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(5 * A_MOMENT):
            for _ in range(200):
                client.send(b"x" * 100_000)
                await client.writer.drain()
    client.reset()


async def _tunnels(connect: Open) -> None:
    client = await connect()
    client.send(_ask("tunnel", *UPGRADE))
    with suppress(OSError, asyncio.IncompleteReadError):
        await client.read_head()
        client.send(_BODY)
        await client.read(len(_BODY))
    client.reset()


async def _ends_in_a_tunnel(connect: Open) -> None:
    client = await connect()
    client.send(_ask("tunnel", *UPGRADE) + b"ahead")
    with suppress(OSError, asyncio.IncompleteReadError):
        await client.read_head()
        client.end()
        await client.read_all()
    await client.gone()


_UPLOAD: Final = b"POST /user/ada/silent HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome"
_CHUNKED: Final = b"POST /user/ada/silent HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"

#: Every client, by what it does.
CLIENTS: Final[Mapping[str, Client]] = {
    "resets at once": _then(b"", Connection.reset, waits=False),
    "closes at once": _then(b"", Connection.close, waits=False),
    "resets after a moment": _then(b"", Connection.reset),
    "resets in a head": _then(_ask("x")[:20], Connection.reset),
    "ends in a head": _hear(_ask("x")[:20], ends=True),
    "resets in a body": _then(_UPLOAD, Connection.reset),
    "ends in a body": _hear(_UPLOAD, ends=True),
    "resets in a chunk": _then(_CHUNKED, Connection.reset),
    "resets while it waits": _then(_ask("silent"), Connection.reset),
    "closes while it waits": _then(_ask("silent"), Connection.close),
    "resets before anybody has looked": _then(_ask("silent"), Connection.reset, waits=False),
    "resets in an answer": _then(_ask("large"), Connection.reset),
    "stops reading": _stops_reading,
    "uploads to a server that does not read": _uploads_to_the_deaf,
    "resets in a tunnel": _tunnels,
    "ends in a tunnel": _ends_in_a_tunnel,
    "resets while an upgrade waits": _then(_ask("silent", *UPGRADE), Connection.reset),
    "sends ahead and resets": _then(_ask("x") * 200, Connection.reset),
    "sends far ahead and resets": _then(_ask("silent") + _ask("x") * 2000, Connection.reset),
    "sends garbage": _hear(os.urandom(3000) + b"\r\n\r\n"),
    "sends garbage without end": _then(b"\x16\x03\x01" + b"x" * 30_000, Connection.reset),
    "is refused and goes on sending": _then(b"bad\r\n\r\n" + b"x" * 100_000, Connection.reset),
    "asks a server that resets": _hear(_ask("resets", "Connection: close")),
    "asks a server that closes": _hear(_ask("closes", "Connection: close")),
    "gets half a head": _hear(_ask("half-head", "Connection: close")),
    "gets half a body": _hear(_ask("half-body", "Connection: close")),
    "gets a body that breaks": _hear(_ask("resets-half-body", "Connection: close")),
    "gets garbage": _hear(_ask("garbage", "Connection: close")),
    "is answered early": _hear(_UPLOAD.replace(b"silent", b"early")),
    "gets more than it asked for": _hear(_ask("more") + _ask("x", "Connection: close")),
    "is told until the end": _hear(_ask("last")),
    "has a tunnel reset": _hear(_ask("tunnel-resets", *UPGRADE) + b"hello"),
    "behaves": _hear(_ask("x") + _ask("y", "Connection: close", method="POST", body=_BODY)),
}
