"""
An HTTP client for one origin, `http://host:port` or `http+unix://<percent-encoded path>`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

import httpx

_UNIX: Final = "http+unix://"


def client_of(origin: str, *, timeout: float, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    """
    A client whose relative URLs are below *origin*; the environment's proxies are not for calls on this machine.

    Args:
        origin: where to.
        timeout: seconds for each of connecting, writing and reading.
        headers: sent with every request.
    """
    if origin.startswith(_UNIX):
        transport = httpx.AsyncHTTPTransport(uds=unquote(origin.removeprefix(_UNIX)))
        return httpx.AsyncClient(
            transport=transport, base_url="http://localhost", timeout=timeout, headers=headers, trust_env=False
        )
    return httpx.AsyncClient(base_url=origin, timeout=timeout, headers=headers, trust_env=False)
