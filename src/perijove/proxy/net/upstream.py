"""
One connection to a server behind the proxy: idle in the pool, or lent to one exchange.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

from perijove.proxy.core.targets import Target

#: Bytes that may wait to be written on one side before the other side is no longer read.
WRITE_HIGH_WATER: Final = 256 * 1024
WRITE_LOW_WATER: Final = 64 * 1024


class Borrower(Protocol):
    """Who talks through an upstream connection."""

    def response_received(self, data: bytes) -> None: ...  # noqa: D102

    def upstream_lost(self, error: Exception | None) -> None: ...  # noqa: D102

    def upstream_full(self, *, full: bool) -> None: ...  # noqa: D102


class Owner(Protocol):
    """Who keeps idle connections, and counts all."""

    def opened(self, upstream: UpstreamConnection) -> None: ...  # noqa: D102

    def closed(self, upstream: UpstreamConnection) -> None: ...  # noqa: D102

    def forget(self, upstream: UpstreamConnection) -> None: ...  # noqa: D102


class UpstreamConnection(asyncio.Protocol):
    """The protocol of an upstream connection."""

    __slots__ = ("borrower", "idle_since", "is_abandoned", "is_open", "is_reused", "owner", "target", "transport")

    def __init__(self, target: Target, owner: Owner) -> None:
        self.target = target
        self.owner = owner
        self.borrower: Borrower | None = None
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)  # set by connection_made
        #: whether an exchange has been through it before this one
        self.is_reused = False
        self.idle_since = 0.0
        #: whether its owner counts it
        self.is_open = False
        #: whether nobody waits for it any more
        self.is_abandoned = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self.transport = cast("asyncio.Transport", transport)
        if self.is_abandoned:
            self.transport.abort()
            return
        self.transport.set_write_buffer_limits(WRITE_HIGH_WATER, WRITE_LOW_WATER)
        self.is_open = True
        self.owner.opened(self)

    def abandon(self) -> None:
        """
        Whoever waited for it has given up, in time or too late.

        uvloop closes such a connection without a word: its owner would count it for ever, and transport and protocol
        would hold each other.
        """
        self.is_abandoned = True
        if self.is_open:
            self.transport.set_protocol(asyncio.Protocol())
            self.transport.abort()
            self.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        if self.borrower is None:
            # Nobody asked: were this connection used again, answers would shift to the next request.
            self.transport.abort()
            return
        self.borrower.response_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        if not self.is_open:
            return
        self.is_open = False
        self.owner.closed(self)
        borrower, self.borrower = self.borrower, None
        if borrower is not None:
            borrower.upstream_lost(exc)
        else:
            self.owner.forget(self)

    def pause_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        if self.borrower is not None:
            self.borrower.upstream_full(full=True)

    def resume_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        if self.borrower is not None:
            self.borrower.upstream_full(full=False)
