"""
Tornado's server, which is Jupyter Server's.
"""

from __future__ import annotations

import asyncio

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine

from tests.support.backends.record import Record, listen


async def main() -> None:
    """Serve for ever."""
    record = Record()

    def handle(request: HTTPServerRequest) -> None:
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.get_all()]
        answer = record.answer(request.method, request.uri, fields, request.body)
        connection = request.connection
        assert connection is not None
        headers = HTTPHeaders({"Content-Length": str(len(answer))})
        connection.write_headers(ResponseStartLine("", 200, "OK"), headers, b"" if request.method == "HEAD" else answer)
        connection.finish()

    server = HTTPServer(handle)
    server.add_socket(listen())
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
