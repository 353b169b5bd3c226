"""
Where a route leads: parsing of targets and of the hub's own address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from perijove.proxy.core.errors import BadTarget

_UNIX_SCHEMES: Final = frozenset({"http+unix", "unix+http"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An address to connect to, and the path in front of what is asked there."""

    #: name of its connection pool: two targets with one key are one address
    key: str
    #: TCP: name or address, IPv6 without brackets; empty for a unix socket
    host: str = ""
    port: int = 0
    #: path of a unix socket; empty for TCP
    socket: str = ""
    #: path that is put in front of the request's, without a trailing slash
    base: str = ""
    #: whether TLS is spoken there
    tls: bool = False

    @property
    def authority(self) -> str:
        """What a `Host` header for this address says."""
        if self.socket:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def host_field(self) -> bytes:
        """The same as clients send it: a default port is left out (RFC 9110 section 7.2)."""
        return self.authority.removesuffix(":443" if self.tls else ":80").encode("ascii")


def parse_target(url: str) -> Target:
    """
    Read `http://host:port[/base]`, the same with `https`, or `http+unix://<percent-encoded path>[/base]`.

    Raises:
        BadTarget: it is neither.
    """
    try:
        parts = urlsplit(url)
        port = parts.port if parts.scheme in _DEFAULT_PORTS else None
    except ValueError as exc:
        raise BadTarget from exc
    base = parts.path.rstrip("/")
    # These would end up in a request line.
    if parts.query or parts.fragment or not base.isascii() or any(char <= " " for char in url):
        raise BadTarget
    if parts.scheme in _UNIX_SCHEMES:
        path = unquote(parts.netloc)
        if not path.startswith("/") or "\0" in path:
            raise BadTarget
        return Target(key=f"unix:{path}", socket=path, base=base)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        raise BadTarget
    host, port, tls = parts.hostname, port or _DEFAULT_PORTS[parts.scheme], parts.scheme == "https"
    # Plain and encrypted connections to one address are two pools.
    return Target(key=f"{'https|' if tls else ''}{host}|{port}", host=host, port=port, base=base, tls=tls)
