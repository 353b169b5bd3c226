"""
Everything that is open: connections from clients and tunnels. Whoever closes many at once does it here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from perijove.proxy.core.gate import Visit
from perijove.proxy.core.limits import Limit, Limits
from perijove.proxy.core.revocation import names
from perijove.proxy.core.routes import Entry
from perijove.proxy.core.statistics import Gauges, Statistics
from perijove.proxy.net.client import ClientConnection, Phase
from perijove.proxy.net.patience import check
from perijove.proxy.net.tunnel import HALF_CLOSED_SECONDS, Tunnel
from perijove.wire.control import Revocation


class Connections:
    """All open connections."""

    def __init__(self, *, limits: Limits, statistics: Statistics) -> None:
        """
        Args:
            limits: how many there may be; more are refused, so that servers have descriptors.
            statistics: where refusals are counted.
        """
        #: may be replaced at any time
        self.limits = limits
        self._statistics = statistics
        self._by_address: dict[str, int] = {}
        self._by_session: dict[str, int] = {}
        self._clients: set[ClientConnection] = set()
        self._tunnels: set[Tunnel] = set()

    @property
    def busy(self) -> int:
        """How many requests are in flight, answers still being written out among them."""
        return sum(client.phase is not Phase.READING for client in self._clients)

    def admit(self, client: ClientConnection) -> bool:
        """Note one more client, if there is room for it."""
        limit = self._no_room(client.address)
        if limit is not None:
            self._statistics.refused(limit)
            return False
        self._clients.add(client)
        _count(self._by_address, client.address, 1)
        return True

    def has_room(self, address: str, waiting: int, waiting_of_address: int) -> bool:
        """Whether one more from *address* may become a client, when so many others are already on their way to it."""
        limit = self._no_room(address, waiting, waiting_of_address)
        if limit is not None:
            self._statistics.refused(limit)
        return limit is None

    def leave(self, client: ClientConnection) -> None:
        """A client is gone, or has become a tunnel."""
        if client in self._clients:
            self._clients.discard(client)
            _count(self._by_address, client.address, -1)

    def add_tunnel(self, tunnel: Tunnel) -> None:
        """Note one more tunnel; its session has been reserved."""
        self._tunnels.add(tunnel)
        _count(self._by_address, tunnel.address, 1)

    def remove_tunnel(self, tunnel: Tunnel) -> None:
        """A tunnel is gone."""
        self._tunnels.discard(tunnel)
        _count(self._by_address, tunnel.address, -1)
        self.release(tunnel.session)

    def reserve(self, session: str) -> bool:
        """Note one more WebSocket of *session*, open or about to be, if it may have one more."""
        if self._by_session.get(session, 0) >= self.limits.websockets:
            self._statistics.refused(Limit.WEBSOCKETS)
            return False
        _count(self._by_session, session, 1)
        return True

    def release(self, session: str) -> None:
        """A WebSocket of *session* is gone, or has not come to be."""
        _count(self._by_session, session, -1)

    def gauge(self, gauges: Gauges) -> None:
        """Say how many there are."""
        gauges.clients, gauges.tunnels = len(self._clients), len(self._tunnels)

    def retire(self, entries: Iterable[Entry]) -> None:
        """Close the tunnels of routes that are no more; requests in flight may end."""
        gone = set(entries)
        for tunnel in [known for known in self._tunnels if known.entry in gone]:
            tunnel.close()

    def revoke(self, revocation: Revocation) -> None:
        """Close what is open in the name of a revoked session or user."""
        for tunnel in [known for known in self._tunnels if names(revocation, known.claims)]:
            tunnel.close()
        for client in list(self._clients):
            exchange = client.exchange
            if exchange is not None and names(revocation, exchange.claims):
                exchange.revoke()

    def visits(self) -> list[Visit]:
        """Who holds a tunnel open, and where."""
        return [Visit.of(tunnel.claims) for tunnel in self._tunnels if tunnel.claims is not None]

    def check(self, now: float) -> None:
        """Look at all timers."""
        for client in list(self._clients):
            check(client, now)
        for tunnel in [known for known in self._tunnels if known.is_half_closed]:
            tunnel.half_closed_since = tunnel.half_closed_since or now
            if now - tunnel.half_closed_since > HALF_CLOSED_SECONDS:
                tunnel.close()

    def _no_room(self, address: str, more: int = 0, more_of_address: int = 0) -> Limit | None:
        if len(self._clients) + len(self._tunnels) + more >= self.limits.clients:
            return Limit.CLIENTS
        if address and self._by_address.get(address, 0) + more_of_address >= self.limits.per_address:
            return Limit.ADDRESS
        return None

    def close_idle(self) -> None:
        """Close what is between two requests."""
        for client in list(self._clients):
            client.close_if_idle()

    def close(self) -> None:
        """Cut everything."""
        for client in list(self._clients):
            client.abort()
        for tunnel in list(self._tunnels):
            tunnel.close()


class Handshakes:
    """Connections that will be clients when their TLS handshake is done; limits hold for them as if they were."""

    def __init__(self, *, connections: Connections, address_of: Callable[[str], str]) -> None:
        """
        Args:
            connections: that they will be among.
            address_of: what a peer's address is counted as; empty: not at all.
        """
        self.count = 0
        self._connections = connections
        self._address_of = address_of
        self._by_address: dict[str, int] = {}

    def begin_handshake(self, peer: str) -> str | None:
        """Part of `Admission`."""
        address = self._address_of(peer)
        if not self._connections.has_room(address, self.count, self._by_address.get(address, 0)):
            return None
        self.count += 1
        _count(self._by_address, address, 1)
        return address

    def end_handshake(self, ticket: str) -> None:
        """Part of `Admission`."""
        self.count -= 1
        _count(self._by_address, ticket, -1)


def _count(counts: dict[str, int], name: str, change: int) -> None:
    """Change a count; what is at nothing is forgotten, and what has no name is not counted."""
    if not name:
        return
    count = counts.get(name, 0) + change
    if count > 0:
        counts[name] = count
    else:
        counts.pop(name, None)
