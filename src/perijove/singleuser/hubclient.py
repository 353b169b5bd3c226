"""
Posts to the hub with this server's token, over TCP or a unix socket.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.netutil import Resolver
from tornado.simple_httpclient import HTTPTimeoutError, SimpleAsyncHTTPClient

#: Seconds a call may take.
TIMEOUT: Final = 20.0


class UnixResolver(Resolver):
    """Resolves every host to one unix socket."""

    def initialize(self, path: str) -> None:
        """Tornado's constructor."""
        self._path = path

    async def resolve(self, host: str, port: int, family: int = 0) -> list[tuple[int, Any]]:  # noqa: ARG002
        """The socket."""
        return [(socket.AF_UNIX, self._path)]


def poster(url: str, token: str) -> Callable[[str], Awaitable[str]]:
    """
    A function that posts a JSON body to *url* (`http`, `https` or `http+unix`) and answers the answer's body.

    It raises OSError when the hub cannot be reached or refuses, or when there is none: *url* is empty.
    """
    parts = urlsplit(url)
    resolver = None
    if parts.scheme == "http+unix":
        resolver = UnixResolver(path=unquote(parts.netloc))
        url = parts._replace(scheme="http", netloc="localhost").geturl()
    client = SimpleAsyncHTTPClient(force_instance=True, resolver=resolver)
    headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}

    async def post(body: str) -> str:
        if not url:
            raise ConnectionError("this server has no hub")
        request = HTTPRequest(url, method="POST", body=body, headers=headers, request_timeout=TIMEOUT)
        try:
            answer = await client.fetch(request)
        except HTTPTimeoutError as exc:
            raise TimeoutError("the hub does not answer") from exc
        except HTTPClientError as exc:
            raise ConnectionError(f"the hub answered {exc.code}") from exc
        return answer.body.decode("utf-8", "replace")

    return post
