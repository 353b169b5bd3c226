"""
Where the proxy listens, from `bind_url` or from `ip`, `port` and `base_url`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from perijove.config.errors import WrongValue
from perijove.config.tls import speaks_https
from perijove.config.traits import Perijove

#: Port of a `bind_url` that names none; JupyterHub's for http.
_DEFAULT_PORTS: Final = {"http": 8000, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class BindUrl:
    """An address to listen on and the prefix below it."""

    #: empty: all interfaces
    ip: str
    port: int
    #: with both slashes
    base_url: str
    #: `https` if a certificate is configured
    scheme: str = "http"
    #: a name that the certificate is for; empty: not known
    name: str = ""

    @classmethod
    def of(cls, perijove: Perijove) -> BindUrl:
        """
        Read the traits; `bind_url` wins.

        Raises:
            WrongValue: `bind_url` is not an http URL, or an https one without a certificate.
        """
        scheme = "https" if speaks_https(perijove) else "http"
        name = perijove.acme_domains[0] if perijove.acme_domains else ""
        if not perijove.bind_url:
            return cls(ip=perijove.ip, port=perijove.port, base_url=perijove.base_url, scheme=scheme, name=name)
        try:
            parts = urlsplit(perijove.bind_url)
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
        except ValueError as exc:
            raise WrongValue(f"c.Perijove.bind_url: {exc}") from exc
        if parts.scheme == "https" and scheme == "http":
            raise WrongValue(f"c.Perijove.bind_url: {perijove.bind_url!r} needs ssl_cert and ssl_key, or acme_domains")
        if parts.scheme not in _DEFAULT_PORTS or parts.query or parts.fragment or parts.username:
            raise WrongValue(
                f"c.Perijove.bind_url: {perijove.bind_url!r} is not of the form http://address:port/prefix/"
            )
        inner = parts.path.strip("/")
        return cls(
            ip=parts.hostname or "", port=port, base_url=f"/{inner}/" if inner else "/", scheme=scheme, name=name
        )

    @property
    def origin(self) -> str:
        """What a browser on this machine opens, without a trailing slash."""
        host = self.ip or "127.0.0.1"
        if host in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not bound
            host = "127.0.0.1"
        if self.name:
            host = self.name
        shown = "" if self.name and self.port == _DEFAULT_PORTS["https"] else f":{self.port}"
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}{shown}"


def origin_of(url: str) -> str:
    """Scheme and host of *url*; empty if it states none."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else ""


def port_of(origin: str) -> int:
    """The port that browsers use for *origin*, which has a scheme."""
    parts = urlsplit(origin)
    return parts.port or (443 if parts.scheme == "https" else 80)
