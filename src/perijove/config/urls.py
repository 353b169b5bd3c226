"""
Where the proxy listens, from `bind_url` or from `ip`, `port` and `base_url`.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from perijove.config.errors import WrongValue
from perijove.config.traits import Perijove


@dataclass(frozen=True, slots=True, kw_only=True)
class BindUrl:
    """An address to listen on and the prefix below it."""

    #: empty: all interfaces
    ip: str
    port: int
    #: with both slashes
    base_url: str

    @classmethod
    def of(cls, perijove: Perijove) -> BindUrl:
        """
        Read the traits; `bind_url` wins.

        Raises:
            WrongValue: `bind_url` is not an http URL.
        """
        if not perijove.bind_url:
            return cls(ip=perijove.ip, port=perijove.port, base_url=perijove.base_url)
        try:
            parts = urlsplit(perijove.bind_url)
            port = parts.port or 8000
        except ValueError as exc:
            raise WrongValue(f"c.Perijove.bind_url: {exc}") from exc
        if parts.scheme != "http" or parts.query or parts.fragment or parts.username:
            raise WrongValue(
                f"c.Perijove.bind_url: {perijove.bind_url!r} is not of the form http://address:port/prefix/"
            )
        inner = parts.path.strip("/")
        return cls(ip=parts.hostname or "", port=port, base_url=f"/{inner}/" if inner else "/")

    @property
    def origin(self) -> str:
        """What a browser on this machine opens, without a trailing slash."""
        host = self.ip or "127.0.0.1"
        if host in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not bound
            host = "127.0.0.1"
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def origin_of(url: str) -> str:
    """Scheme and host of *url*; empty if it states none."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else ""
