"""
Transports without sockets and a loop without time, for tests of protocols: nothing happens until a test says so.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from perijove.proxy.core.targets import parse_target
from perijove.proxy.net.upstream import UpstreamConnection

#: Callbacks run in one go; more means that two of them call each other for ever.
MAX_STEPS = 10_000


class StepLoop:
    """Of a loop, `call_soon` and no more; `run` runs what is due, and what that makes due."""

    def __init__(self) -> None:
        self._due: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Part of `asyncio.AbstractEventLoop`."""
        self._due.append((callback, args))

    def run(self, work: Callable[[], object] | None = None) -> None:
        """Do *work* as if from a callback, then whatever is due."""
        events._set_running_loop(cast("asyncio.AbstractEventLoop", self))
        try:
            if work is not None:
                work()
            for _ in range(MAX_STEPS):
                if not self._due:
                    return
                callback, args = self._due.popleft()
                callback(*args)
        finally:
            events._set_running_loop(None)
        raise AssertionError("callbacks that never end")


class Wire(asyncio.Transport):
    """One end of a connection; the test is the other end."""

    def __init__(self, loop: StepLoop, *, peer: str = "192.0.2.7", half_closes: bool = True) -> None:
        super().__init__()
        self._loop = loop
        self._peer = peer
        self._half_closes = half_closes
        self._waiting: deque[bytes] = deque()
        self._other_end_ended = False
        self.protocol: asyncio.Protocol | None = None
        #: what has been written
        self.out = bytearray()
        self.is_paused = False
        self.has_ended = False
        self.is_closed = False
        #: closed without sending what was still to be sent
        self.is_cut = False

    def attach(self, protocol: asyncio.Protocol) -> None:
        """Make the connection."""
        self.protocol = protocol
        protocol.connection_made(self)

    # the other end

    def arrive(self, data: bytes) -> None:
        """The other end sends *data*; it waits for as long as nobody reads."""
        if data:
            self._waiting.append(data)
        self._deliver()

    def arrive_end(self) -> None:
        """The other end sends no more."""
        self._other_end_ended = True
        self._deliver()

    def lose(self, error: Exception | None = None) -> None:
        """The connection breaks."""
        if not self.is_closed:
            self.is_closed = True
            self._loop.run(lambda: self._lost(error))

    def fill(self, *, full: bool) -> None:
        """The other end stops reading, or goes on."""
        protocol = self.protocol
        assert protocol is not None
        self._loop.run(protocol.pause_writing if full else protocol.resume_writing)

    @property
    def unread(self) -> int:
        """Bytes that nobody has read."""
        return sum(map(len, self._waiting))

    def _deliver(self) -> None:
        self._loop.run(self._deliver_one)

    def _deliver_one(self) -> None:
        if self.is_paused or self.is_closed:
            return
        if self._waiting:
            # One piece a turn of the loop, as a socket gives them.
            self._receive(self._waiting.popleft())
            self._loop.call_soon(self._deliver_one)
        elif self._other_end_ended:
            self._other_end_ended = False
            self._receive_end()

    def _receive(self, data: bytes) -> None:
        assert self.protocol is not None
        self.protocol.data_received(data)

    def _receive_end(self) -> None:
        assert self.protocol is not None
        if not self.protocol.eof_received():
            self.close()

    def _lost(self, error: Exception | None) -> None:
        assert self.protocol is not None
        self.protocol.connection_lost(error)

    # asyncio.Transport

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        assert not self.has_ended, "written behind the end"
        if not self.is_closed:
            self.out += data

    def can_write_eof(self) -> bool:
        return self._half_closes

    def write_eof(self) -> None:
        self.has_ended = True

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._loop.call_soon(self._lost, None)

    def abort(self) -> None:
        self.is_cut = True
        self.close()

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        self._loop.call_soon(self._deliver_one)

    def is_reading(self) -> bool:
        return not self.is_paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Bounds are the loop's business."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self._peer, 50_000) if name == "peername" else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol


class NoOwner:
    """A pool that keeps nothing."""

    def opened(self, upstream: UpstreamConnection) -> None:
        """Part of `Owner`."""

    def closed(self, upstream: UpstreamConnection) -> None:
        """Part of `Owner`."""

    def forget(self, upstream: UpstreamConnection) -> None:
        """Part of `Owner`."""


def upstream_on(wire: Wire, *, is_reused: bool = False) -> UpstreamConnection:
    """An upstream connection on *wire*."""
    upstream = UpstreamConnection(parse_target("http://192.0.2.1:80"), NoOwner())
    wire.attach(upstream)
    upstream.is_reused = is_reused
    return upstream
