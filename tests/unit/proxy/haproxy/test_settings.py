from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perijove.proxy.config import ProxyConfig, TlsConfig
from perijove.proxy.core.haproxy_config import BindTls, Paths
from perijove.proxy.core.limits import Limits
from perijove.proxy.core.passing import Passing
from perijove.proxy.core.relocation import Relocation
from perijove.proxy.haproxy.settings import (
    bind_tls,
    leaves_all,
    links_for,
    max_connections,
    settings_for,
    worker_config,
)
from perijove.proxy.net.timeouts import Timeouts
from perijove.proxy.net.tls import CertificateFiles, ServerTls

PAIR = CertificateFiles(cert=Path("/c.pem"), key=Path("/k.pem"))


def made(config: ProxyConfig) -> Any:
    return settings_for(config, folder=Path("/f"), public=[3], worker=Path("/w"))


@pytest.mark.parametrize(("descriptors", "connections"), [(20_000, 6496), (256, 64), (10**6, 100_000)])
def test_connections_leave_room_for_their_servers(descriptors: int, connections: int) -> None:
    assert max_connections(descriptors) == connections


def test_the_worker_believes_haproxy_and_writes_no_lines_of_its_own() -> None:
    config = worker_config(ProxyConfig(passing=Passing(trusted_forwarders=frozenset({"10.0.0.1"}))))

    assert not config.passing.x_forward
    assert config.passing.trusted_forwarders == {"unix"}


@pytest.mark.parametrize(
    ("passing", "expected"),
    [
        (Passing(), False), (Passing(x_forward=False, prepend_path=False), False), (Passing(host_routing=True), True),
        (Passing(include_prefix=False), True), (Passing(fields=b"A: b\r\n"), True), (Passing(change_origin=True), True),
        (Passing(relocation=Relocation(host=True)), True),
    ],
)  # fmt: skip
def test_whatever_changes_requests_otherwise_is_left_to_the_worker(passing: Passing, *, expected: bool) -> None:
    assert leaves_all(passing) is expected


def test_names_that_are_no_addresses_are_not_compared_with_any() -> None:
    trusted = frozenset({"10.0.0.1", "10.1.0.0/16", "::1", "unix", "gateway", ""})

    assert made(ProxyConfig(passing=Passing(trusted_forwarders=trusted))).trusted_forwarders == trusted - {
        "gateway",
        "",
    }


def test_timeouts_and_limits_are_taken_over() -> None:
    config = ProxyConfig(timeouts=Timeouts(client=7, server=8), limits=Limits(clients=20, per_address=9), workers=3)
    settings = made(config)

    assert (settings.waits.client, settings.waits.server, settings.threads) == (7, 8, 3)
    assert (settings.max_connections, settings.per_address) == (20, 9)
    assert made(ProxyConfig()).waits.client == Timeouts().body
    assert made(ProxyConfig()).threads == 1


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (ServerTls(certificates=[PAIR, PAIR], ciphers="X"), BindTls(certificates=2, ciphers="X")),
        (ServerTls(certificates=[PAIR], ciphers="", request_cert=True), BindTls(certificates=1)),
        (
            ServerTls(certificates=[PAIR], ciphers="", request_cert=True, client_ca=Path("/ca")),
            BindTls(certificates=1, verify="optional"),
        ),
        (
            ServerTls(certificates=[PAIR], ciphers="", require_cert=True, client_ca=Path("/ca"), protocol="TLSv1_3"),
            BindTls(certificates=1, verify="required", versions=("TLSv1.3", "")),
        ),
    ],
)
def test_tls_is_said_in_haproxys_words(tls: ServerTls, expected: BindTls) -> None:
    assert bind_tls(tls) == expected
    assert bind_tls(TlsConfig().public) is None


def test_files_are_linked_by_the_names_that_haproxy_looks_for() -> None:
    tls = ServerTls(certificates=[PAIR], client_ca=Path("/ca"))

    assert links_for(tls, Paths(folder="/f")) == {
        "/f/site-0.pem": Path("/c.pem"),
        "/f/site-0.pem.key": Path("/k.pem"),
        "/f/clients.pem": Path("/ca"),
    }
    assert links_for(None, Paths(folder="/f")) == {}
