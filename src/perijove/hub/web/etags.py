"""
ETags of the REST API's answers (RFC 9110, section 8.8.3), as JupyterHub's framework makes them: a middleware.

A caller who says what it has already (`If-None-Match`) gets 304 and no body when that is what it would get.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OK: Final = 200
_NOT_MODIFIED: Final = 304
#: Bytes of the hash. Only answers to one caller at one address are compared with each other.
_HASH_BYTES: Final = 12
#: of a 200, what a 304 must not have
_OF_THE_BODY: Final = frozenset({b"content-length", b"content-type"})


class ETags:
    """Adds the tag to answers below *prefix* that come in one piece; streams have none."""

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, and the answer back with its tag."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(self._prefix):
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def send_tagged(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and message["status"] == _OK:
                # Its headers depend on the body, which comes with the next message.
                start = message
                return
            if start is not None:
                begun, start = start, None
                if not message.get("more_body", False):
                    message = _tag(begun, message, scope["headers"])
                await send(begun)
            await send(message)

        await self._app(scope, receive, send_tagged)


def _tag(start: Message, body: Message, asked: Iterable[tuple[bytes, bytes]]) -> Message:
    """Give *start* the tag of *body*; answers the body to send, empty if the caller has it."""
    headers: Sequence[tuple[bytes, bytes]] = start["headers"]
    if any(name == b"etag" for name, _ in headers):
        return body
    tag = b'W/"%s"' % blake2b(body.get("body", b""), digest_size=_HASH_BYTES).hexdigest().encode()
    if not _has(asked, tag):
        start["headers"] = [*headers, (b"etag", tag)]
        return body
    start["status"] = _NOT_MODIFIED
    start["headers"] = [*(field for field in headers if field[0] not in _OF_THE_BODY), (b"etag", tag)]
    return {**body, "body": b""}


def _has(asked: Iterable[tuple[bytes, bytes]], tag: bytes) -> bool:
    for name, value in asked:
        if name == b"if-none-match":
            # Weak comparison: RFC 9110, section 13.1.2.
            known = {part.strip().removeprefix(b"W/") for part in value.split(b",")}
            if b"*" in known or tag.removeprefix(b"W/") in known:
                return True
    return False
