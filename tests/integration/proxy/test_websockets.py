"""
WebSockets through the proxy: a real library at both ends, and raw frames where the library would be too polite.

The proxy parses no frame; these tests say that nothing of RFC 6455 depends on its doing so.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from tests.integration.proxy.support import UPGRADE, Connection, Running, request, serving, until

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
#: Around every border of the length field (RFC 6455 section 5.2), and larger than any buffer.
SIZES = [0, 1, 125, 126, 65_535, 65_536, 1_000_000, 16_000_000]
#: What may be under way between a sender and a reader that has stopped: buffers of the kernel, on four sockets.
MOST_UNDER_WAY = 30_000_000


@asynccontextmanager
async def joined(
    proxy: Running, handler: Callable[[ServerConnection], Awaitable[None]], **settings: Any
) -> AsyncIterator[ClientConnection]:
    """A client and *handler*, with the proxy between."""
    common: dict[str, Any] = {"max_size": None, "compression": None} | settings
    async with serve(handler, "127.0.0.1", 0, **common) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        await proxy.route("/user/ada", f"http://127.0.0.1:{port}")
        async with connect(f"ws://127.0.0.1:{proxy.port}/user/ada/ws", proxy=None, **common) as client:
            yield client


async def echo(server: ServerConnection) -> None:
    """Everything comes back as it came."""
    async for message in server:
        await server.send(message)


def frame(opcode: int, payload: bytes, *, final: bool = True, mask: bytes = b"", reserved: int = 0) -> bytes:
    """The bytes of a frame (RFC 6455 section 5.2)."""
    first = bytes([final << 7 | reserved << 4 | opcode])
    flag = 0x80 if mask else 0
    if len(payload) < 126:
        length = bytes([flag | len(payload)])
    elif len(payload) < 1 << 16:
        length = bytes([flag | 126]) + len(payload).to_bytes(2, "big")
    else:
        length = bytes([flag | 127]) + len(payload).to_bytes(8, "big")
    if mask:
        payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return first + length + mask + payload


@pytest.mark.parametrize("size", SIZES)
async def test_messages_of_every_size_come_back_whole(proxy: Running, size: int) -> None:
    binary, text = os.urandom(size), "é" * (size // 2)
    async with joined(proxy, echo) as client:
        await client.send(binary)
        first = await client.recv()
        await client.send(text)
        second = await client.recv()

    assert first == binary
    assert second == text


async def test_every_opcode_passes_as_it_came_masks_and_all(proxy: Running) -> None:
    """
    Also what RFC 6455 reserves: extensions to come are between browser and server.
    """
    dice = random.Random(1)
    frames = [
        frame(opcode, dice.randbytes(size), final=final, mask=mask, reserved=reserved)
        for opcode in range(16)
        for size in (0, 1, 125, 126, 700)
        for final in (True, False)
        for mask in (b"", dice.randbytes(4))
        for reserved in (0, 4)
    ]
    sent, back = b"".join(frames), b"".join(reversed(frames))
    got = bytearray()

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        connection.send(SWITCH)
        got.extend(await connection.read(len(sent)))
        connection.send(back)
        await connection.read_all()

    async with serving(handle) as server:
        await proxy.route("/user/ada", server.url)
        client = await proxy.connect()
        client.send(request("/user/ada/ws", *UPGRADE))
        await client.response()
        place = 0
        while place < len(sent):
            step = dice.randrange(1, 3000)
            client.send(sent[place : place + step])
            place += step
            await asyncio.sleep(0)
        received = await client.read(len(back))
        client.close()

    assert bytes(got) == sent
    assert received == back


async def test_fragments_stay_fragments_with_control_frames_between(proxy: Running) -> None:
    """
    RFC 6455 section 5.4: a ping in the middle of a message is answered before the message is over.
    """
    mask = b"\1\2\3\4"

    async def handle(server: ServerConnection) -> None:
        message = await server.recv()
        await server.send(message)

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        await proxy.route("/user/ada", f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
        client = await proxy.connect()
        client.send(request("/user/ada/ws", *(line for line in UPGRADE if "Key" not in line),
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))  # fmt: skip
        accepted = await client.response()
        client.send(frame(1, b"one ", final=False, mask=mask) + frame(9, b"are you there", mask=mask))
        pong = await client.read(len(frame(10, b"are you there")))
        client.send(frame(0, b"two ", final=False, mask=mask) + frame(0, b"three", mask=mask))
        message = await client.read(len(frame(1, b"one two three")))
        client.send(frame(8, (1000).to_bytes(2, "big"), mask=mask))
        close = await client.read_all()
        client.close()

    assert accepted.status == 101
    assert accepted.field("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert pong == frame(10, b"are you there")
    assert message == frame(1, b"one two three")
    assert close.startswith(frame(8, (1000).to_bytes(2, "big")))


async def test_messages_in_fragments_arrive_as_one(proxy: Running) -> None:
    async with joined(proxy, echo) as client:
        await client.send([b"%d," % number * 100 for number in range(200)])
        message = await client.recv()

    assert message == b"".join(b"%d," % number * 100 for number in range(200))


async def test_compression_is_agreed_on_by_the_ends(proxy: Running) -> None:
    """
    RFC 7692: the proxy carries the offer, the answer and frames that it could not read.
    """
    text = "all work and no play " * 50_000
    async with joined(proxy, echo, compression="deflate") as client:
        extensions = [extension.name for extension in client.protocol.extensions]
        await client.send(text)
        message = await client.recv()

    assert extensions == ["permessage-deflate"]
    assert message == text


async def test_a_subprotocol_is_agreed_on_by_the_ends(proxy: Running) -> None:
    """
    Jupyter's kernels speak one.
    """
    name: Any = "v1.kernel.websocket.jupyter.org"
    async with joined(proxy, echo, subprotocols=[name]) as client:
        agreed = client.subprotocol

    assert agreed == name


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 3000, 4999])
async def test_close_codes_arrive_from_either_side(proxy: Running, code: int) -> None:
    heard: list[tuple[int | None, str | None]] = []

    async def handle(server: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            assert await server.recv() == "you first"
            await server.close(code, "so long")
        heard.append((server.close_code, server.close_reason))

    async with joined(proxy, handle) as client:
        await client.close(code, "good-bye")
    async with joined(proxy, handle) as client:
        await client.send("you first")
        with pytest.raises(ConnectionClosed):
            await client.recv()
        last = client.close_code, client.close_reason
    await until(lambda: len(heard) == 2)

    assert heard[0] == (code, "good-bye")
    assert last == (code, "so long")


async def test_a_server_that_crashes_is_no_clean_close(proxy: Running) -> None:
    async def handle(server: ServerConnection) -> None:
        await server.recv()
        server.transport.abort()

    async with joined(proxy, handle) as client:
        await client.send("crash")
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()

    assert caught.value.rcvd is None


async def test_pings_are_answered_by_the_other_end(proxy: Running) -> None:
    async def handle(server: ServerConnection) -> None:
        await (await server.ping(b"from the server"))
        await server.send("pong")
        await server.wait_closed()

    async with joined(proxy, handle, ping_interval=None) as client:
        async with asyncio.timeout(10):
            latency = await (await client.ping(b"from the client"))
            message = await client.recv()

    assert latency < 10
    assert message == "pong"


async def test_a_server_that_has_said_all_still_hears(proxy: Running) -> None:
    """
    Trap 15, from the server's side.
    """
    heard = bytearray()

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        connection.send(SWITCH + b"last words")
        await connection.writer.drain()
        connection.end()
        heard.extend(await connection.read_all())

    async with serving(handle) as server:
        await proxy.route("/user/ada", server.url)
        client = await proxy.connect()
        client.send(request("/user/ada/ws", *UPGRADE))
        await client.response()
        words = await client.read_all()
        client.send(b"I have heard you")
        client.end()
        await until(lambda: len(heard) == 16)

    assert words == b"last words"
    assert bytes(heard) == b"I have heard you"


async def test_a_thousand_messages_cross_a_thousand_others_in_order(proxy: Running) -> None:
    count = 1000
    got: list[Any] = []

    async def handle(server: ServerConnection) -> None:
        async def talk() -> None:
            for number in range(count):
                await server.send(f"s{number} " + "x" * (number * 7 % 3000))

        async with asyncio.TaskGroup() as group:
            group.create_task(talk())
            while len(got) < count:
                got.append(await server.recv())
        await server.wait_closed()

    async with joined(proxy, handle) as client:
        heard: list[Any] = []

        async def listen() -> None:
            heard.extend([await client.recv() for _ in range(count)])

        async with asyncio.TaskGroup() as group:
            group.create_task(listen())
            for number in range(count):
                await client.send(f"c{number} ".encode() + b"y" * (number * 11 % 3000))
        await until(lambda: len(got) == count)

    assert [message.split()[0] for message in heard] == [f"s{number}" for number in range(count)]
    assert [message.split()[0] for message in got] == [b"c%d" % number for number in range(count)]


async def test_many_tunnels_do_not_mix(proxy: Running) -> None:
    async def talk(name: int) -> list[Any]:
        async with connect(f"ws://127.0.0.1:{proxy.port}/user/ada/ws", proxy=None, compression=None) as client:
            for number in range(20):
                await client.send(f"{name}-{number}")
            return [await client.recv() for _ in range(20)]

    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        await proxy.route("/user/ada", f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
        heard = await asyncio.gather(*(talk(name) for name in range(50)))

    assert heard == [[f"{name}-{number}" for number in range(20)] for name in range(50)]


async def paused(count: Callable[[], int]) -> int:
    """What *count* says when it has stopped growing."""
    await until(lambda: count() > 0)
    before = -1
    while before != count():
        before = count()
        await asyncio.sleep(0.3)
    return before


async def test_a_client_that_stops_reading_holds_back_the_server(proxy: Running) -> None:
    """
    Trap 17: what nobody reads is not gathered in the proxy.
    """
    piece, pieces = b"x" * 100_000, 600
    sent = 0

    async def handle(connection: Connection) -> None:
        nonlocal sent
        await connection.read_head()
        connection.send(SWITCH)
        for _ in range(pieces):
            connection.send(piece)
            await connection.writer.drain()
            sent += len(piece)
        await connection.read_all()

    async with serving(handle) as server:
        await proxy.route("/user/ada", server.url)
        client = await proxy.connect()
        transport: Any = client.writer.transport
        client.send(request("/user/ada/ws", *UPGRADE))
        await client.response()
        transport.pause_reading()
        held = await paused(lambda: sent)
        transport.resume_reading()
        rest = await client.read(len(piece) * pieces)
        client.close()

    assert held < MOST_UNDER_WAY
    assert rest == piece * pieces


async def test_what_waits_for_a_slow_reader_is_not_mixed_with_what_others_are_sent(proxy: Running) -> None:
    """
    What is held back for one belongs to nobody else.
    """
    names, size, pieces = "abc", 100_000, 200
    sent = 0

    async def handle(connection: Connection) -> None:
        nonlocal sent
        name = (await connection.read_head()).split(b"/ws/")[1][:1]
        connection.send(SWITCH)
        for _ in range(pieces):
            connection.send(name * size)
            await connection.writer.drain()
            sent += size
        await connection.read_all()

    async with serving(handle) as server:
        await proxy.route("/user/ada", server.url)
        clients = [await proxy.connect() for _ in names]
        transports: list[Any] = [client.writer.transport for client in clients]
        for name, client, transport in zip(names, clients, transports, strict=True):
            client.send(request(f"/user/ada/ws/{name}", *UPGRADE))
            await client.response()
            transport.pause_reading()
        await paused(lambda: sent)
        for transport in transports:
            transport.resume_reading()
        heard = [await client.read(size * pieces) for client in clients]

    assert [set(data) for data in heard] == [{ord(name)} for name in names]


async def test_a_server_that_stops_reading_holds_back_the_client(proxy: Running) -> None:
    """
    Trap 17, the other way.
    """
    piece, pieces = b"y" * 100_000, 600
    go = asyncio.Event()
    got = 0

    async def handle(connection: Connection) -> None:
        nonlocal got
        await connection.read_head()
        connection.send(SWITCH)
        await go.wait()
        while data := await connection.read_some():
            got += len(data)

    async with serving(handle) as server:
        await proxy.route("/user/ada", server.url)
        client = await proxy.connect()
        client.send(request("/user/ada/ws", *UPGRADE))
        await client.response()
        sent = 0

        async def talk() -> None:
            nonlocal sent
            for _ in range(pieces):
                client.send(piece)
                await client.writer.drain()
                sent += len(piece)

        async with asyncio.TaskGroup() as group:
            group.create_task(talk())
            held = await paused(lambda: sent)
            go.set()
        await until(lambda: got == len(piece) * pieces)

    assert held < MOST_UNDER_WAY
