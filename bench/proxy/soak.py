"""
What the proxy holds at many connections, and that it gives it back.

    PYTHONPATH=src:. python bench/proxy/soak.py idle --count 10000
    PYTHONPATH=src:. python bench/proxy/soak.py tunnels --count 10000
    PYTHONPATH=src:. python bench/proxy/soak.py churn --count 200000

Everything is done in two rounds. `idle` are HTTP connections that have asked once, `tunnels` WebSockets that say
nothing until each is asked for a sign of life, `churn` opens connections and drops them in every state that
`tests/support/hostility.py` knows.
Clients, servers and proxy are processes of their own. PSS is that of the proxy and its workers together.
Exits with 1 if something was lost, a descriptor is still held at the end, or the second round added memory.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import psutil

from perijove.kit.clock import SystemClock
from tests.integration.proxy.support import TOKEN, UPGRADE, Connection, Response, listening, request
from tests.support.hostility import CLIENTS, misbehave

ROOT = Path(__file__).parents[2]
#: what moves much; once in so many connections is enough
HEAVY = {"stops reading", "uploads to a server that does not read", "resets in an answer", "sends far ahead and resets"}
HEAVY_ONE_IN = 100
#: connections that are being opened, or dropped, at once
AT_ONCE = 200
#: source addresses: one has too few ports, and too large a share of the limit
SOURCES = [f"127.0.1.{number}" for number in range(1, 61)]
#: seconds for everything to be given back
PATIENCE = 60.0
#: Memory that an allocator keeps for the next time, it keeps after the first: a second round must not add so many MB.
KEPT_MB = 3.0
ROUNDS = 2
_ASK = {"idle": request("/user/ada/x"), "tunnels": request("/user/ada/tunnel", *UPGRADE)}
HOLD = 20.0


@dataclass(frozen=True)
class Held:
    """What the proxy's processes hold."""

    when: str
    connections: int
    descriptors: int
    pss: float


class Proxy:
    """`perijove proxy` as a process, and how to reach it."""

    def __init__(self, pid: int, port: int, api_port: int) -> None:
        self.process = psutil.Process(pid)
        self.port = port
        self._api_port = api_port
        self._sources = itertools.cycle(SOURCES)

    async def connect(self) -> Connection:
        """A connection from the next address."""
        return Connection(
            *await asyncio.open_connection("127.0.0.1", self.port, local_addr=(next(self._sources), 0), limit=2**17)
        )

    async def control(self, method: str, path: str, body: bytes = b"") -> Response:
        """A call of the control API."""
        client = Connection(*await asyncio.open_connection("127.0.0.1", self._api_port))
        client.send(request(path, f"Authorization: token {TOKEN}", method=method, body=body))
        response = await client.response()
        await client.gone()
        return response

    def held(self, when: str, connections: int = 0) -> Held:
        """What it holds now."""
        processes = [self.process, *self.process.children(recursive=True)]
        return Held(
            when=when,
            connections=connections,
            descriptors=sum(process.num_fds() for process in processes),
            pss=sum(process.memory_full_info().pss for process in processes) / 1e6,
        )


@contextmanager
def started(command: list[str], **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended again."""
    paths = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    child = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": paths} | environment, cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        yield child
    finally:
        child.terminate()
        child.communicate()


async def serve() -> None:
    """The servers' process: says its port and serves for ever."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError, TimeoutError):
            await misbehave(Connection(reader, writer))
        writer.close()

    sock = listening()
    print(sock.getsockname()[1], flush=True)
    server = await asyncio.start_server(connected, sock=sock, backlog=4096)
    await server.serve_forever()


async def in_crowds(count: int, work: Callable[[int], Awaitable[None]]) -> None:
    """*work* for each number below *count*, so many at once."""
    numbers = iter(range(count))

    async def one() -> None:
        for number in numbers:
            await work(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one())


async def route(proxy: Proxy, upstream: int) -> None:
    """The one route there is; anew, so that no idle connection to the servers is left."""
    await proxy.control("DELETE", "/api/routes/user/ada")
    body = b'{"target": "http://127.0.0.1:%d", "access": "open"}' % upstream
    if (await proxy.control("POST", "/api/routes/user/ada", body)).status != 201:
        raise SystemExit("the route was refused")


async def hold(proxy: Proxy, count: int, ask: bytes) -> tuple[list[Held], int]:
    """Open *count* connections that ask once, hold them, ask each for a sign of life; and how many had none."""
    clients: list[Connection] = []
    lost = 0

    async def one(_: int) -> None:
        client = await proxy.connect()
        client.send(ask)
        answer = await client.response()
        if answer.status not in {HTTPStatus.OK, HTTPStatus.SWITCHING_PROTOCOLS}:
            raise SystemExit(f"refused: {answer.head!r}")
        clients.append(client)

    async def sign(number: int) -> None:
        nonlocal lost
        word = b"are you there %d" % number if b"Upgrade" in ask else ask
        try:
            clients[number].send(word)
            if word is ask:
                await clients[number].response()
            else:
                await clients[number].read(len(word))
        except (OSError, asyncio.IncompleteReadError):
            lost += 1

    await in_crowds(count, one)
    held = [proxy.held("open", count)]
    await asyncio.sleep(HOLD)
    held.append(proxy.held(f"idle for {HOLD:.0f} s", count))
    await in_crowds(count, sign)
    held.append(proxy.held("after a sign of life from each", count - lost))
    await in_crowds(count, lambda number: clients[number].gone())
    return held, lost


async def churn(proxy: Proxy, count: int) -> list[Held]:
    """Open and drop *count* connections in every state."""
    dice = random.Random(1)
    light = [name for name in CLIENTS if name not in HEAVY]
    held = []

    async def one(_: int) -> None:
        name = dice.choice(sorted(HEAVY)) if dice.randrange(HEAVY_ONE_IN) == 0 else dice.choice(light)
        with suppress(OSError, asyncio.IncompleteReadError):
            await CLIENTS[name](proxy.connect)

    for part in range(1, 5):
        await in_crowds(count // 4, one)
        held.append(proxy.held(f"{part * count // 4} dropped", 0))
    return held


async def given_back(proxy: Proxy, upstream: int, before: Held) -> Held:
    """What is held when descriptors are as before, or when that has taken too long."""
    deadline = time.monotonic() + PATIENCE
    await route(proxy, upstream)
    while (now := proxy.held("given back")).descriptors > before.descriptors:
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.5)
    return now


async def soak(proxy: Proxy, upstream: int, what: str, count: int) -> bool:
    """Do it twice, print a table, and answer whether all is well."""
    clock = SystemClock()
    await route(proxy, upstream)
    rows = [proxy.held("started")]
    # The first connections make what all later ones use again.
    await churn(proxy, 2000)
    rows.append(first := await given_back(proxy, upstream, rows[0]))
    begun, lost, ends = clock.monotonic(), 0, [first]
    for _ in range(ROUNDS):
        before = ends[-1]
        if what == "churn":
            rows += await churn(proxy, count // ROUNDS)
        else:
            held, missing = await hold(proxy, count, _ASK[what])
            lost += missing
            rows += held
        ends.append(await given_back(proxy, upstream, first))
        rows += ends[-1:]
        show(rows, before)
        rows.clear()
    print(f"{what}: {ROUNDS} rounds, {count} connections, {clock.monotonic() - begun:.0f} s, {lost} lost")
    return lost == 0 and ends[-1].descriptors <= first.descriptors and ends[-1].pss <= ends[-2].pss + KEPT_MB


def show(rows: list[Held], before: Held) -> None:
    """Print *rows*; memory for each connection is what has been added since *before*."""
    print(f"{'':<34}{'connections':>12}{'descriptors':>12}{'PSS, MB':>10}{'KB each':>9}")
    for row in rows:
        each = f"{(row.pss - before.pss) * 1e3 / row.connections:.2f}" if row.connections else ""
        print(f"{row.when:<34}{row.connections:>12}{row.descriptors:>12}{row.pss:>10.1f}{each:>9}", flush=True)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["idle", "tunnels", "churn", "serve"])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--workers", default="2")
    options = parser.parse_args()
    if options.what == "serve":
        asyncio.run(serve())
        return 0
    public, control = listening(), listening()
    port, api_port = public.getsockname()[1], control.getsockname()[1]
    public.close()
    control.close()
    flags = [
        "--ip", "127.0.0.1", "--port", str(port), "--api-port", str(api_port), "--workers", options.workers,
        "--keep-alive-timeout", "600000", "--log-level", "error", "--max-per-target", "9900",
    ]  # fmt: skip
    command = [sys.executable, "-c", "from perijove.cli.proxy import proxy; proxy()", *flags]
    with (
        started([sys.executable, __file__, "serve"]) as servers,
        started(command, CONFIGPROXY_AUTH_TOKEN=TOKEN) as child,
    ):
        assert servers.stdout is not None
        upstream = int(servers.stdout.readline())
        proxy = Proxy(child.pid, port, api_port)
        wait_for(port)
        wait_for(api_port)
        return 0 if asyncio.run(soak(proxy, upstream, options.what, options.count)) else 1


def wait_for(port: int) -> None:
    """Until somebody listens."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(ConnectionRefusedError):
            asyncio.run(_touch(port))
            return
        if time.monotonic() > deadline:
            raise SystemExit("the proxy does not start")
        time.sleep(0.05)


async def _touch(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


if __name__ == "__main__":
    sys.exit(main())
