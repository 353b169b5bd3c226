"""
uvicorn, which is the hub's server; the argument names its parser: `h11` or `httptools`.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

from tests.support.backends.record import Record, listen

RECORD = Record()


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """An ASGI application."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    target = (scope["raw_path"] + query).decode("latin-1")
    answer = RECORD.answer(scope["method"], target, [(n, v) for n, v in scope["headers"]], body)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    parser: Any = sys.argv[1]
    settings = uvicorn.Config(
        app, http=parser, ws="none", lifespan="off", log_level="critical", h11_max_incomplete_event_size=256 * 1024
    )
    uvicorn.Server(settings).run(sockets=[listen()])
