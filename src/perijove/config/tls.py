"""
Whether browsers come by https, and with whose certificate: what the traits about it must fulfil together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

from perijove.config.traits import Perijove

_DOMAIN: Final = re.compile(r"[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?")


def speaks_https(perijove: Perijove) -> bool:
    """Whether the public port does."""
    return bool(perijove.ssl_cert or perijove.acme_domains)


def contradictions(perijove: Perijove) -> Iterator[tuple[str, str]]:
    """The traits that cannot be as they are, and why."""
    if bool(perijove.ssl_cert) != bool(perijove.ssl_key):
        missing = "ssl_key" if perijove.ssl_cert else "ssl_cert"
        yield missing, "is missing: ssl_cert and ssl_key need each other"
    if speaks_https(perijove) and perijove.public_url.startswith("http://"):
        yield "public_url", "must begin with https://, which is what the certificate is for"
    if perijove.redirect_port and not speaks_https(perijove):
        yield "redirect_port", "leads to https, for which ssl_cert or acme_domains is needed"
    yield from _of_acme(perijove) if perijove.acme_domains else _of_acme_without_domains(perijove)


def _of_acme_without_domains(perijove: Perijove) -> Iterator[tuple[str, str]]:
    for name in ("acme_email", "acme_server", "acme_ca", "acme_agree_tos"):
        if getattr(perijove, name):
            yield name, "does nothing without acme_domains"


def _of_acme(perijove: Perijove) -> Iterator[tuple[str, str]]:
    if perijove.ssl_cert:
        yield "acme_domains", "obtains the certificate that ssl_cert names: set one of them"
    for domain in perijove.acme_domains:
        if "." not in domain or not _DOMAIN.fullmatch(domain):
            yield "acme_domains", f"has {domain!r}, for which no challenge by HTTP can be made"
    if not perijove.acme_agree_tos:
        yield "acme_agree_tos", "must be True: read the authority's terms, and agree to them by it"
    if not perijove.redirect_port:
        yield "redirect_port", "must be set (usually to 80): there the authority looks for its challenge"
    if find_spec("acme") is None:
        yield "acme_domains", "needs a library that is not installed: pip install 'perijove[acme]'"


def acme_words(perijove: Perijove) -> tuple[str, ...]:
    """The proxy's flags that say the same; none without domains."""
    if not perijove.acme_domains:
        return ()
    words = [word for domain in perijove.acme_domains for word in ("--acme-domain", domain)]
    given = {
        "--acme-email": perijove.acme_email,
        "--acme-server": perijove.acme_server,
        "--acme-ca": perijove.acme_ca,
    }
    words += [word for flag, value in given.items() if value for word in (flag, value)]
    return (*words, "--acme-agree-tos")
