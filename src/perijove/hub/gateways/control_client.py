"""
Calls of a proxy's control API, by an HTTP client that keeps its connections.

A file of its own because loading the client is a good part of the hub's start: `proxy.py` does so with the first call,
when the hub listens already.
"""

from __future__ import annotations

import contextlib
import ssl
import sys
from collections.abc import Mapping
from http import HTTPStatus
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx
import orjson

from perijove.hub.domain.errors import ProxyAway

if find_spec("sniffio") is None:
    # The client looks for it with every call, several times, and an import that fails searches all folders anew: that
    # was half of what a call costs. None says that it is not there (the language reference, “The module cache”).
    sys.modules["sniffio"] = None  # type: ignore[assignment]

with contextlib.suppress(ImportError):
    # The client loads it with its first call: on the event loop, where others would wait a tenth of a second.
    import_module("anyio._backends._asyncio")

_UNIX: Final = "http+unix"


class ControlClient:
    """A client of one proxy."""

    def __init__(self, base: str, token: str, *, timeout: float) -> None:
        """Prepare calls; nothing is opened yet. The arguments are `HttpProxyGateway`'s."""
        url = urlsplit(base)
        socket = unquote(url.netloc) if url.scheme == _UNIX else None
        # The authorities that the system trusts, or those of $SSL_CERT_FILE; loaded only where they are needed.
        verify = ssl.create_default_context() if url.scheme == "https" else False
        self._client = httpx.AsyncClient(
            base_url="http://proxy" if socket else base,
            transport=httpx.AsyncHTTPTransport(uds=socket, verify=verify, retries=1),
            headers={"Authorization": f"token {token}"},
            timeout=timeout,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def call(
        self, method: str, path: str, body: Any, *, may_be_missing: bool, if_match: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        """
        Status, headers and body of the answer: a good one, a 404 that may be, or a 412 to *if_match*.

        Raises:
            ProxyAway: there is no other.
        """
        headers = {"If-Match": if_match} if if_match else {}
        content = None
        if body is not None:
            # Tables of thousands of routes, in a fifth of the time that the client takes.
            content, headers["Content-Type"] = orjson.dumps(body), "application/json"
        try:
            response = await self._send(method, path, content, headers)
        except httpx.HTTPError as exc:
            raise ProxyAway(f"The proxy does not answer right now ({type(exc).__name__}).") from exc
        status = response.status_code
        is_missing = may_be_missing and status == HTTPStatus.NOT_FOUND
        is_overtaken = bool(if_match) and status == HTTPStatus.PRECONDITION_FAILED
        if response.is_success or is_missing or is_overtaken:
            return status, response.headers, response.content
        if status == HTTPStatus.FORBIDDEN:
            raise ProxyAway("The proxy refuses the hub's token: both must be given the same CONFIGPROXY_AUTH_TOKEN.")
        raise ProxyAway(f"The proxy answered {status} to {method} {path}.")

    async def _send(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> httpx.Response:
        try:
            return await self._client.request(method, path, content=content, headers=headers)
        except httpx.TimeoutException:
            raise
        except httpx.TransportError:
            # A connection kept from before the proxy restarted. Every call may be made twice: they all state what is,
            # and a whole table that has arrived the first time is then of an older version, and read again.
            return await self._client.request(method, path, content=content, headers=headers)
