"""
What `subdomain_host` must be: the origin of the hub, below which everybody gets one of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from perijove.config.tls import speaks_https
from perijove.config.traits import Perijove
from perijove.config.urls import origin_of

#: scheme, host, port, and nothing else: every character that a parser could stumble over is none of these
_ORIGIN: Final = re.compile(r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._\-\[\]:]+?)(?::(?P<port>[0-9]{1,5}))?")
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
#: What is put in front takes this much of the 253 characters that a host's name may have.
MAX_DOMAIN: Final = 253 - 64
#: Options of the proxy after which the hub does not see whose host a request was for.
_AGAINST_HOSTS: Final = frozenset({"--change-origin", "--no-include-prefix", "--no-x-forward"})
_MAX_PORT: Final = 65535


def contradictions_of_subdomains(perijove: Perijove) -> Iterator[tuple[str, str]]:
    """The traits that cannot be as they are, and why."""
    text = perijove.subdomain_host
    if not text:
        return
    why = _why_no_origin(text)
    if why:
        yield "subdomain_host", why
        return
    origin = urlsplit(text)
    if speaks_https(perijove) and origin.scheme == "http":
        yield "subdomain_host", "must begin with https://, which is what the certificate is for"
    for flag in sorted(_AGAINST_HOSTS.intersection(perijove.proxy_args)):
        yield "proxy_args", f"cannot have {flag} with subdomain_host: the hub would not see which host was asked for"
    if perijove.acme_domains:
        why = f"cannot be obtained by HTTP for *.{origin.hostname}, which subdomain_host needs"
        yield "acme_domains", f"{why}: set ssl_cert and ssl_key to a wildcard certificate"
    if perijove.public_url and origin_of(perijove.public_url) != text:
        yield "public_url", f"must begin with {text}, as subdomain_host says; or leave it out"


def _why_no_origin(text: str) -> str:
    """What is wrong with *text*; empty if nothing is."""
    if "://" not in text:
        return f"must begin with a scheme: https://{text}"
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return "must be an origin, https://hub.example or https://hub.example:8443, with no path and nothing behind it"
    scheme, host, port = match["scheme"], match["host"], match["port"]
    top = host.rpartition(".")[2]
    rules = (
        (":" in host or top.isdigit(), "must be a name: there is nothing below an address"),
        (
            _NAME.fullmatch(host) is None or len(host) > MAX_DOMAIN,
            f"must name a host of at most {MAX_DOMAIN} lower-case letters, digits, hyphens and dots",
        ),
        (port is not None and not 0 < int(port) <= _MAX_PORT, "must have a port from 1 to 65535"),
        (
            (scheme, port) in {("http", "80"), ("https", "443")},
            "must leave out the port that its scheme has anyway, as browsers do",
        ),
        (
            scheme == "http" and top != "localhost",
            "must begin with https://: http is for localhost alone, because others read and change what it carries",
        ),
    )
    return next((why for is_wrong, why in rules if is_wrong), "")
