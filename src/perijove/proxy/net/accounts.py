"""
What becomes of each request, counted and logged: the few lines that the hot path calls when something is over.
"""

from __future__ import annotations

import re
import time
from typing import Final

from perijove.proxy.core.access_log import Served
from perijove.proxy.core.statistics import ABANDONED, SWITCHED, Kind, Statistics
from perijove.proxy.net.access_log import AccessLog
from perijove.proxy.net.client import ClientConnection
from perijove.proxy.net.tunnel import Tunnel

#: What a trusted forwarder may say a client's address is.
_ADDRESS: Final = re.compile(rb"[0-9A-Fa-f.:]{2,45}")
#: Stands for the method and the target of what was no request.
_NONE: Final = b"-"


class Accounts:
    """Keeps the books of one worker."""

    def __init__(self, *, statistics: Statistics, access_log: AccessLog | None) -> None:
        """
        Args:
            statistics: where everything is counted.
            access_log: where everything is written, None: nowhere.
        """
        self._statistics = statistics
        self._access_log = access_log
        #: whose word about where a request came from is believed, for the log
        self.trusted: frozenset[str] = frozenset()

    def ended(self, client: ClientConnection) -> None:
        """The request in flight on *client* is over, or what it sent was none."""
        statistics, entry = self._statistics, client.entry
        statistics.bytes_in += client.received
        statistics.bytes_out += client.sent
        duration = time.monotonic() - client.began if client.began else 0.0
        status = client.status or ABANDONED
        statistics.ended(entry.kind if entry is not None else Kind.OTHER, status, duration)
        if self._access_log is not None:
            served = self._served(client, status)
            served.moment, served.duration = time.time(), duration
            served.received, served.sent = client.received, client.sent
            self._access_log.write(served)

    def upgraded(self, client: ClientConnection) -> Served | None:
        """The request in flight on *client* becomes a WebSocket; answers its line, to be finished at its end."""
        statistics, entry = self._statistics, client.entry
        statistics.bytes_in += client.received
        statistics.bytes_out += client.sent
        statistics.upgraded(entry.kind if entry is not None else Kind.OTHER)
        if self._access_log is None:
            return None
        served = self._served(client, SWITCHED)
        served.moment = time.time()
        served.received, served.sent = client.received, client.sent
        return served

    def closed(self, tunnel: Tunnel) -> None:
        """A WebSocket is over."""
        received, sent = tunnel.received, tunnel.sent
        self._statistics.bytes_in += received
        self._statistics.bytes_out += sent
        served = tunnel.served
        if served is not None and self._access_log is not None:
            now = time.time()
            served.duration, served.moment = max(0.0, now - served.moment), now
            served.received += received
            served.sent += sent
            self._access_log.write(served)

    def _served(self, client: ClientConnection, status: int) -> Served:
        request, entry, exchange = client.request, client.entry, client.exchange
        claims = exchange.claims if exchange is not None else None
        fields = request.fields if request is not None else None
        peer = client.peer
        if fields is not None and self.trusted and (peer or "unix") in self.trusted:
            # What the forwarder itself has put at the end.
            said = fields.forwarded.get(b"for", b"").rpartition(b",")[2].strip(b" \t")
            peer = said.decode("ascii") if _ADDRESS.fullmatch(said) else peer
        return Served(
            peer=peer,
            method=request.method if request is not None else _NONE,
            target=request.target if request is not None else _NONE,
            minor=request.minor if request is not None else 1,
            status=status,
            route=entry.path if entry is not None else "",
            user=claims.sub if claims is not None else "",
            referer=fields.referer if fields is not None else b"",
            agent=fields.agent if fields is not None else b"",
        )
