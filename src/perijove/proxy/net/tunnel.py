"""
After a 101: bytes from transport to transport, whatever they mean.

WebSocket frames are not parsed. The two ends share nothing with the connections they came from, so an
idle tunnel is small.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from perijove.kit.transports import cut
from perijove.proxy.core.access_log import Served
from perijove.proxy.core.routes import Entry
from perijove.proxy.core.targets import Target
from perijove.wire.identity import IdentityClaims

#: Seconds that a tunnel may stay open when one side has ended.
HALF_CLOSED_SECONDS: Final = 30.0
#: Bytes that arrive at once from which on a direction is read without a copy: for few it costs more than it saves.
LARGE: Final = 32 * 1024
#: Bytes that are then read at once: a message of 64 KB with its frame, and some.
BUFFER_SIZE: Final = 128 * 1024


class ReadBuffer:
    """Where large messages are read into: one for all tunnels of a loop, as each read is passed on before the next."""

    __slots__ = ("view",)

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Take another one: what has been read into this one is not yet sent."""
        self.view = memoryview(bytearray(BUFFER_SIZE))


class Tunnel:
    """Two joined transports."""

    __slots__ = (
        "_a", "_b", "_buffer", "_is_over", "_on_closed", "address", "claims", "entry", "half_closed_since", "served",
        "session", "target",
    )  # fmt: skip

    def __init__(
        self,
        *,
        client: asyncio.Transport,
        server: asyncio.Transport,
        entry: Entry,
        target: Target,
        claims: IdentityClaims | None,
        address: str,
        session: str,
        served: Served | None,
        buffer: ReadBuffer,
        on_closed: Callable[[Tunnel], None],
    ) -> None:
        """
        Args:
            client: a transport; its protocol is replaced.
            server: likewise.
            entry: the route they were joined by.
            target: where the server is.
            claims: in whose name; None on open routes.
            address: what the client is counted as, by its limit; empty: not at all.
            session: the session that it counts for, likewise.
            served: its line for the access log, to be finished at its end.
            buffer: of this loop.
            on_closed: called once, when either side is gone.
        """
        self.entry = entry
        self.target = target
        self.claims = claims
        self.address = address
        self.session = session
        self.served = served
        #: coarse monotonic time at which the sweep saw that one side had ended; 0 while both talk
        self.half_closed_since = 0.0
        self._buffer = buffer
        self._on_closed = on_closed
        self._is_over = False
        self._a: _End = _SmallEnd(self, client, server)
        self._b: _End = _SmallEnd(self, server, client)
        client.set_protocol(self._a)
        server.set_protocol(self._b)
        client.resume_reading()
        server.resume_reading()

    @property
    def received(self) -> int:
        """Bytes from the client."""
        return self._a.count

    @property
    def sent(self) -> int:
        """Bytes to the client."""
        return self._b.count

    @property
    def is_half_closed(self) -> bool:
        """Whether one side will send no more."""
        return self._a.ended or self._b.ended

    @property
    def has_ended(self) -> bool:
        """Whether neither side will send more."""
        return self._a.ended and self._b.ended

    def close(self) -> None:
        """Close both sides."""
        cut(self._a.transport)
        cut(self._b.transport)

    def enlarge(self, end: _End) -> None:
        """Read large messages without a copy at *end* from now on."""
        transport = end.transport
        large = _LargeEnd(self, transport, end.peer, self._buffer)
        large.count, large.ended = end.count, end.ended
        if end is self._a:
            self._a = large
        else:
            self._b = large
        # How a transport reads is settled when it begins to.
        is_reading = transport.is_reading()
        transport.pause_reading()
        transport.set_protocol(large)
        if is_reading:
            transport.resume_reading()

    def end_lost(self) -> None:
        """One side is gone: so is the tunnel; what the other has not yet been sent is still sent."""
        self._a.transport.close()
        self._b.transport.close()
        if not self._is_over:
            self._is_over = True
            self._on_closed(self)


class _End(asyncio.BaseProtocol):
    """What arrives here leaves at the other end."""

    __slots__ = ("_entry", "_tunnel", "_write", "count", "ended", "peer", "transport")

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport, peer: asyncio.Transport) -> None:
        self._tunnel = tunnel
        self._entry = tunnel.entry
        self.peer = peer
        self._write = peer.write
        self.transport = transport
        self.ended = False
        self.count = 0

    def pause_writing(self) -> None:
        self.peer.pause_reading()

    def resume_writing(self) -> None:
        self.peer.resume_reading()

    def eof_received(self) -> bool:
        self.ended = True
        peer = self.peer
        if not peer.is_closing():
            if peer.can_write_eof():
                peer.write_eof()
            else:
                # TLS as asyncio has it cannot end one direction: what was written still arrives.
                peer.close()
        # Keep this side open for what the other still has to say, if that is not over, too.
        return self.transport.can_write_eof() and not (peer.is_closing() or self._tunnel.has_ended)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # part of asyncio.Protocol
        self._tunnel.end_lost()
        # The tunnel has its ends: the circle is opened, or it would wait for the garbage collector, for days.
        del self._tunnel


class _SmallEnd(_End, asyncio.Protocol):
    """As long as messages are small."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        self._write(data)
        self.count += len(data)
        self._entry.last_activity = time.time()
        # TLS as asyncio has it cannot say whether it is read.
        if len(data) >= LARGE and self.transport.can_write_eof():
            self._tunnel.enlarge(self)


class _LargeEnd(_End, asyncio.BufferedProtocol):
    """Once one was large."""

    __slots__ = ("_buffer",)

    def __init__(
        self, tunnel: Tunnel, transport: asyncio.Transport, peer: asyncio.Transport, buffer: ReadBuffer
    ) -> None:
        super().__init__(tunnel, transport, peer)
        self._buffer = buffer

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # part of asyncio.BufferedProtocol
        return self._buffer.view

    def buffer_updated(self, nbytes: int) -> None:
        buffer, peer = self._buffer, self.peer
        data = buffer.view[:nbytes]
        if peer.get_write_buffer_size():
            # It would wait behind what is not yet sent.
            self._write(bytes(data))
        else:
            self._write(data)
            if peer.get_write_buffer_size():
                buffer.renew()
        self.count += nbytes
        self._entry.last_activity = time.time()
