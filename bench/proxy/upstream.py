"""
A server that costs as little as possible: 73 bytes of JSON, 1 MB at /big, an open WebSocket at /ws.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final, cast

import uvloop

SMALL: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 73\r\n\r\n" + b"x" * 73
BIG: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + b"x" * 1048576
SWITCH: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLBMmiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class Server(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._partial = b""
        self._is_tunnel = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        if self._is_tunnel:
            self._transport.write(data)
            return
        *heads, self._partial = (self._partial + data).split(b"\r\n\r\n")
        for head in heads:
            if head.startswith(b"GET /ws"):
                self._is_tunnel = True
                self._transport.write(SWITCH)
            else:
                self._transport.write(BIG if head.startswith(b"GET /big") else SMALL)


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
