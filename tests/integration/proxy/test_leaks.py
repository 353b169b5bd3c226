"""
Whatever clients and servers do, what it took is given back: descriptors, tasks, connections, memory.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop

from perijove.proxy.config import TlsConfig
from perijove.proxy.net.client import ClientConnection
from perijove.proxy.net.exchange import Exchange
from perijove.proxy.net.timeouts import Timeouts
from perijove.proxy.net.tls import ServerTls
from perijove.proxy.net.tunnel import Tunnel
from perijove.proxy.net.upstream import UpstreamConnection
from tests.integration.proxy.support import (
    PATIENCE,
    UPGRADE,
    Connection,
    LoopFactory,
    Running,
    request,
    running,
    serving,
    until,
)
from tests.support.certificates import Authority
from tests.support.hostility import CLIENTS, misbehave

AT_ONCE = 25
#: So many equal looks in a row are rest.
QUIET = 4
IMPATIENT = Timeouts(
    head=1.0, body=1.0, keep_alive=2.0, client=2.0, half_closed=1.0, linger=0.2, flush=1.0, connect=0.5
)  # fmt: skip


@dataclass(frozen=True)
class Footprint:
    """What a proxy and everybody around it hold."""

    descriptors: int
    tasks: int
    clients: int
    tunnels: int
    idle: int


async def footprint(proxy: Running) -> Footprint:
    tasks: list[int] = []

    async def look() -> None:
        tasks.append(len(asyncio.all_tasks()))

    await proxy.thread.run(look())
    gauges = (await proxy.statistics()).gauges
    return Footprint(
        descriptors=len(os.listdir("/proc/self/fd")),  # noqa: PTH208  # not a path, a question
        tasks=tasks[0],
        clients=gauges.clients,
        tunnels=gauges.tunnels,
        idle=gauges.pool_idle,
    )


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def loop_factory(request: pytest.FixtureRequest) -> LoopFactory:
    factory: LoopFactory = request.param
    return factory


@pytest.fixture
async def impatient(loop_factory: LoopFactory) -> AsyncIterator[Running]:
    async with running(loop_factory=loop_factory, timeouts=IMPATIENT) as started:
        # The first question to the control API makes what later ones use again.
        await started.control("GET", "/api/routes")
        yield started


async def at_rest(proxy: Running, wanted: Footprint | None = None) -> Footprint:
    """The footprint when it is *wanted*, or has stopped changing; the last one if that takes too long."""
    deadline = time.monotonic() + PATIENCE / 2
    seen = [await footprint(proxy)]
    while seen[-1] != wanted and (wanted or len(set(seen[-QUIET:])) > 1 or len(seen) < QUIET):
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.03)
        seen.append(await footprint(proxy))
    return seen[-1]


@asynccontextmanager
async def nothing_left(proxy: Running) -> AsyncIterator[None]:
    """
    Whatever is done in here, the proxy is as it was before, if not at once then soon.

    Servers outlive this: were they gone, their ends of connections that the proxy has forgotten would be, too.
    """
    before = await at_rest(proxy)
    yield
    await proxy.control("DELETE", "/api/routes/user/ada")
    assert await at_rest(proxy, before) == before


#: What there is one of for every connection or request.
KINDS = (ClientConnection, Exchange, UpstreamConnection, Tunnel)


def alive() -> dict[str, int]:
    """How many there are of what should be gone, by kind."""
    found = [type(known).__name__ for known in gc.get_objects() if isinstance(known, KINDS)]
    return {name: found.count(name) for name in sorted(set(found))}


@contextmanager
def no_collector() -> Iterator[None]:
    """Nothing in a circle goes away in here."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_client_leaves_nothing_behind(impatient: Running, name: str) -> None:
    """
    Many at once, so that one in many shows. Nor does anything wait for the garbage collector: a proxy lives for
    months, and old objects that refer to each other in a circle would live as long.
    """
    with no_collector():
        async with serving(misbehave) as server, nothing_left(impatient):
            await impatient.route("/user/ada", server.url)
            await asyncio.gather(*(CLIENTS[name](impatient.connect) for _ in range(AT_ONCE)))
            impatient.clients.clear()
        left = alive()

    assert left == {}


@pytest.mark.parametrize("name", [name for name in CLIENTS if not name.startswith("ends")])
async def test_a_client_by_tls_leaves_nothing_behind(loop_factory: LoopFactory, tmp_path: Path, name: str) -> None:
    """
    The same through TLS, which has no half-closed connections.
    """
    authority = Authority(tmp_path)
    context = authority.client()
    tls = TlsConfig(public=ServerTls(certificates=(authority.issue("localhost"),)))

    async def connect() -> Connection:
        streams = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=context, server_hostname="localhost")
        return Connection(*streams)

    async with running(loop_factory=loop_factory, timeouts=IMPATIENT, tls=tls) as proxy:
        await proxy.control("GET", "/api/routes")
        with no_collector():
            async with serving(misbehave) as server, nothing_left(proxy):
                await proxy.route("/user/ada", server.url)
                await asyncio.gather(*(CLIENTS[name](connect) for _ in range(AT_ONCE)))
            left = alive()

    assert left == {}


async def test_a_proxy_that_has_seen_it_all_still_serves(impatient: Running) -> None:
    async with serving(misbehave) as server, nothing_left(impatient):
        await impatient.route("/user/ada", server.url)
        await asyncio.gather(*(play(impatient.connect) for play in CLIENTS.values() for _ in range(4)))
        impatient.clients.clear()
        answers = [(await impatient.ask("/user/ada/x")).body for _ in range(10)]

    assert answers == [b"yes"] * 10


@asynccontextmanager
async def unreachable() -> AsyncIterator[str]:
    """A server that never accepts: the kernel's queue is full, so that connecting hangs."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(0)
    sock.setblocking(False)
    filling = []
    try:
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect(sock.getsockname())
            filling.append(filler)
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        for filler in filling:
            filler.close()
        sock.close()


@pytest.mark.parametrize("leave", [Connection.reset, Connection.close], ids=["reset", "close"])
async def test_a_client_that_leaves_while_its_server_is_being_connected_to(
    impatient: Running, leave: Callable[[Connection], None]
) -> None:
    async with unreachable() as url, nothing_left(impatient):
        await impatient.route("/user/ada", url)
        clients = [await impatient.connect() for _ in range(AT_ONCE)]
        for client in clients:
            client.send(request("/user/ada/x"))
        await asyncio.sleep(0.1)
        for client in clients:
            leave(client)
        impatient.clients.clear()


async def test_a_server_that_never_accepts_is_a_503(impatient: Running) -> None:
    async with unreachable() as url, nothing_left(impatient):
        await impatient.route("/user/ada", url)

        answer = await impatient.ask("/user/ada/x")
        impatient.clients.clear()

    assert answer.status == 503


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /user/ada/x HT",
        b"POST /user/ada/silent HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
        request("/user/ada/silent"),
        request("/user/ada/large"),
        request("/user/ada/tunnel", *UPGRADE),
        b"bad\r\n\r\n",
    ],
    ids=[
        "nothing",
        "half a head",
        "half a body",
        "a request",
        "a request whose answer it does not take",
        "an upgrade",
        "rubbish",
    ],
)
async def test_a_peer_that_is_only_half_there_is_given_up(impatient: Running, said: bytes) -> None:
    """
    Traps 15 and 16: a client whose machine went away says nothing more and takes nothing; nobody hears it leave.
    """
    async with serving(misbehave) as server, nothing_left(impatient):
        await impatient.route("/user/ada", server.url)
        clients = [await impatient.connect() for _ in range(AT_ONCE)]
        for client in clients:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.send(said)
        if b"tunnel" in said:
            # An idle tunnel may stay; it ends with its route.
            await impatient.until(lambda now: now.gauges.tunnels == AT_ONCE)
            await impatient.control("DELETE", "/api/routes/user/ada")
        await impatient.until(lambda now: now.gauges.clients == 0 and now.gauges.tunnels == 0)
        for client in clients:
            await client.gone()
        impatient.clients.clear()


async def test_a_server_that_leaves_takes_its_tunnels_along(impatient: Running) -> None:
    async with nothing_left(impatient):
        async with serving(misbehave) as server:
            await impatient.route("/user/ada", server.url)
            clients = [await impatient.connect() for _ in range(AT_ONCE)]
            for client in clients:
                client.send(request("/user/ada/tunnel", *UPGRADE))
                await client.response()
        ended = [await client.is_closed() for client in clients]
        for client in clients:
            await client.gone()
        impatient.clients.clear()

    assert ended == [True] * AT_ONCE


async def test_idle_servers_that_restart_are_forgotten(impatient: Running) -> None:
    async with nothing_left(impatient):
        async with serving(misbehave) as server:
            await impatient.route("/user/ada", server.url)
            await asyncio.gather(*(CLIENTS["behaves"](impatient.connect) for _ in range(AT_ONCE)))
            await until(lambda: bool(server.connections))
            held = (await impatient.statistics()).gauges.pool_idle
        await impatient.until(lambda now: now.gauges.pool_idle == 0)
        impatient.clients.clear()

    assert held > 0
