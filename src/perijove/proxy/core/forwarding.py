"""
The `X-Forwarded-*` lines (contract section h).

They are what servers believe about where a request came from, so a client's own are replaced; only those of
a peer that is trusted to forward are kept and appended to. The comma has no space behind it, as
configurable-http-proxy writes it.
"""

from __future__ import annotations

from collections.abc import Mapping

from perijove.proxy.core.requests import RequestFields


def forwarded_lines(fields: RequestFields, *, peer: str, trusted: bool, scheme: bytes = b"http") -> bytes:
    """
    The lines for a request.

    Args:
        fields: of the request.
        peer: address of the client; empty if it came through a unix socket.
        trusted: whether *peer* may say who it forwards for.
        scheme: by which it came to this proxy.
    """
    known = fields.forwarded if trusted else {}
    host = known.get(b"host") or fields.host
    port = _port_of(fields.host) or (b"443" if scheme == b"https" else b"80")
    source = _appended(known, b"for", peer.encode("ascii"))
    return b"%bX-Forwarded-Port: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n" % (
        b"X-Forwarded-For: %b\r\n" % source if source else b"",
        _appended(known, b"port", port),
        _appended(known, b"proto", scheme),
        host,
    )


def _appended(known: Mapping[bytes, bytes], part: bytes, value: bytes) -> bytes:
    return b",".join(item for item in (known.get(part, b""), value) if item)


def _port_of(host: bytes) -> bytes:
    _, colon, port = host.rpartition(b":")
    return port if colon and port.isdigit() else b""
