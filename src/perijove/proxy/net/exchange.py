"""
One request and its answer, between a client connection and an upstream connection.

The head of the answer is read whole and rewritten; body bytes pass through as they came, counted by a frame
and under backpressure. The rule of this file: every way out goes through `_detach`, once, and leaves the
upstream connection either in the pool, clean, or closed.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Final, Protocol

import structlog

from perijove.kit.transports import cut
from perijove.proxy.core.answers import CLOSE
from perijove.proxy.core.confine import Fence
from perijove.proxy.core.errors import BadResponse
from perijove.proxy.core.framing import BadFraming, Frame, without_trailers
from perijove.proxy.core.heads import END_OF_HEAD, MAX_HEAD
from perijove.proxy.core.relocation import STATUSES, Relocation
from perijove.proxy.core.requests import RequestHead
from perijove.proxy.core.responses import SWITCHING, ResponseHead, plain_answer, read_response
from perijove.proxy.core.routes import Entry
from perijove.proxy.net.upstream import UpstreamConnection
from perijove.wire.identity import IdentityClaims

log = structlog.get_logger(__name__)

#: Interim answers (1xx) before the final one.
MAX_INTERIM: Final = 16
_FIRST_REDIRECT: Final = 300
_LENGTH_OF_END: Final = len(END_OF_HEAD)
#: Longest answer that is looked at in one piece.
MAX_PASSED_ON: Final = 128 * 1024


class ClientSide(Protocol):
    """What an exchange needs of the client's connection."""

    #: bytes received and not yet used
    pending: bytes
    #: of the final answer
    status: int

    def write(self, data: bytes) -> None: ...  # noqa: D102

    def take_pending(self) -> bytes:
        """All of `pending`; there is room for more again."""

    def hold_for_server(self, *, hold: bool) -> None:
        """Stop reading from the client while the server does not read."""

    def request_over(self, *, close: bool) -> None:
        """The answer is complete."""

    def fail(self, status: int, exchange: Exchange) -> None:
        """There will be no answer: send an error page."""

    def abort(self) -> None:
        """The answer cannot be completed: cut the connection, so that nobody takes it for complete."""


class Surroundings(Protocol):
    """What an exchange needs of the proxy."""

    def put_back(self, upstream: UpstreamConnection) -> None: ...  # noqa: D102

    def reconnect(self, exchange: Exchange) -> None: ...  # noqa: D102

    def join(self, exchange: Exchange, upstream: UpstreamConnection) -> None:
        """Make a tunnel of the two connections."""

    @property
    def is_draining(self) -> bool:
        """Whether connections are closed after their answer."""
        ...

    def now(self) -> float:
        """Coarse monotonic time."""
        ...


class Exchange:
    """A request under way."""

    # What most requests never change is said once, here: setting it all for each would cost a microsecond.
    is_over = False
    is_retried = False
    _upstream: UpstreamConnection | None = None
    _body: Frame | None = None
    _request_sent = False
    _frame: Frame | None = None
    _partial = b""
    _interims = 0
    _is_reusable = False
    _is_started = False
    #: errors and redirects are no sign of life (contract section h)
    _is_success = False

    def __init__(
        self,
        *,
        client: ClientSide,
        surroundings: Surroundings,
        request: RequestHead,
        head: bytes,
        entry: Entry,
        claims: IdentityClaims | None,
        fence: Fence | None,
        relocation: Relocation | None = None,
    ) -> None:
        """
        Args:
            client: whose request it is.
            surroundings: the proxy.
            request: what was asked.
            head: the rewritten head for the server.
            entry: the route.
            claims: in whose name; None on open routes.
            fence: limits for the answer; None on open routes.
            relocation: what becomes of redirects; None: nothing.
        """
        self.client = client
        self.request = request
        self.entry = entry
        self.claims = claims
        #: coarse monotonic time of the last byte in either direction
        self.progress = surroundings.now()
        self._surroundings = surroundings
        self._head = head
        self._fence = fence
        self._relocation = relocation
        if request.fields.has_body:
            self._body = request.body_frame()
        #: whether what follows the answer's head does not depend on it alone
        self._is_special = request.method == b"HEAD" or request.upgrade != b"" or relocation is not None
        #: whether the client's connection ends with this answer
        self._close = request.fields.close or request.minor == 0

    @property
    def wants_body(self) -> bool:
        """Whether bytes from the client belong to this request."""
        return self._request_sent and self._body is not None and not self._body.done

    @property
    def is_answering(self) -> bool:
        """Whether the client has seen the beginning of the final answer."""
        return self._is_started

    @property
    def has_body_left(self) -> bool:
        """Whether the client still owes a part of the body."""
        return self._body is not None and not self._body.done

    def start(self, upstream: UpstreamConnection) -> None:
        """Send the request, and as much of its body as there is."""
        self._upstream = upstream
        upstream.borrower = self
        self._request_sent = True
        upstream.transport.write(self._head)
        if self._body is not None and self.client.pending:
            self.client.pending = self.request_received(self.client.take_pending())

    def request_received(self, data: bytes) -> bytes:
        """Pass on body bytes of the request; answers what does not belong to it."""
        body, upstream = self._body, self._upstream
        if body is None or upstream is None:
            return data
        try:
            end = body.feed(data, 0)
        except BadFraming as exc:
            log.info("request.bad_body", reason=str(exc))
            self._give_up(HTTPStatus.BAD_REQUEST)
            return b""
        self.progress = self._surroundings.now()
        self.entry.last_activity = time.time()
        upstream.transport.write(without_trailers(body, data, 0, end))
        return data[end:]

    def response_received(self, data: bytes) -> None:
        """Part of `Borrower`."""
        try:
            # After a whole answer there is nothing whose progress is of interest.
            if self._frame is None and not self._partial and self._pass_on(data):
                return
            self.progress = self._surroundings.now()
            if self._frame is not None:
                self._relay(self._frame, b"", data, 0)
            else:
                self._read_head(data)
        except (BadResponse, BadFraming) as exc:
            log.warning("response.bad", route=self.entry.path, reason=str(exc))
            self._give_up(HTTPStatus.BAD_GATEWAY)

    def upstream_lost(self, error: Exception | None) -> None:
        """Part of `Borrower`."""
        upstream, self._upstream = self._upstream, None
        if self._frame is not None and self._frame.until_eof and error is None:
            self._detach()
            self.client.request_over(close=True)
        elif self._may_retry(upstream):
            self.is_retried = True
            self._request_sent = False
            self._surroundings.reconnect(self)
        else:
            self._give_up(HTTPStatus.SERVICE_UNAVAILABLE)

    def upstream_full(self, *, full: bool) -> None:
        """Part of `Borrower`."""
        self.client.hold_for_server(hold=full)

    def client_full(self, *, full: bool) -> None:
        """The client does not read, or does again."""
        if self._upstream is None:
            return
        if full:
            self._upstream.transport.pause_reading()
        else:
            self._upstream.transport.resume_reading()

    def client_lost(self) -> None:
        """The client is gone."""
        self._detach()

    def revoke(self) -> None:
        """The right to this answer has ended."""
        self._detach()
        self.client.abort()

    def unreachable(self) -> None:
        """There is no connection to the server."""
        self._give_up(HTTPStatus.SERVICE_UNAVAILABLE)

    def time_out(self) -> None:
        """Nothing has come for too long."""
        self._give_up(HTTPStatus.GATEWAY_TIMEOUT)

    def _pass_on(self, data: bytes) -> bool:
        """Send *data* on as it is, if it is a whole answer of which nothing is of note; whether it was."""
        size, end = len(data), data.find(END_OF_HEAD) + _LENGTH_OF_END
        body, surroundings = self._body, self._surroundings
        if (
            end < _LENGTH_OF_END
            or size > MAX_PASSED_ON
            or self._close
            or self._is_special
            or (body is not None and not body.done)
            or surroundings.is_draining
        ):
            return False
        answer = plain_answer(data[:end])
        if answer is None or answer[0] != size - end:
            return False
        head, client = answer[1], self.client
        client.status = status = int(data[9:12])
        client.write(data if len(head) == end else head + data[end:])
        if status < _FIRST_REDIRECT:
            self.entry.last_activity = time.time()
        self._detach(reuse=True)
        client.request_over(close=False)
        return True

    def _read_head(self, data: bytes) -> None:
        if self._partial:
            data, self._partial = self._partial + data, b""
        while True:
            end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
            if end < len(END_OF_HEAD):
                if len(data) > MAX_HEAD:
                    raise BadResponse("The head of the response is too large.")
                self._partial = data
                return
            head = read_response(data[:end], self._fence)
            if head.is_interim:
                self._relay_interim(head)
                data = data[end:]
                continue
            if head.status == SWITCHING:
                self._switch(head, data[end:])
            else:
                self._answer(head, data, end)
            return

    def _relay_interim(self, head: ResponseHead) -> None:
        self._interims += 1
        if self._interims > MAX_INTERIM:
            raise BadResponse("Too many interim responses.")
        if self.request.minor:
            self.client.write(head.render())

    def _switch(self, head: ResponseHead, rest: bytes) -> None:
        upstream = self._upstream
        if not self.request.is_upgrade or upstream is None:
            raise BadResponse("The server switched protocols although nobody asked.")
        self.client.write(head.render(added=self.request.upgrade_lines) + rest)
        upstream.borrower = None
        self._upstream = None
        self.is_over = True
        self._surroundings.join(self, upstream)

    def _answer(self, head: ResponseHead, data: bytes, end: int) -> None:
        frame = head.body_frame(self.request.method)
        if head.chunked and self.request.minor == 0:
            raise BadResponse("A chunked answer to HTTP/1.0.")
        self._is_reusable = not (head.close or frame.until_eof)
        self._is_success = head.status < _FIRST_REDIRECT
        self.client.status = head.status
        upstream = self._upstream
        if self._relocation is not None and upstream is not None and head.status in STATUSES:
            head.lines = self._relocation.apply(head.lines, target=upstream.target, host=self.request.fields.host)
        # What the client sends behind a refused upgrade, or has not sent of its body, would be taken for
        # its next request.
        self._close = (
            self._close
            or frame.until_eof
            or self.has_body_left
            or self.request.is_upgrade
            or self._surroundings.is_draining
        )
        self._frame = frame
        self._relay(frame, head.render(added=CLOSE if self._close else b""), data, end)

    def _relay(self, frame: Frame, head: bytes, data: bytes, start: int) -> None:
        end = start if frame.done else frame.feed(data, start)
        piece = without_trailers(frame, data, start, end)
        self.client.write(head + piece if head else piece)
        self._is_started = True
        if self._is_success:
            self.entry.last_activity = time.time()
        if frame.done:
            self._complete(clean=end == len(data))

    def _complete(self, *, clean: bool) -> None:
        clean = clean and not self.has_body_left
        self._detach(reuse=clean and self._is_reusable)
        self.client.request_over(close=self._close)

    def _give_up(self, status: HTTPStatus) -> None:
        if self.is_over:
            return
        self._detach()
        if self.is_answering:
            self.client.abort()
        else:
            self.client.fail(status, self)

    def _detach(self, *, reuse: bool = False) -> None:
        self.is_over = True
        upstream, self._upstream = self._upstream, None
        if upstream is None:
            return
        upstream.borrower = None
        if reuse and self.entry.live:
            self._surroundings.put_back(upstream)
        else:
            cut(upstream.transport)

    def _may_retry(self, upstream: UpstreamConnection | None) -> bool:
        """
        Whether the server closed an idle connection at just this moment (RFC 9112 section 9.3.1).
        """
        return (
            upstream is not None
            and upstream.is_reused
            and not self.is_retried
            and not self._partial
            and not self._interims
            and self._frame is None
            and self.request.is_idempotent
            and self.entry.live
        )
