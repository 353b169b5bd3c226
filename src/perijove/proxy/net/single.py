"""
Servers of one request per connection, for few clients and little time: plain HTTP beside https, and metrics.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import structlog

from perijove.proxy.core.answers import Answer, refusal
from perijove.proxy.core.errors import BadRequest
from perijove.proxy.core.heads import END_OF_HEAD
from perijove.proxy.core.requests import FieldsMemo, RequestHead, read_request

log = structlog.get_logger(__name__)

#: Seconds that a client may read on after its answer.
LINGER_SECONDS: Final = 1.0
_PIECE: Final = 64 * 1024


class SingleRequestServer:
    """Serves one connection per call of `handle`, as `asyncio.start_server` wants it."""

    def __init__(self, *, answer: Callable[[RequestHead], Awaitable[Answer]], patience: float, most: int) -> None:
        """
        Args:
            answer: what is answered.
            patience: seconds from the connection to the answer's last byte.
            most: connections served at once; more are closed unread.
        """
        self._answer = answer
        self._patience = patience
        self._most = most
        # Secrets may be in these heads: nothing is remembered.
        self._memo = FieldsMemo(limit=0)
        self._open: set[asyncio.StreamWriter] = set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        if len(self._open) >= self._most:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            # The client is gone, or slow.
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(self._patience):
                    writer.write(await self._reply(reader))
                    await writer.drain()
                await _linger(reader, writer)
        # The edge of the process: whatever goes wrong for one client, the next one is served.
        except Exception:
            log.exception("request.failed")
        finally:
            self._open.discard(writer)
            writer.close()

    def close(self) -> None:
        """Cut all connections."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _reply(self, reader: asyncio.StreamReader) -> bytes:
        head_only = False
        try:
            request = read_request(await reader.readuntil(END_OF_HEAD), self._memo)
        except asyncio.LimitOverrunError:
            answer = refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The head is too large.")
        except BadRequest as exc:
            answer = refusal(exc.status, str(exc))
        else:
            answer, head_only = await self._answer(request), request.method == b"HEAD"
        return answer.render(close=True, head_only=head_only)


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read on for a moment: a reset for what was not read could overtake the answer (RFC 9112 section 9.6)."""
    writer.write_eof()
    async with asyncio.timeout(LINGER_SECONDS):
        while await reader.read(_PIECE):
            pass
