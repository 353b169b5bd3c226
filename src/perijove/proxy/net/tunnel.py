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


class Tunnel:
    """Two joined transports."""

    __slots__ = (
        "_a", "_b", "_is_over", "_on_closed", "address", "claims", "entry", "half_closed_since", "served", "session",
        "target",
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
        self._on_closed = on_closed
        self._is_over = False
        self._a = _End(self, client, server)
        self._b = _End(self, server, client)
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

    def end_lost(self) -> None:
        """One side is gone: so is the tunnel; what the other has not yet been sent is still sent."""
        self._a.transport.close()
        self._b.transport.close()
        if not self._is_over:
            self._is_over = True
            self._on_closed(self)


class _End(asyncio.Protocol):
    """What arrives here leaves at the other end."""

    __slots__ = ("_entry", "_peer", "_tunnel", "_write", "count", "ended", "transport")

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport, peer: asyncio.Transport) -> None:
        self._tunnel = tunnel
        self._entry = tunnel.entry
        self._peer = peer
        self._write = peer.write
        self.transport = transport
        self.ended = False
        self.count = 0

    def data_received(self, data: bytes) -> None:
        self._write(data)
        self.count += len(data)
        self._entry.last_activity = time.time()

    def pause_writing(self) -> None:
        self._peer.pause_reading()

    def resume_writing(self) -> None:
        self._peer.resume_reading()

    def eof_received(self) -> bool:
        self.ended = True
        peer = self._peer
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
