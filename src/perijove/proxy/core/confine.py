"""
What a user's server may tell a browser about the host it shares with everybody else: nothing.

Server, hub and the servers of other people are one origin to a browser. These response fields reach beyond
the path of the server that sent them, so on gated routes they are dropped or cut down to that path.
"""

from __future__ import annotations

import re
from typing import Final

from perijove.proxy.core.errors import BadRequest
from perijove.proxy.core.paths import decode_path
from perijove.wire.identity import BROWSER_COOKIES, HUB_COOKIES, IDENTITY_COOKIE

#: Fields that speak for the whole origin.
DROPPED: Final = frozenset(
    {
        b"accept-ch",
        b"alt-svc",
        b"clear-site-data",
        b"cross-origin-opener-policy",
        b"cross-origin-opener-policy-report-only",
        b"nel",
        b"origin-agent-cluster",
        b"public-key-pins",
        b"report-to",
        b"sec-session-registration",
        b"secure-session-registration",
        b"set-login",
        b"strict-transport-security",
        b"use-as-dictionary",
    }
)
#: All fields that `Fence.confine` must see.
CONFINED: Final = DROPPED | {b"set-cookie", b"service-worker-allowed"}

_RESERVED_COOKIES: Final = frozenset(
    name.lower().encode() for name in (IDENTITY_COOKIE, *HUB_COOKIES, *BROWSER_COOKIES)
)
_PLAIN_PATH: Final = re.compile(rb"/[0-9A-Za-z._~@%/-]*")


class Fence:
    """The path that one gated server is confined to."""

    __slots__ = ("_base", "_path")

    def __init__(self, prefix: str) -> None:
        """
        Args:
            prefix: the route as it stands in URLs, without a trailing slash.
        """
        self._path = prefix.encode("ascii")
        self._base = decode_path(self._path or b"/").rstrip("/")

    def confine(self, name: bytes, value: bytes, line: bytes) -> bytes | None:
        """The line to send instead of *line*, None for none; *name* is one of `CONFINED`."""
        if name == b"set-cookie":
            return self._confine_cookie(value)
        if name == b"service-worker-allowed" and self._is_inside(value):
            return line
        return None

    def _confine_cookie(self, value: bytes) -> bytes | None:
        pair, *attributes = value.split(b";")
        name = pair.partition(b"=")[0].strip().lower()
        # A `__Host-` cookie is for the whole host by definition (RFC 6265bis section 4.1.3.2); one without
        # a name can pose as any other.
        if not name or b"=" not in pair or name.startswith(b"__host-") or name in _RESERVED_COOKIES:
            return None
        kept, path = [pair], b""
        for attribute in attributes:
            key, _, setting = attribute.partition(b"=")
            match key.strip().lower():
                case b"domain":
                    pass
                case b"path":
                    path = setting.strip()  # of several, browsers take the last
                case _:
                    kept.append(attribute)
        inside = path if self._is_inside(path) else self._path + b"/"
        return b"Set-Cookie:%b; Path=%b" % (b";".join([b" " + pair.strip(), *kept[1:]]), inside)

    def _is_inside(self, path: bytes) -> bool:
        """Whether *path* is the fence or below; what a browser might read differently is not."""
        if _PLAIN_PATH.fullmatch(path) is None:
            return False
        try:
            decoded = decode_path(path)
        except BadRequest:
            return False
        return decoded == self._base or decoded.startswith(self._base + "/")
