"""
The path of a request as the browser wrote it: decoding it and encoding it again would make another of it (`%2F`).
"""

from __future__ import annotations

from starlette.requests import Request


def raw_path(request: Request) -> str:
    """Without the query; "" if the server does not tell it."""
    raw: bytes = request.scope.get("raw_path", b"")
    return raw.decode("ascii", "replace").partition("?")[0]
