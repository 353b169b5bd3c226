"""
A connection that nobody waits for any more is gone, however far its making was.

uvloop closes it without telling its protocol: each one would count against its target's limit for ever.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
import uvloop

from perijove.kit.tasks import TaskGroup
from perijove.proxy.core.limits import Limits
from perijove.proxy.core.outages import Outages
from perijove.proxy.core.statistics import Statistics
from perijove.proxy.core.targets import Target, parse_target
from perijove.proxy.net.pool import UpstreamPool
from perijove.proxy.net.tls import ClientTls, OutgoingTls
from perijove.proxy.net.upstream import UpstreamConnection
from tests.support.certificates import Authority

TRIES: Final = 300
KINDS: Final = ("tcp", "unix", "tls")


@asynccontextmanager
async def serving(kind: str, folder: Path) -> AsyncIterator[tuple[Target, OutgoingTls]]:
    """A server that reads and says nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read()
        writer.close()

    authority = Authority(folder)
    if kind == "unix":
        server: asyncio.Server = await asyncio.start_unix_server(serve, folder / "s")
        url = f"http+unix://{quote(str(folder / 's'), safe='')}"
    else:
        context = None
        if kind == "tls":
            files = authority.issue("localhost")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(files.cert, files.key)
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        host, scheme = ("localhost", "https") if kind == "tls" else ("127.0.0.1", "http")
        url = f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield parse_target(url), OutgoingTls(ClientTls(ca=authority.path))


async def cancelled(pool: UpstreamPool, target: Target, turns: int) -> None:
    """Give up after so many turns of the loop."""
    async with TaskGroup("test") as tasks:
        making = tasks.start("connect", pool.connect([target]))
        for _ in range(turns):
            await asyncio.sleep(0)
        making.cancel()
        await asyncio.wait([making], timeout=10)
        if not making.cancelled() and making.exception() is None:
            making.result().transport.close()


async def impatient(kind: str, folder: Path) -> None:
    async with serving(kind, folder) as (target, tls):
        statistics = Statistics()
        pools = [
            UpstreamPool(
                monotonic=time.monotonic,
                connect_timeout=timeout,
                limits=Limits(),
                statistics=statistics,
                tls=tls,
                outages=Outages(),
            )
            for timeout in (0.0, 0.00005, 0.0005, 0.005, 10.0)
        ]
        outcomes = set()
        for number in range(TRIES):
            pool = pools[number % len(pools)]
            try:
                (await pool.connect([target])).transport.close()
                outcomes.add("made")
            except TimeoutError:
                outcomes.add("too late")
            await cancelled(pools[-1], target, number % 12)
        for _ in range(200):
            if any(pool._open for pool in pools):
                # Closing takes a moment.
                await asyncio.sleep(0.01)

        assert outcomes == {"made", "too late"}
        assert [pool._open for pool in pools] == [{}] * len(pools)
        left = [known for known in gc.get_objects() if isinstance(known, UpstreamConnection)]
        # A handshake that was cut off has a timer in uvloop, which holds what was to be connected for a minute.
        assert left == [] or kind == "tls"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_what_was_given_up_is_neither_counted_nor_kept(
    loop: Callable[[], asyncio.AbstractEventLoop], kind: str, tmp_path: Path
) -> None:
    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(impatient(kind, tmp_path))
    finally:
        gc.enable()
