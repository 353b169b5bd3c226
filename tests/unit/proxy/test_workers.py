from __future__ import annotations

from dataclasses import dataclass
from socket import socket
from typing import cast

import pytest

from perijove.proxy.workers import share


@dataclass(frozen=True)
class Listener:
    """What `share` looks at of a socket."""

    address: str
    number: int
    family: int = 2

    def getsockname(self) -> str:
        return self.address


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("copies", [1, 2, 3, 4, 5])
def test_every_socket_is_served_and_every_worker_serves_every_address(workers: int, copies: int) -> None:
    listeners = [Listener(address, number) for address in ("a", "b") for number in range(copies)]
    sockets = cast("list[socket]", listeners)

    shares = [cast("list[Listener]", share(sockets, slot, workers)) for slot in range(workers)]

    assert {one for them in shares for one in them} == set(listeners)
    assert all({one.address for one in them} == {"a", "b"} for them in shares)


def test_with_a_socket_each_nobody_shares_one() -> None:
    listeners = [Listener("a", number) for number in range(3)]

    shares = [share(cast("list[socket]", listeners), slot, 3) for slot in range(3)]

    assert [len(them) for them in shares] == [1, 1, 1]
