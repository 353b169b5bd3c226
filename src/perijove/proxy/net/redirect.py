"""
The port for plain HTTP beside an https one: sends browsers on, and answers a certificate authority's challenges.

One request per connection, few connections, little time: nobody has business here for long. What is answered is
`core/redirects.py`. An answer to a challenge is a file named by the challenge's token, so that every process that
listens here has it as soon as it is written.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final

from perijove.proxy.core.answers import Answer, refusal
from perijove.proxy.core.errors import BadRequest
from perijove.proxy.core.heads import END_OF_HEAD, MAX_LINE
from perijove.proxy.core.redirects import Challenge, key_authorization, no_such_challenge, reply_to
from perijove.proxy.core.requests import FieldsMemo, read_request

#: Connections served at once; more are closed unread.
MAX_OPEN: Final = 256
#: Seconds that a client may read on after its answer.
LINGER_SECONDS: Final = 1.0
#: Longest answer to a challenge: token, dot and the hash of a key are some 90 bytes.
MAX_ANSWER: Final = 1024
#: Limit for `asyncio.start_server`: a request line must fit, cookies need not.
STREAM_LIMIT: Final = 2 * MAX_LINE


class RedirectServer:
    """Serves one connection per call of `handle`, as `asyncio.start_server` wants it."""

    def __init__(
        self, *, port: int, patience: float, challenges: Path | None, has_certificate: Callable[[], bool]
    ) -> None:
        """
        Args:
            port: where https is spoken, as browsers see it.
            patience: seconds for a request's head.
            challenges: folder of answers to challenges; None: there are none.
            has_certificate: whether https can be spoken yet.
        """
        self._port = port
        self._patience = patience
        self._challenges = challenges
        self._has_certificate = has_certificate
        self._memo = FieldsMemo(limit=0)
        self._open: set[asyncio.StreamWriter] = set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        if len(self._open) >= MAX_OPEN:
            writer.transport.abort()
            return
        self._open.add(writer)
        # The client is gone, or slow.
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(self._patience):
                writer.write(await self._answer(reader))
                await writer.drain()
            await _linger(reader, writer)
        self._open.discard(writer)
        writer.close()

    def close(self) -> None:
        """Cut all connections."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(END_OF_HEAD)
            request = read_request(head, self._memo)
        except asyncio.LimitOverrunError:
            too_large = refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The head is too large.")
            return too_large.render(close=True, head_only=False)
        except BadRequest as exc:
            return refusal(exc.status, str(exc)).render(close=True, head_only=False)
        reply = reply_to(request, port=self._port, has_certificate=self._has_certificate())
        if isinstance(reply, Challenge):
            reply = self._answer_challenge(reply)
        return reply.render(close=True, head_only=request.method == b"HEAD")

    def _answer_challenge(self, challenge: Challenge) -> Answer:
        if self._challenges is None:
            return no_such_challenge()
        try:
            # A token has no slash and no dot; links are not followed all the same.
            descriptor = os.open(self._challenges / challenge.token, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return no_such_challenge()
        with os.fdopen(descriptor, "rb") as file:
            return key_authorization(file.read(MAX_ANSWER))


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read on for a moment: a reset for what was not read could overtake the answer (RFC 9112 section 9.6)."""
    writer.write_eof()
    async with asyncio.timeout(LINGER_SECONDS):
        while await reader.read(STREAM_LIMIT):
            pass
