from __future__ import annotations

import pytest

from perijove.config.check import build
from perijove.config.errors import WrongValue
from perijove.config.sources import read_flags
from perijove.config.traits import Perijove
from perijove.config.urls import BindUrl, origin_of, port_of


def bind(*flags: str) -> BindUrl:
    return BindUrl.of(build(Perijove, read_flags(flags), file=None))


def test_by_default_only_this_machine_is_served() -> None:
    assert bind() == BindUrl(ip="127.0.0.1", port=8000, base_url="/")
    assert bind().origin == "http://127.0.0.1:8000"


def test_bind_url_replaces_ip_port_and_base_url() -> None:
    found = bind("--Perijove.bind_url=http://:9000/jupyter", "--Perijove.port=1234")

    assert found == BindUrl(ip="", port=9000, base_url="/jupyter/")


@pytest.mark.parametrize("url", ["https://:8000/", "ftp://x/", "http://x:99999/", "http://x/?a=b", "nonsense"])
def test_a_bind_url_that_cannot_be_served_is_refused(url: str) -> None:
    with pytest.raises(WrongValue, match="bind_url"):
        bind(f"--Perijove.bind_url={url}")


@pytest.mark.parametrize(
    ("ip", "origin"),
    [("0.0.0.0", "http://127.0.0.1:8000"), ("::", "http://127.0.0.1:8000"), ("::1", "http://[::1]:8000")],
)
def test_the_printed_address_is_one_that_can_be_opened(ip: str, origin: str) -> None:
    assert bind(f"--Perijove.ip={ip}").origin == origin


@pytest.mark.parametrize("written", ["jupyter", "/jupyter", "jupyter/", "/jupyter/"])
def test_base_url_always_has_both_slashes(written: str) -> None:
    assert bind(f"--Perijove.base_url={written}").base_url == "/jupyter/"


@pytest.mark.parametrize(
    ("flags", "origin"),
    [
        (["--Perijove.bind_url=https://:8443/jupyter"], "https://127.0.0.1:8443"),
        (["--Perijove.bind_url=https://0.0.0.0"], "https://127.0.0.1:443"),
        (["--Perijove.bind_url=http://:9000"], "https://127.0.0.1:9000"),
        (["--Perijove.ip=", "--Perijove.port=443"], "https://127.0.0.1:443"),
    ],
)
def test_with_a_certificate_people_come_by_https(flags: list[str], origin: str) -> None:
    assert bind(*flags, "--Perijove.ssl_cert=c", "--Perijove.ssl_key=k").origin == origin


@pytest.mark.parametrize(("port", "origin"), [(443, "https://a.org"), (8443, "https://a.org:8443")])
def test_a_certificate_that_is_obtained_says_what_the_host_is_called(port: int, origin: str) -> None:
    found = bind("--Perijove.ip=", f"--Perijove.port={port}", "--Perijove.acme_domains=['a.org', 'b.org']")

    assert found.origin == origin


def test_https_without_a_certificate_is_refused_in_words() -> None:
    with pytest.raises(WrongValue, match="needs ssl_cert and ssl_key"):
        bind("--Perijove.bind_url=https://:443")


@pytest.mark.parametrize(
    ("origin", "port"), [("https://a.org", 443), ("http://a.org", 80), ("https://a.org:8443", 8443)]
)
def test_the_port_of_an_origin_is_the_one_that_browsers_use(origin: str, port: int) -> None:
    assert port_of(origin) == port


@pytest.mark.parametrize(
    ("url", "origin"), [("https://hub.example.org/jupyter/", "https://hub.example.org"), ("", ""), ("/only/a/path", "")]
)
def test_the_origin_of_a_url_is_scheme_and_host(url: str, origin: str) -> None:
    assert origin_of(url) == origin
