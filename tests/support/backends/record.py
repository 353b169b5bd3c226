"""
What a back end remembers, in one form for all of them.
"""

from __future__ import annotations

import json
import socket
from typing import Any, Final

SEEN: Final = "/seen"


class Record:
    """The complete requests that a back end has read."""

    def __init__(self) -> None:
        self._seen: list[dict[str, Any]] = []

    def answer(self, method: str, target: str, fields: list[tuple[bytes, bytes]], body: bytes) -> bytes:
        """Remember a request; what to answer it with."""
        if target == SEEN:
            return json.dumps(self._seen).encode()
        self._seen.append(
            {
                "method": method,
                "target": target,
                "fields": [[name.decode("latin-1").lower(), value.decode("latin-1")] for name, value in fields],
                "body": body.decode("latin-1"),
            }
        )
        return b"ok"


def listen() -> socket.socket:
    """A socket on a free port of loopback; the port is told to whoever started this."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(512)
    sock.setblocking(False)
    print(sock.getsockname()[1], flush=True)  # noqa: T201  # the starter reads it
    return sock
