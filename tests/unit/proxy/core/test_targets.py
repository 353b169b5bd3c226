from __future__ import annotations

import pytest

from perijove.proxy.core.errors import BadTarget
from perijove.proxy.core.targets import Target, parse_target


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1:8081", Target(key="127.0.0.1|8081", host="127.0.0.1", port=8081)),
        ("http://[::1]:9/", Target(key="::1|9", host="::1", port=9)),
        ("http://host/base/", Target(key="host|80", host="host", port=80, base="/base")),
        ("https://host", Target(key="https|host|443", host="host", port=443, tls=True)),
        ("https://[::1]:9/b", Target(key="https|::1|9", host="::1", port=9, base="/b", tls=True)),
        ("http+unix://%2Fr%2Fhub/hub/", Target(key="unix:/r/hub", socket="/r/hub", base="/hub")),
        ("unix+http://%2Fx", Target(key="unix:/x", socket="/x")),
    ],
)  # fmt: skip
def test_targets_are_tcp_or_unix_with_an_optional_path(url: str, target: Target) -> None:
    assert parse_target(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "", "/x", "ftp://host", "http://", "https://", "https://host:x", "https+unix://%2Fx",
        "http://u@host", "http://host:port", "http://host:99999",
        "http+unix://relative", "http+unix://", "http://host/?q", "http://host/#f", "http://host/a b",
        "http://host/a\r\nX: y", "http://host/é", "http+unix://%2Fa%00b",
    ],
)  # fmt: skip
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(BadTarget, match="http://host:port"):
        parse_target(url)


@pytest.mark.parametrize(
    ("url", "authority"),
    [("http://[::1]:9", "[::1]:9"), ("http://h:9", "h:9"), ("http+unix://%2Fx", "localhost")],
)
def test_the_authority_is_what_a_host_header_says(url: str, authority: str) -> None:
    assert parse_target(url).authority == authority


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://host", b"host"),
        ("http://host:8081/base", b"host:8081"),
        ("http://[::1]:80", b"[::1]"),
        ("https://host", b"host"),
        ("https://host:80", b"host:80"),
        ("http://host:443", b"host:443"),
        ("http+unix://%2Fr%2Fhub", b"localhost"),
    ],
)
def test_a_server_is_called_by_its_name_without_a_default_port(url: str, host: bytes) -> None:
    assert parse_target(url).host_field == host
