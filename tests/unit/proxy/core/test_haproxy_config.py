from __future__ import annotations

import re
from typing import Any

import pytest

from perijove.proxy.core.confine import DROPPED
from perijove.proxy.core.haproxy_cli import Unspeakable
from perijove.proxy.core.haproxy_config import (
    BindTls,
    HaproxySettings,
    Paths,
    Waits,
    render_config,
    render_errors,
    render_map,
)
from perijove.proxy.core.haproxy_routes import Place, Way, backends


def settings(**more: Any) -> HaproxySettings:
    known: dict[str, Any] = {
        "paths": Paths(folder="/run/x"), "public": [5, 6], "worker": "/run/w.sock", "threads": 2,
        "max_connections": 100,
        "waits": Waits(head=10, keep_alive=60, client=60, server=0, connect=5, half_closed=30),
    }  # fmt: skip
    return HaproxySettings(**known | more)


PLACES = [
    Place(way=Way.HUB, server="k0r1", address="ipv4@127.0.0.1:1"),
    Place(way=Way.GATED, server="k1r2", address="unix@/a.sock", tag="t", prefix="/user/ada"),
    Place(way=Way.WORKER),
]


def section(config: str, name: str) -> list[str]:
    found = re.search(rf"^{re.escape(name)}\n((?:  .*\n)*)", config, re.MULTILINE)
    assert found is not None
    return [line.strip() for line in found[1].splitlines()]


def test_only_the_worker_has_a_weight() -> None:
    """
    Load balancing, the way out for a server that is not there, must find nobody else.
    """
    config = render_config(settings(), PLACES)
    for backend in backends():
        weighted = [line for line in section(config, f"backend {backend}") if re.search(r"weight [1-9]", line)]
        assert weighted == [f"server worker{number} unix@/run/w.sock weight 1" for number in (1, 2)]
    servers = [line for line in config.splitlines() if line.lstrip().startswith("server k")]

    assert [line.strip() for line in servers] == [
        "server k0r1 ipv4@127.0.0.1:1 weight 0 pool-max-conn 32 pool-purge-delay 4s",
        "server k1r2 unix@/a.sock weight 0 pool-max-conn 32 pool-purge-delay 4s",
    ]


def test_the_worker_is_the_default() -> None:
    frontend = section(render_config(settings(), []), "frontend public")

    assert frontend[-2:] == [
        "use_backend %[var(txn.route),field(2,|)] if { var(txn.server) -m found }",
        "default_backend worker",
    ]


def test_statements_of_clients_are_removed_before_anything_else() -> None:
    rules = [line for line in section(render_config(settings(), []), "frontend public") if "http-request" in line]

    assert rules[0].startswith("http-request del-header '^(?:x[-_]perijove[-_]identity|")
    assert not rules[0].split("-m reg")[1]


def test_every_field_that_the_fence_drops_is_dropped() -> None:
    config = render_config(settings(), [])

    assert all(name.decode() in config for name in DROPPED)


def test_it_listens_on_what_it_is_handed() -> None:
    frontend = section(render_config(settings(), []), "frontend public")

    assert frontend[:2] == ["bind fd@5", "bind fd@6"]


def test_tls_offers_http2() -> None:
    tls = BindTls(certificates=2, verify="required", versions=("TLSv1.2", "TLSv1.2"), ciphers="ECDHE+AESGCM")
    config = render_config(settings(tls=tls, public=[5]), [])

    assert section(config, "frontend public")[0] == (
        "bind fd@5 ssl alpn h2,http/1.1 no-tls-tickets crt /run/x/site-0.pem crt /run/x/site-1.pem"
        " ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.2 ciphers ECDHE+AESGCM ca-file /run/x/clients.pem verify required"
    )
    assert "add-header X-Forwarded-Proto https" in config
    plain = render_config(settings(tls=BindTls(certificates=1), public=[5]), [])
    assert section(plain, "frontend public")[0].endswith("site-0.pem ssl-min-ver TLSv1.2")


def test_for_ever_is_a_number() -> None:
    defaults = section(render_config(settings(), []), "defaults")

    assert "timeout server 2073600000ms" in defaults
    assert "timeout http-request 10000ms" in defaults


def test_where_requests_come_from_is_left_alone_if_asked() -> None:
    assert "X-Forwarded" not in render_config(settings(x_forward=False), [])


def test_trusted_forwarders_are_compared_with_the_source() -> None:
    config = render_config(settings(trusted_forwarders=frozenset({"10.0.0.1", "unix"})), [])

    assert "set-var(txn.trusted) bool(true) if { src 10.0.0.1 }" in config
    assert "set-var(txn.trusted) bool(true) if !{ src -m found }" in config
    assert "table addresses if !{ src 10.0.0.1 }" in config


@pytest.mark.parametrize("name", ["10.0.0.1\n  daemon", "10.0.0.1 }"])
def test_nothing_is_written_that_is_not_one_word(name: str) -> None:
    with pytest.raises(Unspeakable):
        render_config(settings(trusted_forwarders=frozenset({name})), [])


def test_a_map_is_a_line_for_each_key() -> None:
    assert render_map({"/": "w", "/a/": "h|b|s||"}) == "/ w\n/a/ h|b|s||\n"


def test_errors_of_its_own_are_answered_in_our_words() -> None:
    errors = render_errors()

    assert errors[502].startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert b"an answer that makes no sense" in errors[502]
    assert b'"status": 400' in errors[400]
    assert all(b"Connection: close\r\n" in answer for answer in errors.values())


def test_no_line_is_longer_than_haproxy_reads() -> None:
    """
    Haproxy takes 2048 characters and 64 words a line.
    """
    lines = render_config(settings(), PLACES).splitlines()

    assert max(map(len, lines)) < 2000
