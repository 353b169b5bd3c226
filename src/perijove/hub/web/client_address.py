"""
What the proxy says about the browser: its address and whether it speaks TLS.

The proxy is the only one who reaches the hub over the unix socket, so there, and only there,
X-Forwarded-* is believed. Who comes over TCP (servers, scripts on this machine) speaks for itself.
"""

from __future__ import annotations

from starlette.requests import HTTPConnection


def address_of(connection: HTTPConnection) -> str:
    """The browser's address: the last entry of X-Forwarded-For is the one that our proxy wrote."""
    if connection.client is not None and connection.client.host:
        return connection.client.host
    return _last(connection.headers.get("x-forwarded-for", ""))


def is_tls(connection: HTTPConnection) -> bool:
    """Whether the browser's connection is encrypted; contract h: the first entry counts."""
    if connection.client is not None and connection.client.host:
        return connection.url.scheme == "https"
    return connection.headers.get("x-forwarded-proto", "").split(",")[0].strip().lower() == "https"


def _last(values: str) -> str:
    return values.rsplit(",", 1)[-1].strip()
