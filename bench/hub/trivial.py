"""
A trivial HTTP server: 200 to everything, as cheaply as asyncio can. Alone it is one process; in a hub it is many.

    python bench/hub/trivial.py PORT
"""

from __future__ import annotations

import asyncio
import sys

#: JupyterHub looks for the version of its servers
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-JupyterHub-Version: 6.1.1\r\n\r\nok"


class _Trivial(asyncio.Protocol):
    """Answers every head."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport = transport
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        self._seen += data
        while b"\r\n\r\n" in self._seen:
            _, _, self._seen = self._seen.partition(b"\r\n\r\n")
            self._transport.write(_ANSWER)  # type: ignore[attr-defined]


class Servers:
    """Servers of this process, by key."""

    def __init__(self) -> None:
        self._by_key: dict[str, asyncio.Server] = {}

    async def start(self, key: str) -> int:
        """Listen at a free port, which is the answer."""
        server = await asyncio.get_running_loop().create_server(_Trivial, "127.0.0.1", 0)
        self._by_key[key] = server
        return int(server.sockets[0].getsockname()[1])

    async def stop(self, key: str) -> None:
        """Close it, if it is one of this process."""
        server = self._by_key.pop(key, None)
        if server is not None:
            server.close()


async def _alone(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Trivial, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_alone(int(sys.argv[1])))
