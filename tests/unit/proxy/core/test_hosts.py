"""
One name for one host, and nothing that could be read as another.
"""

from __future__ import annotations

import pytest

from perijove.proxy.core.errors import BadRequest
from perijove.proxy.core.hosts import routing_host, strict_host


@pytest.mark.parametrize("host", ["user@a.org", "a.org@b.org", "a b", "a/b", "a\\b", "a?b", "a#b", "", "\u00e4.org"])
def test_what_could_end_the_host_of_a_url_is_no_host(host: str) -> None:
    assert strict_host(host) is None


def test_a_host_is_given_back_without_its_port() -> None:
    assert strict_host("hub.example.org.:8000") == "hub.example.org."


@pytest.mark.parametrize(
    "field",
    [b"ada.hub.example", b"ADA.hub.EXAMPLE", b"ada.hub.example:8443", b"ada.hub.example.", b"ada.hub.example.:443"],
)
def test_a_host_has_one_form_in_routes(field: bytes) -> None:
    assert routing_host(field) == "ada.hub.example"


def test_an_address_of_ipv6_is_not_cut_at_its_colons() -> None:
    assert routing_host(b"[::1]:8000") == "[::1]"


@pytest.mark.parametrize(
    "field",
    [b"ada..hub.example", b"ada.hub.example..", b"ada%2ehub.example", b"[::1", b"a,b", b"-a.example", b"\xe4.example",
     b"ada.hub.example:port"],
)  # fmt: skip
def test_a_host_that_is_not_plainly_one_has_no_route(field: bytes) -> None:
    with pytest.raises(BadRequest):
        routing_host(field)
