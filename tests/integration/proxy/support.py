"""
Real sockets for the proxy's tests: a proxy on free ports, servers that do exactly what a test says, and
clients that send exactly the bytes a test says.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import uvloop

from perijove.kit.jws import SigningKey
from perijove.kit.transports import cut
from perijove.proxy.app import Proxy
from perijove.proxy.config import ProxyConfig
from perijove.proxy.core.statistics import Statistics
from perijove.proxy.local import LocalEngine
from perijove.proxy.net.worker import Worker
from perijove.wire.identity import IdentityClaims

#: Longest wait for anything in these tests.
PATIENCE = 30.0
TOKEN = "control-secret"
CRLF2 = b"\r\n\r\n"
#: A key and what a server must make of it: the example of RFC 6455 section 1.3.
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

Handler = Callable[["Connection"], Awaitable[None]]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


@dataclass
class Response:
    """A parsed response."""

    status: int
    head: bytes
    body: bytes

    def field(self, name: str) -> str | None:
        """The value of a field, None if it is not there."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.decode("latin-1").lower() == name.lower():
                return value.strip().decode("latin-1")
        return None

    def fields(self, name: str) -> list[str]:
        """All values of a field."""
        pairs = (line.partition(b":") for line in self.head.split(b"\r\n")[1:])
        return [value.strip().decode("latin-1") for key, _, value in pairs if key.decode().lower() == name.lower()]

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Connection:
    """Either end of a TCP or unix connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read_head(self) -> bytes:
        """Bytes up to and with an empty line."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(CRLF2)

    async def read(self, count: int) -> bytes:
        """Exactly *count* bytes."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(count)

    async def read_some(self) -> bytes:
        """Whatever comes next."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read(65536)

    async def read_all(self) -> bytes:
        """Everything until the other side ends."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def response(self, *, head_only: bool = False) -> Response:
        """The next response: by length, or until the end."""
        head = await self.read_head()
        parsed = Response(status=int(head[9:12]), head=head[:-4], body=b"")
        length = parsed.field("content-length")
        if head_only or parsed.status in {101, 204, 304} or parsed.status < 200:
            return parsed
        if parsed.field("transfer-encoding"):
            parsed.body = await self.read_chunks()
        else:
            parsed.body = await (self.read(int(length)) if length is not None else self.read_all())
        return parsed

    async def read_chunks(self) -> bytes:
        """A chunked body, decoded."""
        body = b""
        async with asyncio.timeout(PATIENCE):
            while size := int((await self.reader.readline()).strip(), 16):
                body += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
        return body

    async def is_closed(self) -> bool:
        """Whether the other side ends, without another byte."""
        try:
            return await self.read_some() == b""
        except ConnectionError:
            return True

    def end(self) -> None:
        """Send no more."""
        self.writer.write_eof()

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        cut(self.writer.transport)

    async def gone(self) -> None:
        """Cut the connection and wait until nothing of it is left."""
        self.abort()
        with suppress(OSError):
            await self.writer.wait_closed()

    def reset(self) -> None:
        """Go away as a crashed program does."""
        sock = self.writer.get_extra_info("socket")
        # TLS forgets its socket when the other side was first.
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()


@dataclass
class Upstream:
    """A server behind the proxy."""

    url: str
    #: connections it has been given
    connections: list[Connection] = field(default_factory=list)
    #: heads it has read (of servers made by `answering`)
    heads: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def serving(
    handler: Handler, *, path: str = "", host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Upstream]:
    """A server that does what *handler* does on each connection; on a unix socket if *path* is given."""
    upstream = Upstream(url="")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        upstream.connections.append(connection)
        try:
            await handler(connection)
        except (asyncio.IncompleteReadError, OSError, TimeoutError):
            pass
        finally:
            writer.close()

    if path:
        server = await asyncio.start_unix_server(serve, path)
        upstream.url = "http+unix://" + path.replace("/", "%2F")
    else:
        server = await asyncio.start_server(serve, host, port)
        where = f"[{host}]" if ":" in host else host
        upstream.url = f"http://{where}:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
        for connection in upstream.connections:
            await connection.gone()


def ok(body: bytes = b"", *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """A plain answer."""
    head = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join(head) + CRLF2 + body


def answering(answer: Callable[[bytes, bytes], bytes], seen: list[bytes] | None = None) -> Handler:
    """A keep-alive server: *answer* gets head and body of each request."""

    async def handle(connection: Connection) -> None:
        while True:
            head = await connection.reader.readuntil(CRLF2)
            length = Response(status=0, head=head[:-4], body=b"").field("content-length")
            body = await connection.reader.readexactly(int(length or 0))
            if seen is not None:
                seen.append(head)
            connection.send(answer(head, body))

    return handle


def echoing(prefix: bytes = b"") -> Handler:
    """A keep-alive server that answers with the head it got."""
    return answering(lambda head, body: ok(prefix + head + body))


async def websocket(connection: Connection) -> None:
    """A server that accepts every upgrade and then sends everything back."""
    await accept_websocket(connection, await connection.reader.readuntil(CRLF2))


async def accept_websocket(connection: Connection, head: bytes) -> None:
    """Accept the upgrade that *head* asks for, and send everything back."""
    lines = b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %b\r\n" % _ACCEPT
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\n%bX-Seen: %d\r\n\r\n" % (lines, len(head)))
    while data := await connection.reader.read(65536):
        connection.send(data)


@dataclass
class Site:
    """A proxy somewhere, by its ports."""

    port: int
    control_port: int
    clients: list[Connection] = field(default_factory=list)

    async def connect(self) -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        client = Connection(reader, writer)
        self.clients.append(client)
        return client

    async def connect_to_control(self) -> Connection:
        client = Connection(*await asyncio.open_connection("127.0.0.1", self.control_port))
        self.clients.append(client)
        return client

    async def ask(self, target: str = "/", *lines: str, method: str = "GET", body: bytes = b"") -> Response:
        """One request on a connection of its own."""
        client = await self.connect()
        client.send(request(target, *lines, method=method, body=body))
        response = await client.response(head_only=method == "HEAD")
        client.close()
        return response

    async def control(
        self, method: str, path: str, content: Any = None, *, token: str = TOKEN, fields: Sequence[str] = ()
    ) -> Response:
        """One call of the control API."""
        client = Connection(*await asyncio.open_connection("127.0.0.1", self.control_port, limit=2**24))
        payload = b"" if content is None else json.dumps(content).encode()
        client.send(request(path, f"Authorization: token {token}", *fields, method=method, body=payload))
        response = await client.response()
        await client.gone()
        return response

    async def route(self, path: str, target: str, **more: Any) -> None:
        """Add a route; open unless said otherwise."""
        response = await self.control("POST", f"/api/routes{path}", {"target": target, "access": "open", **more})
        assert response.status == 201


@dataclass(kw_only=True)
class Running(Site):
    """A proxy under test, in this process."""

    proxy: Proxy
    thread: LoopThread
    is_stopped: bool = False

    async def stop(self) -> None:
        """Stop it, once."""
        if not self.is_stopped:
            self.is_stopped = True
            await self.thread.run(self.proxy.stop())

    async def statistics(self) -> Statistics:
        """What has been counted so far."""
        found: list[Statistics] = []

        async def look() -> None:
            found.append(await self.proxy.statistics())

        await self.thread.run(look())
        return found[0]

    async def until(self, condition: Callable[[Statistics], bool]) -> None:
        """Wait until the counts are such."""
        deadline = time.monotonic() + PATIENCE
        while not condition(await self.statistics()):
            assert time.monotonic() < deadline, "this never happened"
            await asyncio.sleep(0.05)

    async def reload(self) -> None:
        """What SIGHUP does."""
        await self.thread.run(self.proxy.reload(lambda: self.proxy._config))

    @property
    def worker(self) -> Worker:
        """What carries its traffic."""
        engine = self.proxy._engine
        assert isinstance(engine, LocalEngine)
        return engine._worker


def request(target: str, *lines: str, method: str = "GET", body: bytes = b"", host: str = "hub.example.org") -> bytes:
    """The bytes of a request."""
    framing = [f"Content-Length: {len(body)}"] if body or method in {"POST", "PUT"} else []
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *framing, *lines, "", ""]).encode() + body


UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    f"Sec-WebSocket-Key: {_KEY}",
    "Sec-WebSocket-Version: 13",
)


def listening() -> socket.socket:
    """A socket that listens on a free port of loopback."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(512)
    sock.setblocking(False)  # its signature
    return sock


class LoopThread:
    """An event loop of its own for the proxy, as it has in its own process."""

    def __init__(self, factory: LoopFactory) -> None:
        self._loop = factory()
        self._thread = threading.Thread(target=self._live, name="proxy")
        self._thread.start()

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* there."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()


@asynccontextmanager
async def running(*, loop_factory: LoopFactory = uvloop.new_event_loop, **settings: Any) -> AsyncIterator[Running]:
    """A proxy in a thread of its own, on real sockets."""
    public, control = listening(), listening()
    defaults: dict[str, Any] = {
        "auth_token": TOKEN,
        "drain": 1.0,
        "inherited": {"public": public, "control": control},
    }
    ports = public.getsockname()[1], control.getsockname()[1]
    proxy, thread = Proxy(ProxyConfig(**(defaults | settings))), LoopThread(loop_factory)
    started = Running(proxy=proxy, thread=thread, port=ports[0], control_port=ports[1])
    try:
        await thread.run(proxy.start())
        yield started
    finally:
        for client in started.clients:
            await client.gone()
        await started.stop()
        thread.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for *condition*."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "this never happened"
        await asyncio.sleep(0.01)


def identity(key: SigningKey, *, audience: str = "ada/", **changes: Any) -> str:
    """A signed statement that lets ada into *audience*."""
    now = int(time.time())
    claims: Mapping[str, Any] = {
        "sub": "ada", "sid": "s1", "aud": audience, "scope": ("read", "write", "execute"), "name": "Ada",
        "iat": now, "exp": now + 600, "jti": "j1",
    } | changes  # fmt: skip
    return key.sign(IdentityClaims(**claims).to_claims())
