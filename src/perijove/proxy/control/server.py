"""
The small HTTP/1.1 server in front of `api.py`: few clients, all trusted with the token, none in a hurry.

It reads heads with the data plane's own strict parser, so the proxy needs no HTTP library.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

import structlog

from perijove.kit.transports import cut
from perijove.proxy.control.api import Call, ControlApi
from perijove.proxy.core.answers import Answer, refusal
from perijove.proxy.core.errors import BadRequest
from perijove.proxy.core.heads import END_OF_HEAD, MAX_HEAD, split_fields
from perijove.proxy.core.requests import FieldsMemo, RequestHead, read_request

log = structlog.get_logger(__name__)

#: Longest body: a table of some ten thousand routes.
MAX_BODY: Final = 16 * 1024 * 1024
#: Seconds for a complete call; also how long an idle connection is kept.
CALL_SECONDS: Final = 75.0
#: TLS handshakes under way at once.
MAX_HANDSHAKES: Final = 64


class ControlServer:
    """Serves one connection per call of `handle`, as `asyncio.start_server` wants it."""

    def __init__(self, *, api: ControlApi) -> None:
        self._api = api
        # Tokens are in these heads: nothing is remembered.
        self._memo = FieldsMemo(limit=0)
        self._open: set[asyncio.StreamWriter] = set()
        self._handshakes = 0

    def protocol(self) -> asyncio.StreamReaderProtocol:
        """The protocol of one more connection, where there is no `asyncio.start_server`."""
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=STREAM_LIMIT), self.handle)

    def begin_handshake(self, peer: str) -> str | None:
        """Part of `Admission`."""
        if self._handshakes >= MAX_HANDSHAKES:
            return None
        self._handshakes += 1
        return peer

    def end_handshake(self, ticket: str) -> None:  # noqa: ARG002  # all are counted alike
        """Part of `Admission`."""
        self._handshakes -= 1

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer calls until the client has no more."""
        self._open.add(writer)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the client is gone, or says nothing
        finally:
            self._open.discard(writer)
            writer.close()

    def close(self) -> None:
        """Cut all connections."""
        for writer in list(self._open):
            cut(writer.transport)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        async with asyncio.timeout(CALL_SECONDS):
            try:
                head = await reader.readuntil(END_OF_HEAD)
                request = read_request(head, self._memo)
                body = await self._read_body(request, reader, writer)
            except asyncio.LimitOverrunError:
                answer, close = (
                    refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The head is too large."),
                    True,
                )
            except BadRequest as exc:
                answer, close = refusal(exc.status, str(exc)), True
            else:
                answer = await self._answer(request, head, body)
                close = request.fields.close or request.minor == 0
            writer.write(answer.render(close=close, head_only=False))
            await writer.drain()
        return not close

    async def _answer(self, request: RequestHead, head: bytes, body: bytes) -> Answer:
        fields = head.partition(b"\r\n")[2]
        said: dict[bytes, list[str]] = {}
        for name, value, _ in split_fields(fields):
            said.setdefault(name, []).append(value.decode("latin-1"))
        call = Call(
            method=request.method.decode("ascii"),
            target=request.target.decode("ascii"),
            authorization=said.get(b"authorization", [""])[0],
            body=body,
            if_match=", ".join(said[b"if-match"]) if b"if-match" in said else None,
        )
        try:
            return await self._api.answer(call)
        # The edge of the process: whatever a call does wrong, the next one is served.
        except Exception:
            log.exception("control.failed", method=call.method, target=call.target)
            return Answer(status=HTTPStatus.INTERNAL_SERVER_ERROR)

    @staticmethod
    async def _read_body(request: RequestHead, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        if request.fields.chunked:
            raise BadRequest("Send a Content-Length.", status=HTTPStatus.LENGTH_REQUIRED)
        if request.fields.length > MAX_BODY:
            raise BadRequest("The body is too large.", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if request.fields.expects_continue:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await reader.readexactly(request.fields.length)


#: Limit for `asyncio.start_server`: a head must fit.
STREAM_LIMIT: Final = MAX_HEAD
