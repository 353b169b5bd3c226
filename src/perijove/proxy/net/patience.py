"""
How long a client's connection is borne in each of its phases. `sweep.py` has this looked at once a second.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from perijove.kit.transports import cut
from perijove.proxy.core.answers import refusal
from perijove.proxy.core.limits import Limit
from perijove.proxy.core.pace import Pace
from perijove.proxy.net.client import ClientConnection, Phase
from perijove.proxy.net.exchange import Exchange

_TOO_LATE: Final = refusal(HTTPStatus.REQUEST_TIMEOUT, "The request took too long.")


def check(client: ClientConnection, now: float) -> None:
    """End what has taken too long by *now*, coarse monotonic seconds."""
    timeouts, waited = client.server.timeouts, now - client.since
    match client.phase:
        case Phase.READING:
            _check_reading(client, waited)
        case Phase.WORKING:
            _check_working(client, now)
        case Phase.LINGERING:
            if waited > timeouts.linger:
                client.close()
        case Phase.CLOSING:
            if waited > timeouts.flush:
                cut(client.transport)
        case Phase.GONE:
            pass


def _check_reading(client: ClientConnection, waited: float) -> None:
    server = client.server
    if client.is_full:
        # The last answer has not been read: the same patience as for any flush.
        if waited > server.timeouts.flush:
            server.refused(Limit.ANSWER_RATE)
            cut(client.transport)
    elif client.pending:
        if waited > server.timeouts.head:
            server.refused(Limit.HEAD_TIME)
            client.answer(_TOO_LATE, close=True)
    elif waited > server.timeouts.keep_alive:
        server.refused(Limit.IDLE_TIME)
        client.close()


def _check_working(client: ClientConnection, now: float) -> None:
    exchange, timeouts = client.exchange, client.server.timeouts
    if exchange is None:
        return
    waited = now - exchange.progress
    is_deserted = client.has_ended and waited > timeouts.half_closed
    limit = _too_slow(client, exchange, waited)
    if limit is not None:
        client.server.refused(limit)
    if is_deserted or limit is not None or (timeouts.client and waited > timeouts.client):
        client.abort()
    elif timeouts.server and waited > timeouts.server and not exchange.wants_body and not client.is_full:
        exchange.time_out()


def _too_slow(client: ClientConnection, exchange: Exchange, waited: float) -> Limit | None:
    """The limit that a client exceeds by sending its body, or taking its answer, too slowly."""
    timeouts, limits = client.server.timeouts, client.server.limits
    sends, takes = exchange.wants_body and not client.holds, client.is_full
    if sends and waited > timeouts.body:
        return Limit.BODY_TIME
    if not (sends or takes):
        return None
    pace = client.pace = client.pace or Pace()
    moved = client.received + client.sent - client.transport.get_write_buffer_size()
    if not pace.is_too_slow(moved, rate=limits.rate, window=timeouts.flush if takes else limits.rate_window):
        return None
    return Limit.ANSWER_RATE if takes else Limit.BODY_RATE
