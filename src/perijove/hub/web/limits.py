"""
A bound on what a request may carry. Uploads go to users' servers; the hub's own requests are small.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The longest request of contract d is a list of user names; this holds some ten thousand.
MAX_BODY: Final = 1024 * 1024
#: What a page of a stopped server sends is read and forgotten, and sent again to that server. This is its own limit.
MAX_FORGOTTEN: Final = 512 * 1024 * 1024


class LimitBody:
    """
    Middleware that answers 413 to a longer body, stated or found.

    Args:
        app: what it stands before.
        forgotten: prefixes of paths whose bodies nobody keeps.
    """

    def __init__(self, app: ASGIApp, *, forgotten: tuple[str, ...] = ()) -> None:
        self._app = app
        self._forgotten = forgotten

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        longest = MAX_FORGOTTEN if scope["path"].startswith(self._forgotten) else MAX_BODY
        if _stated(scope, otherwise=longest + 1) > longest:
            refusal = JSONResponse({"status": 413, "message": "The request is too long."}, status_code=413)
            await refusal(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > longest:
                # Too late for an answer: whoever streams more than was stated is cut off.
                return {"type": "http.disconnect"}
            return message

        await self._app(scope, receive_counted, send)


def _stated(scope: Scope, *, otherwise: int) -> int:
    """The length that the head states; *otherwise* if that is no number."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else otherwise
    return 0
