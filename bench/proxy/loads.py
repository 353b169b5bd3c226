"""
What the proxies are loaded with, from core 1: wrk for requests, raw sockets for WebSockets.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import uvloop

HANDSHAKE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
CONNECTIONS: Final = 16


def requests(
    port: int, path: str, headers: Sequence[str], *, seconds: int, script: Path | None = None
) -> tuple[int, float]:
    """How many requests were answered, and how many a second."""
    output = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", "-c32", f"-d{seconds}", *(f"-H{header}" for header in headers),
         *(["-s", str(script)] if script else []), f"http://127.0.0.1:{port}{path}"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    if "Socket errors" in output or "Non-2xx" in output:
        print(f"port {port}, {path}: {output}")
    return int(re.findall(r"(\d+) requests in", output)[0]), float(re.findall(r"Requests/sec: +([\d.]+)", output)[0])


def echoes(port: int, size: int, *, seconds: int) -> tuple[int, float]:
    """How many messages of *size* bytes came back through WebSockets, and how many a second."""
    output = subprocess.run(
        ["taskset", "-c", "1", sys.executable, __file__, str(port), str(size), str(seconds)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return int(output), int(output) / seconds


class _Echo(asyncio.Protocol):
    """Sends a message as soon as the last one is back."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self._message = os.urandom(size)
        self._left = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self._write = cast("asyncio.Transport", transport).write
        self._write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        if self._left < 0:
            assert data.startswith(b"HTTP/1.1 101")
            self._left = 0
        else:
            self._left -= len(data)
            if self._left:
                return
            self.count += 1
        self._left = len(self._message)
        self._write(self._message)


async def _echo(port: int, size: int, seconds: int) -> int:
    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(lambda: _Echo(size), "127.0.0.1", port) for _ in range(CONNECTIONS)]
    await asyncio.sleep(seconds)
    for transport, _ in pairs:
        transport.abort()
    return sum(protocol.count for _, protocol in pairs)


def idle_websockets(port: int, count: int) -> list[socket.socket]:
    """So many open WebSockets."""
    sockets = []
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port), 20)
        sock.sendall(HANDSHAKE)
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        assert b" 101 " in head
        sockets.append(sock)
    return sockets


def alive(sockets: Sequence[socket.socket]) -> int:
    """How many of them still carry a message there and back."""
    count = 0
    for sock in sockets:
        sock.sendall(b"ping")
        count += sock.recv(4) == b"ping"
    return count


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(runner.run(_echo(*map(int, sys.argv[1:]))))
