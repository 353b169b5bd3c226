"""
Finds out whether a new server answers HTTP yet.

One small GET by hand: only the status line matters, and this is on the way of every start. A server whose
socket was bound before it was launched accepts at once and answers when it is ready, so that waiting is
reading; others are tried again with short pauses.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from functools import cached_property
from typing import Final
from urllib.parse import unquote, urlsplit

import structlog

log = structlog.get_logger(__name__)

#: seconds between tries: the first, and the longest
FIRST_PAUSE: Final = 0.01
LONGEST_PAUSE: Final = 0.5
#: Longest status line or interim header read.
MAX_LINE: Final = 8192
#: Most lines of interim answers (1xx) read before the final one.
MAX_LINES: Final = 100
#: RFC 9112, section 4
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: |\r?\n)")
_SERVER_ERROR: Final = 500
_FINAL: Final = 200


class HttpProber:
    """`hub.ports.Prober` over unix sockets, TCP and TLS; a certificate counts for it as it does for the proxy."""

    def __init__(self, authorities: str | None = None) -> None:
        """authorities: file of those that https servers' certificates are from; the system's if None."""
        self._authorities = authorities

    async def wait_until_answers(self, target: str, path: str, *, timeout: float) -> bool:
        """Whether GET *path* at *target* gave any status below 500 within *timeout* seconds."""
        pause = FIRST_PAUSE
        try:
            async with asyncio.timeout(timeout):
                while True:
                    status = await self._status(target, path)
                    if status is not None and status < _SERVER_ERROR:
                        return True
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
        except TimeoutError:
            log.info("server.silent", target=target, seconds=timeout)
            return False

    async def _status(self, target: str, path: str) -> int | None:
        """The status of one GET; None if there was none."""
        try:
            reader, writer = await self._connect(target)
        except OSError:
            return None
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {_host(target)}\r\nConnection: close\r\n\r\n".encode("ascii"))
            return await _read_status(reader)
        except (OSError, ValueError):
            return None
        finally:
            writer.close()

    async def _connect(self, target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        url = urlsplit(target)
        if url.scheme == "http+unix":
            return await asyncio.open_unix_connection(unquote(url.netloc), limit=MAX_LINE)
        if url.scheme == "https":
            return await asyncio.open_connection(url.hostname, url.port or 443, limit=MAX_LINE, ssl=self._tls)
        return await asyncio.open_connection(url.hostname, url.port or 80, limit=MAX_LINE)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._authorities)


def _host(target: str) -> str:
    url = urlsplit(target)
    return "localhost" if url.scheme == "http+unix" else url.netloc


async def _read_status(reader: asyncio.StreamReader) -> int | None:
    for _ in range(MAX_LINES):
        # Header fields of an interim answer, and the empty line after them, are no status lines: read over.
        match = _STATUS_LINE.match(line := await reader.readline())
        if not line:
            return None
        if match and int(match[1]) >= _FINAL:
            return int(match[1])
    return None
