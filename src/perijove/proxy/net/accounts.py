"""
What becomes of each request, counted and logged: the few lines that the hot path calls when something is over.
"""

from __future__ import annotations

import re
import time
from typing import Final

from perijove.proxy.core.access_log import Served
from perijove.proxy.core.passing import UNIX_PEER
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
        # Rendered at once and never kept, so one is enough for all requests.
        self._row = Served()
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
            served = self._row
            self._fill(served, client, status)
            served.moment, served.duration = time.time(), duration
            self._access_log.write(served)

    def upgraded(self, client: ClientConnection) -> Served | None:
        """The request in flight on *client* becomes a WebSocket; answers its line, to be finished at its end."""
        statistics, entry = self._statistics, client.entry
        statistics.bytes_in += client.received
        statistics.bytes_out += client.sent
        statistics.upgraded(entry.kind if entry is not None else Kind.OTHER)
        if self._access_log is None:
            return None
        served = Served()
        self._fill(served, client, SWITCHED)
        served.moment = time.time()
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

    def _fill(self, served: Served, client: ClientConnection, status: int) -> None:
        request, entry, exchange = client.request, client.entry, client.exchange
        served.status = status
        served.received, served.sent = client.received, client.sent
        served.peer = client.peer
        served.route = entry.path if entry is not None else ""
        served.user = exchange.claims.sub if exchange is not None and exchange.claims is not None else ""
        if request is None:
            served.method = served.target = _NONE
            served.referer = served.agent = b""
            return
        fields = request.fields
        served.method, served.target, served.minor = request.method, request.target, request.minor
        served.referer, served.agent = fields.referer, fields.agent
        if self.trusted and (client.peer or UNIX_PEER) in self.trusted:
            # What the forwarder itself has put at the end.
            said = fields.forwarded.get(b"for", b"").rpartition(b",")[2].strip(b" \t")
            if _ADDRESS.fullmatch(said):
                served.peer = said.decode("ascii")
