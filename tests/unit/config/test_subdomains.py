"""
What is no origin to put others below is refused before anything runs.
"""

from __future__ import annotations

from typing import Any

import pytest

from perijove.config.subdomains import contradictions_of_subdomains
from perijove.config.traits import Perijove


def refused(**traits: Any) -> list[str]:
    return [name for name, _ in contradictions_of_subdomains(Perijove(**traits))]


@pytest.mark.parametrize(
    "origin",
    ["https://hub.example", "https://hub.example:8443", "http://hub.localhost:8000", "http://localhost:8000",
     "http://localhost", "https://a-b.c1.example", ""],
)  # fmt: skip
def test_an_origin_is_taken(origin: str) -> None:
    assert refused(subdomain_host=origin) == []


@pytest.mark.parametrize(
    "origin",
    [
        "hub.example",
        "//hub.example",
        "ftp://hub.example",
        "https://hub.example/",
        "https://hub.example/jupyter",
        "https://hub.example?x",
        "https://hub.example#x",
        "https://user@hub.example",
        "https://10.0.0.1",
        "https://2130706433",
        "https://[::1]",
        "https://[::1]:8443",
        "https://hub.example:0",
        "https://hub.example:65536",
        "https://hub.example:443",
        "https://hub.example:",
        "https://.example",
        "https://hub..example",
        "https://hub.example.",
        "https://-hub.example",
        "https://hub_.example",
        "https://HUB.example",
        "https://hüb.example",
        "https://hub.example\\@evil.example",
        "https://hub.example\n",
        f"https://{'a.' * 100}example",
        "https://",
        "http://hub.example",
        "http://localhost.example",
    ],
)
def test_what_is_none_is_refused(origin: str) -> None:
    assert refused(subdomain_host=origin) == ["subdomain_host"]


def test_plain_http_below_a_certificate_is_refused() -> None:
    traits = {"subdomain_host": "http://hub.localhost", "ssl_cert": "/c.pem", "ssl_key": "/k.pem"}

    assert refused(**traits) == ["subdomain_host"]


def test_certificates_by_challenge_are_refused() -> None:
    assert refused(subdomain_host="https://hub.example", acme_domains=["hub.example"]) == ["acme_domains"]


@pytest.mark.parametrize(
    ("public_url", "is_refused"),
    [("https://hub.example/", False), ("https://hub.example/jupyter/", False), ("https://other.example/", True),
     ("http://hub.example/", True), ("https://hub.example:8443/", True)],
)  # fmt: skip
def test_a_public_address_elsewhere_is_refused(*, public_url: str, is_refused: bool) -> None:
    found = refused(subdomain_host="https://hub.example", public_url=public_url)

    assert found == (["public_url"] if is_refused else [])


@pytest.mark.parametrize("flag", ["--change-origin", "--no-include-prefix", "--no-x-forward"])
def test_a_proxy_that_does_not_tell_the_host_is_refused(flag: str) -> None:
    assert refused(subdomain_host="https://hub.example", proxy_args=["--timeout", "5", flag]) == ["proxy_args"]
    assert refused(proxy_args=[flag]) == []
