"""
Everything that is open: connections from clients and tunnels. Whoever closes many at once does it here.
"""

from __future__ import annotations

from collections.abc import Iterable

from perijove.proxy.core.gate import Visit
from perijove.proxy.core.revocation import names
from perijove.proxy.core.routes import Entry
from perijove.proxy.net.client import ClientConnection, Phase
from perijove.proxy.net.tunnel import HALF_CLOSED_SECONDS, Tunnel
from perijove.wire.control import Revocation


class Connections:
    """All open connections."""

    def __init__(self, *, limit: int) -> None:
        """
        Args:
            limit: connections served at once; more are refused, so that servers have descriptors.
        """
        self._limit = limit
        self._clients: set[ClientConnection] = set()
        self._tunnels: set[Tunnel] = set()
        #: connections that will be clients when their TLS handshake is done
        self._handshakes = 0

    @property
    def busy(self) -> int:
        """How many requests are in flight, answers still being written out among them."""
        return sum(client.phase is not Phase.READING for client in self._clients)

    def admit(self, client: ClientConnection) -> bool:
        """Note one more client; whether there is room for it."""
        self._clients.add(client)
        return len(self._clients) + len(self._tunnels) <= self._limit

    def begin_handshake(self, address: str) -> bool:  # noqa: ARG002  # part of Admission
        """Part of `Admission`."""
        if len(self._clients) + len(self._tunnels) + self._handshakes >= self._limit:
            return False
        self._handshakes += 1
        return True

    def end_handshake(self, address: str) -> None:  # noqa: ARG002  # part of Admission
        """Part of `Admission`."""
        self._handshakes -= 1

    def leave(self, client: ClientConnection) -> None:
        """A client is gone, or has become a tunnel."""
        self._clients.discard(client)

    def add_tunnel(self, tunnel: Tunnel) -> None:
        """Note one more tunnel."""
        self._tunnels.add(tunnel)

    def remove_tunnel(self, tunnel: Tunnel) -> None:
        """A tunnel is gone."""
        self._tunnels.discard(tunnel)

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
        return [
            Visit(sid=tunnel.claims.sid, user=tunnel.claims.sub, audience=tunnel.claims.aud)
            for tunnel in self._tunnels
            if tunnel.claims is not None
        ]

    def check(self, now: float) -> None:
        """Look at all timers."""
        for client in list(self._clients):
            client.check(now)
        for tunnel in [known for known in self._tunnels if known.is_half_closed]:
            tunnel.half_closed_since = tunnel.half_closed_since or now
            if now - tunnel.half_closed_since > HALF_CLOSED_SECONDS:
                tunnel.close()

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
