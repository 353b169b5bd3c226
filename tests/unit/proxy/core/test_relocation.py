from __future__ import annotations

import pytest

from perijove.proxy.core.relocation import Relocation
from perijove.proxy.core.targets import parse_target

TARGET = parse_target("http://127.0.0.1:8080")
BOTH = Relocation(host=True, scheme=b"https")


@pytest.mark.parametrize(
    ("relocation", "location", "moved"),
    [
        (Relocation(host=True), b"http://127.0.0.1:8080/a?b#c", b"http://hub.example.org/a?b#c"),
        (Relocation(scheme=b"https"), b"http://127.0.0.1:8080/a", b"https://127.0.0.1:8080/a"),
        (BOTH, b"HTTP://127.0.0.1:8080", b"https://hub.example.org"),
        (BOTH, b"http://127.0.0.1:8081/a", b"http://127.0.0.1:8081/a"),
        (BOTH, b"http://elsewhere.example/a", b"http://elsewhere.example/a"),
        (BOTH, b"http://127.0.0.1/a", b"http://127.0.0.1/a"),
        (BOTH, b"http://127.0.0.1:8080@evil.example/a", b"http://127.0.0.1:8080@evil.example/a"),
        (BOTH, b"/relative", b"/relative"),
        (BOTH, b"//127.0.0.1:8080/a", b"//127.0.0.1:8080/a"),
        (BOTH, b"ftp://127.0.0.1:8080/a", b"ftp://127.0.0.1:8080/a"),
    ],
)
def test_only_the_servers_own_address_is_rewritten(relocation: Relocation, location: bytes, moved: bytes) -> None:
    lines = b"Content-Length: 0\r\nLocation: %b\r\nX: y\r\n" % location

    assert relocation.apply(lines, target=TARGET, host=b"hub.example.org") == (
        b"Content-Length: 0\r\nLocation: %b\r\nX: y\r\n" % moved
    )


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("http://example.org", b"http://example.org/a"),
        ("http://example.org:80", b"http://example.org:80/a"),
        ("http://[::1]:8080", b"http://[::1]:8080/a"),
        ("http://[::1]", b"http://[::1]/a"),
        ("https://example.org", b"https://example.org/a"),
    ],
)
def test_a_default_port_need_not_be_named(target: str, location: bytes) -> None:
    moved = Relocation(host=True).apply(
        b"location: %b\r\n" % location, target=parse_target(target), host=b"hub.example.org"
    )

    assert moved == b"Location: %b://hub.example.org/a\r\n" % location.partition(b":")[0]


def test_a_server_on_a_unix_socket_has_no_address_of_its_own() -> None:
    lines = b"Location: http://localhost/a\r\n"

    assert BOTH.apply(lines, target=parse_target("http+unix://%2Frun%2Fs"), host=b"x") == lines


def test_an_answer_without_a_location_stays_as_it_is() -> None:
    assert BOTH.apply(b"X: y\r\n", target=TARGET, host=b"x") == b"X: y\r\n"


def test_without_anything_to_rewrite_there_is_nothing_to_do() -> None:
    assert not Relocation()
    assert Relocation(host=True)
    assert Relocation(scheme=b"https")
