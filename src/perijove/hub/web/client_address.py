"""
What the proxy says about the browser: its address and whether it speaks TLS.

The proxy is the only one who reaches the hub over the unix socket, so there, and only there,
X-Forwarded-* is believed. Who comes over TCP (servers, scripts on this machine) speaks for itself.
"""

from __future__ import annotations

from collections.abc import Container

from starlette.requests import HTTPConnection


def address_of(connection: HTTPConnection, trusted: Container[str] = ()) -> str:
    """
    The browser's address.

    The last entry of X-Forwarded-For is the one that our proxy wrote. If that is a *trusted* proxy's own
    address, the entry before it is the one that the trusted proxy wrote, and so on.
    """
    if connection.client is not None and connection.client.host:
        return connection.client.host
    entries = [entry.strip() for entry in connection.headers.get("x-forwarded-for", "").split(",")]
    return next((entry for entry in reversed(entries) if entry not in trusted), entries[0])


def is_tls(connection: HTTPConnection) -> bool:
    """Whether the browser's connection is encrypted; contract h: the first entry counts."""
    if connection.client is not None and connection.client.host:
        return connection.url.scheme == "https"
    return connection.headers.get("x-forwarded-proto", "").split(",")[0].strip().lower() == "https"
