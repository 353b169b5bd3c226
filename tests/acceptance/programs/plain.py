"""
A web application that knows nothing of perijove: it tells what it was asked, on the socket that it was given.
"""

from __future__ import annotations

import json
import os
import socket
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseServer, ThreadingMixIn
from typing import Any


class Tell(BaseHTTPRequestHandler):
    """Answers every GET with what came."""

    def do_GET(self) -> None:
        """As the base class calls it."""
        said = {"path": self.path, "headers": dict(self.headers.items()), "uid": os.getuid(), "cwd": str(Path.cwd())}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        """A unix socket has no address of the other side."""
        return "-"


class HandedDown(ThreadingMixIn, BaseServer):
    """A server on descriptor 3, which listens already."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("", 0), Tell)
        self.socket = socket.socket(fileno=3)
        self.socket.setblocking(True)

    def fileno(self) -> int:
        """What to wait on."""
        return self.socket.fileno()

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection."""
        connection, _ = self.socket.accept()
        connection.setblocking(True)
        return connection, ("-", 0)

    def shutdown_request(self, request: Any) -> None:
        """It was answered."""
        request.close()


if __name__ == "__main__":
    HandedDown().serve_forever()
