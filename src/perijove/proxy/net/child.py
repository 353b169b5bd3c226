"""
The process of one worker: a `Worker`, and the line on which its parent tells it what changes.

A message is a length of four bytes and a pickle of (number, what, argument); the answer is a length and JSON
[number, value]. Parent and child are one program, copied: there are no versions. The child may have been taken
over by somebody from outside, so nothing it says is unpickled.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import socket
from collections.abc import Callable, Sequence
from enum import StrEnum, auto
from typing import Any, Final

import structlog

from perijove.kit.frames import HEADER, framed
from perijove.kit.process import give_back_memory
from perijove.proxy.config import ProxyConfig
from perijove.proxy.core.changes import ReplaceRoutes
from perijove.proxy.core.state import State
from perijove.proxy.net.tls import TrafficTls
from perijove.proxy.net.worker import Worker

try:
    import uvloop

    _new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:  # a fifth slower, otherwise the same
    _new_loop = asyncio.new_event_loop

log = structlog.get_logger(__name__)

#: Longest message of a parent: a table of a hundred thousand routes, and what else may wait with it.
MAX_MESSAGE: Final = 128 * 1024 * 1024
#: The first message of a worker, when it serves.
READY: Final = 0


class Ask(StrEnum):
    """What a parent says."""

    APPLY = auto()
    RELOAD = auto()
    ACTIVITY = auto()
    SESSIONS = auto()
    STATISTICS = auto()
    STOP = auto()


async def read_framed(reader: asyncio.StreamReader, *, limit: int) -> bytes:
    """
    The next body.

    Raises:
        asyncio.IncompleteReadError: the other side is gone, or says more than *limit* bytes.
    """
    (size,) = HEADER.unpack(await reader.readexactly(HEADER.size))
    if size > limit:
        raise asyncio.IncompleteReadError(b"", size)
    return await reader.readexactly(size)


def run(
    config: ProxyConfig, state: State, tls: TrafficTls, sockets: Sequence[socket.socket], line: socket.socket
) -> int:
    """
    Serve until the parent says stop, or is gone; answers the exit code.

    Args:
        config: the settings.
        state: what is known when the process is made; its own copy.
        tls: its files, loaded; likewise.
        sockets: public ones, which listen.
        line: to the parent.
    """
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(_serve(config, state, tls, sockets, line))
    return 0


async def _serve(
    config: ProxyConfig, state: State, tls: TrafficTls, sockets: Sequence[socket.socket], line: socket.socket
) -> None:
    worker = Worker(config, state, tls)
    await worker.start(sockets)
    reader, writer = await asyncio.open_unix_connection(sock=line)
    _answer(writer, READY, None)
    try:
        while True:
            # Our own parent's, see above.
            number, what, argument = pickle.loads(await read_framed(reader, limit=MAX_MESSAGE))  # noqa: S301
            if what is Ask.STOP:
                break
            _answer(writer, number, _do(worker, what, argument))
            is_large = isinstance(argument, ReplaceRoutes)
            del argument
            if is_large:
                # The message took as much as the table that came with it, and is gone.
                give_back_memory()
    except (asyncio.IncompleteReadError, OSError):
        log.warning("worker.orphaned")
    await worker.stop()


def _do(worker: Worker, what: Ask, argument: Any) -> Any:
    match what:
        case Ask.APPLY:
            worker.apply(argument)
        case Ask.RELOAD:
            # Its files are the copy's own: the parent's have been read again for those that come next.
            worker.tls.reload(argument.tls.public, argument.tls.client)
            worker.reload(argument)
        case Ask.ACTIVITY:
            return worker.activity_since(argument)
        case Ask.SESSIONS:
            return worker.sessions()
        case Ask.STATISTICS:
            return worker.statistics().to_json()
    return None


def _answer(writer: asyncio.StreamWriter, number: int, value: Any) -> None:
    writer.write(framed(json.dumps([number, value]).encode()))
