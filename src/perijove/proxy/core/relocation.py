"""
Redirects that a server makes to its own address, turned into ones to the address that the client knows.

configurable-http-proxy's `--auto-rewrite` and `--protocol-rewrite`: only in answers that redirect, and only if the
`Location` names exactly the server that was asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from perijove.proxy.core.heads import split_fields
from perijove.proxy.core.targets import Target

#: Statuses whose `Location` is an address to go to, or of what was made.
STATUSES: Final = frozenset({201, 301, 302, 307, 308})
_LOCATION: Final = re.compile(rb"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_DEFAULT_PORTS: Final = {b"http": b":80", b"https": b":443"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Relocation:
    """What is rewritten."""

    #: whether host and port become those that the client asked
    host: bool = False
    #: the scheme that it becomes; empty: it stays
    scheme: bytes = b""

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return self.host or bool(self.scheme)

    def apply(self, lines: bytes, *, target: Target, host: bytes) -> bytes:
        """
        The field *lines* of an answer for the client.

        Args:
            lines: as they are, each with its CRLF.
            target: who answered.
            host: what the client calls this proxy.
        """
        if b"ocation:" not in lines and b"OCATION:" not in lines:
            return lines
        return b"".join(
            (b"Location: %b" % self._moved(value, target, host) if name == b"location" else line) + b"\r\n"
            for name, value, line in split_fields(lines)
        )

    def _moved(self, location: bytes, target: Target, host: bytes) -> bytes:
        match = _LOCATION.fullmatch(location)
        if match is None or target.socket:
            return location
        scheme, authority, rest = match[1].lower(), match[2].lower(), match[3]
        asked = target.authority.encode("ascii", "replace").lower()
        if _with_port(scheme, authority) != asked:
            return location
        return b"%b://%b%b" % (self.scheme or scheme, host if self.host else authority, rest)


def _with_port(scheme: bytes, authority: bytes) -> bytes:
    has_port = authority.rpartition(b":")[2].isdigit() and b":" in authority
    return authority if has_port else authority + _DEFAULT_PORTS[scheme]
