"""
One connection from a browser: reads heads, hands requests to the frontend, writes what comes back.

One request is in flight at a time; what a client sends ahead waits in `pending`, bounded. A connection is
in exactly one `Phase`. Timers are not per request: `patience.py` looks at every connection once a second.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from enum import Enum, auto
from http import HTTPStatus
from typing import Final, Protocol, cast

import structlog

from perijove.kit.transports import cut
from perijove.proxy.core.answers import Answer, refusal
from perijove.proxy.core.errors import BadRequest
from perijove.proxy.core.heads import END_OF_HEAD, check_head_size
from perijove.proxy.core.limits import Limit, Limits
from perijove.proxy.core.pace import Pace
from perijove.proxy.core.requests import FieldsMemo, RequestFields, RequestHead, read_request
from perijove.proxy.core.routes import Entry
from perijove.proxy.net.exchange import Exchange
from perijove.proxy.net.timeouts import Timeouts
from perijove.proxy.net.upstream import WRITE_HIGH_WATER, WRITE_LOW_WATER

log = structlog.get_logger(__name__)

#: Bytes a client may send ahead of their turn before it is no longer read.
MAX_PENDING: Final = 64 * 1024
#: What those are told for whom there is no room; nothing has been read of them.
_FULL: Final = refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections.").render(close=True, head_only=False)
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

# Why the client is not read; a bit each, because several may hold at once and this is the hot path.
_AHEAD: Final = 1
_CONNECTING: Final = 2
_SERVER_FULL: Final = 4


class Phase(Enum):
    """What a client's connection is doing."""

    READING = auto()  #: between requests, or in the middle of a head
    WORKING = auto()  #: a request is in flight
    LINGERING = auto()  #: all has been said; reading on a moment so that the last answer arrives
    CLOSING = auto()  #: flushing
    GONE = auto()  #: lost, or now a tunnel


# Where every request comes by: a member of an enumeration takes a look into two dictionaries.
_READING: Final = Phase.READING
_WORKING: Final = Phase.WORKING
_LENGTH_OF_END: Final = len(END_OF_HEAD)


class Server(Protocol):
    """What a connection needs of the proxy."""

    @property
    def memo(self) -> FieldsMemo: ...  # noqa: D102

    @property
    def timeouts(self) -> Timeouts: ...  # noqa: D102

    @property
    def limits(self) -> Limits: ...  # noqa: D102

    @property
    def is_draining(self) -> bool: ...  # noqa: D102

    def now(self) -> float: ...  # noqa: D102

    def admit(self, client: ClientConnection) -> bool:
        """Whether there is room for one more."""

    def refused(self, limit: Limit) -> None:
        """A client has come up against *limit*."""

    def release(self, session: str) -> None:
        """A WebSocket of *session* has not come to be."""

    def ended(self, client: ClientConnection) -> None:
        """The request in flight is over, or what was read was none; what is known of it is still there."""

    def serve(self, client: ClientConnection, request: RequestHead) -> None:
        """Answer *request*, now or later."""

    def show_error(self, client: ClientConnection, status: int, exchange: Exchange) -> None:
        """Answer with an error page."""

    def leave(self, client: ClientConnection) -> None: ...  # noqa: D102


class ClientConnection(asyncio.Protocol):
    """The protocol of a client's connection."""

    __slots__ = (
        "_scanned", "address", "began", "entry", "exchange", "has_ended", "holds", "is_full", "pace", "peer",
        "pending", "phase", "received", "request", "sent", "sent_fields", "sent_for", "server", "session", "since",
        "status", "task", "transport",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        self.server = server
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)  # set by connection_made
        self.peer = ""
        self.phase = Phase.READING
        self.pending = b""
        self.request: RequestHead | None = None
        #: what answers the request in flight, as soon as it is connected
        self.exchange: Exchange | None = None
        #: work that the request in flight waits for
        self.task: asyncio.Task[None] | None = None
        #: what the last request's fields became, for whom: clients repeat themselves
        self.sent_fields = b""
        self.sent_for: tuple[RequestFields, Entry, str, bool] | None = None
        #: what this connection is counted as, by its limit; empty: not at all
        self.address = ""
        #: the session whose WebSocket is on its way, if one is
        self.session = ""
        #: the route of the request in flight, and the status it was answered with; 0: not yet
        self.entry: Entry | None = None
        self.status = 0
        #: monotonic seconds at which the request in flight had been read; 0: there is none
        self.began = 0.0
        #: bytes from and to the client since the last request was over
        self.received = 0
        self.sent = 0
        #: how slowly it sends or takes, once it does
        self.pace: Pace | None = None
        self._scanned = 0
        #: coarse monotonic time at which what it does was begun
        self.since = server.now()
        #: why it is not read although it sends; 0: it is
        self.holds = 0
        #: whether it does not take what is written, and whether it will send no more
        self.is_full = False
        self.has_ended = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) else ""
        self.transport.set_write_buffer_limits(WRITE_HIGH_WATER, WRITE_LOW_WATER)
        if not self.server.admit(self):
            # No lingering: that would hold the descriptor that somebody else waits for.
            self.phase = Phase.CLOSING
            self.transport.write(_FULL)
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        self.received += len(data)
        if self.phase is _READING:
            if not self.pending:
                self.since = self.server.now()
            self.pending = self.pending + data if self.pending else data
            self._advance()
        elif self.phase is Phase.WORKING:
            exchange = self.exchange
            if exchange is not None and exchange.wants_body:
                data = exchange.request_received(data)
            if data and self.phase is Phase.WORKING:
                self.pending += data
                if len(self.pending) > MAX_PENDING:
                    self._hold(_AHEAD)

    def eof_received(self) -> bool:
        """Part of `asyncio.Protocol`; the client will send no more, but may wait for its answer."""
        self.has_ended = True
        # TLS as asyncio has it knows no half-closed connections: there the answer has nobody to go to.
        can_answer = self.transport.can_write_eof()
        if self.phase is not Phase.WORKING:
            return can_answer and self.phase is Phase.READING and self._has_request
        if self.exchange is not None and self.exchange.has_body_left:
            self.abort()
        return can_answer

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # part of asyncio.Protocol
        """Part of `asyncio.Protocol`."""
        self.phase = Phase.GONE
        self._account()
        self._let_go()
        self.server.leave(self)

    def pause_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        self.is_full = True
        if self.exchange is not None:
            self.exchange.client_full(full=True)

    def resume_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        self.is_full = False
        if self.exchange is not None:
            self.exchange.client_full(full=False)
        self._advance()

    # what an exchange and the frontend need

    def write(self, data: bytes) -> None:
        """Send *data*."""
        self.sent += len(data)
        self.transport.write(data)

    def take_pending(self) -> bytes:
        """Part of `ClientSide`."""
        pending, self.pending = self.pending, b""
        self._release(_AHEAD)
        return pending

    def hold_for_connect(self, *, hold: bool) -> None:
        """Read no body while there is nowhere to put it."""
        (self._hold if hold else self._release)(_CONNECTING)

    def hold_for_server(self, *, hold: bool) -> None:
        """Part of `ClientSide`."""
        (self._hold if hold else self._release)(_SERVER_FULL)

    def answer(self, answer: Answer, *, close: bool = False) -> None:
        """Answer the request in flight without a server."""
        request = self.request
        if self.phase in {Phase.GONE, Phase.CLOSING, Phase.LINGERING}:
            return
        # A body that nobody reads would be taken for the next request.
        close = close or request is None or request.has_body or request.is_upgrade
        close = close or request is None or request.fields.close or request.minor == 0 or self.server.is_draining
        head_only = request is not None and request.method == b"HEAD"
        self.status = answer.status
        self.write(answer.render(close=close, head_only=head_only))
        self.request_over(close=close)

    def request_over(self, *, close: bool) -> None:
        """The answer has been written; go on to the next request."""
        may_send_more = close and _may_send_more(self)
        self._account()
        self.exchange = None
        self.task = None
        if self.phase is not _WORKING and not close:
            return
        server = self.server
        self.since = server.now()
        if close or server.is_draining or (self.has_ended and not self._has_request):
            self._linger(may_send_more=may_send_more)
            return
        self.phase = _READING
        if self.holds:
            self._release(_AHEAD | _CONNECTING | _SERVER_FULL)
        if self.pending:
            # Not at once: a thousand requests sent ahead would be a thousand stack frames.
            asyncio.get_running_loop().call_soon(self._advance)

    def fail(self, status: int, exchange: Exchange) -> None:
        """Part of `ClientSide`."""
        self.server.show_error(self, status, exchange)

    def abort(self) -> None:
        """Cut the connection with a reset: nobody must take an incomplete answer for a complete one."""
        self.phase = Phase.CLOSING
        self._account()
        self._let_go()
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        cut(self.transport)

    def become_tunnel(self) -> bytes:
        """Give up the transport; answers what the client has sent ahead."""
        self.phase = Phase.GONE
        self.exchange = None
        self.request = None
        self.status = 0
        self.server.leave(self)
        pending, self.pending = self.pending, b""
        return pending

    def close_if_idle(self) -> None:
        """Close between requests."""
        if self.phase is Phase.READING and not self.pending:
            self.close()

    # inside

    @property
    def _has_request(self) -> bool:
        """Whether a further request has been sent ahead, or at least its head."""
        return END_OF_HEAD in self.pending

    def _account(self) -> None:
        """Say what became of the request in flight, once."""
        if self.request is None and not self.status:
            return
        self.server.ended(self)
        if self.session:
            self.server.release(self.session)
            self.session = ""
        self.request = self.entry = self.pace = None
        self.status = self.received = self.sent = 0
        self.began = 0.0

    def _advance(self) -> None:
        """Read the next head, if there is one and the last answer is out."""
        data = self.pending
        if self.phase is not _READING or self.is_full or not data:
            return
        server = self.server
        limits = server.limits
        end = data.find(END_OF_HEAD, self._scanned) + _LENGTH_OF_END
        try:
            if end < _LENGTH_OF_END:
                self._scanned = max(0, len(data) - _LENGTH_OF_END + 1)
                check_head_size(data, -1, limits.line, limits.head)
                return
            self._scanned = 0
            if end > limits.line or end > limits.head:
                check_head_size(data, end, limits.line, limits.head)
            if end == len(data):
                self.pending = b""
            else:
                self.pending, data = data[end:], data[:end]
            request = read_request(data, server.memo)
        except BadRequest as exc:
            log.info("request.refused", peer=self.peer, status=exc.status, reason=str(exc))
            if exc.limit is not None:
                self.server.refused(exc.limit)
            self.answer(refusal(exc.status, str(exc)), close=True)
            return
        self.request = request
        self.began = time.monotonic()
        self.phase = _WORKING
        server.serve(self, request)

    def _hold(self, reason: int) -> None:
        if not self.holds:
            self.transport.pause_reading()
        self.holds |= reason

    def _release(self, reasons: int) -> None:
        was, self.holds = self.holds, self.holds & ~reasons
        if was and not self.holds and not self.transport.is_closing():
            self.transport.resume_reading()

    def _linger(self, *, may_send_more: bool) -> None:
        """
        Say that all has been said, and read on for a moment.

        Closing at once with input unread makes the kernel send a reset, which can overtake the answer
        (RFC 9112 section 9.6). TLS as asyncio has it cannot say so without closing both directions: there the
        moment is given only to a client that may still be sending; its answer has a length.
        """
        self.pending = b""
        can_end = self.transport.can_write_eof()
        if self.has_ended or not (can_end or may_send_more):
            self.close()
            return
        self.phase = Phase.LINGERING
        self.since = self.server.now()
        self._release(_AHEAD | _CONNECTING | _SERVER_FULL)
        if can_end and not self.transport.is_closing():
            self.transport.write_eof()

    def close(self) -> None:
        """Flush and close."""
        self.phase = Phase.CLOSING
        self.since = self.server.now()
        self.transport.close()

    def _let_go(self) -> None:
        """Drop what worked for this client."""
        exchange, self.exchange = self.exchange, None
        task, self.task = self.task, None
        if exchange is not None:
            # A connection that is being made is closed by whoever makes it: cancelled at the wrong moment it
            # would be open and nobody's.
            if not exchange.is_over:
                exchange.client_lost()
        elif task is not None:
            task.cancel()


def _may_send_more(client: ClientConnection) -> bool:
    """Whether *client* is likely to be in the middle of sending something."""
    exchange, request = client.exchange, client.request
    owes = exchange.has_body_left if exchange is not None else request is None or request.has_body
    return owes or bool(client.pending)
