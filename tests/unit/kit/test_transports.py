from __future__ import annotations

import asyncio

from perijove.kit.transports import cut


class Once(asyncio.Transport):
    """Python 3.11.2's transport over TLS, as far as it matters here."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = 0

    def abort(self) -> None:
        self.aborted += 1
        if self.aborted > 1:
            raise AttributeError


def test_a_transport_can_be_cut_twice() -> None:
    transport = Once()

    cut(transport)
    cut(transport)

    assert transport.aborted == 2
