from __future__ import annotations

import pytest

from perijove.proxy.core.limits import MAX_CLIENTS, Limits, network_of


@pytest.mark.parametrize(
    ("descriptors", "asked", "clients"),
    [
        (1024, 0, 480),
        (1024, 100, 100),
        (1024, 5000, 480),
        (10, 0, 16),
        (10**6, 0, MAX_CLIENTS),
        (10**6, 40_000, 40_000),
        (-1, 0, MAX_CLIENTS),
        (-1, 50_000, 50_000),
    ],
)
def test_clients_leave_descriptors_for_servers(descriptors: int, asked: int, clients: int) -> None:
    assert Limits(clients=asked).settle(descriptors).clients == clients


def test_neither_an_address_nor_a_server_gets_more_than_half_unless_told() -> None:
    settled = Limits().settle(1024)
    told = Limits(per_address=7, per_target=9).settle(1024)

    assert (settled.per_address, settled.per_target) == (240, 240)
    assert (told.per_address, told.per_target) == (7, 9)


def test_settling_changes_nothing_else() -> None:
    settled = Limits(head=1, line=2, fields=3, rate=4, rate_window=5.0, websockets=6, routes=7).settle(1024)

    assert (settled.head, settled.line, settled.fields) == (1, 2, 3)
    assert (settled.rate, settled.rate_window, settled.websockets, settled.routes) == (4, 5.0, 6, 7)


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_customer_is_one_whatever_the_address(peer: str, network: str) -> None:
    """
    Everybody with IPv6 has at least 2**64 addresses to come from.
    """
    assert network_of(peer) == network
