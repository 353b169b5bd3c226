"""
How much one client, session or server may take, and what each limit is called.

Every refusal by a limit is counted under its name (`statistics.py`). Limits of time have their values in
`net/timeouts.py`; here are their names. Counts hold for one worker: what N workers serve together is up to N times as
much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import IPv6Address
from typing import Final

#: Clients that a worker serves at once if descriptors allow: an idle one costs some 3 KB, one in the middle of a head
#: up to 64 KB.
MAX_CLIENTS: Final = 32_768
#: Descriptors that are neither a client's nor a server's: listening sockets, logs, the link to the parent.
RESERVE: Final = 64
_FEWEST: Final = 16
_NETWORK_BITS: Final = 64


class Limit(Enum):
    """The names of the limits; in metrics and in the reference they stand like this."""

    HEAD = "head-size"  #: bytes of a request head
    LINE = "line-size"  #: bytes of the request line
    FIELDS = "fields"  #: fields of a request head
    HEAD_TIME = "head-time"  #: seconds from the first byte of a head to its last
    IDLE_TIME = "idle-time"  #: seconds between two requests
    BODY_TIME = "body-time"  #: seconds between two pieces of a request's body
    BODY_RATE = "body-rate"  #: bytes a second of a request's body
    ANSWER_RATE = "answer-rate"  #: bytes a second that a client takes of an answer
    CLIENTS = "clients"  #: connections from clients
    ADDRESS = "address"  #: connections from one address
    WEBSOCKETS = "websockets"  #: WebSockets of one session
    TARGET = "target"  #: connections to one server
    ROUTES = "routes"  #: routes in the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes, rates and counts; 0 where a field says so."""

    #: bytes of a request head; more is 431. JupyterHub's cookies alone reach 8 KB
    head: int = 64 * 1024
    #: bytes of a request line; more is 414
    line: int = 8 * 1024
    #: fields of a request head; more is 431
    fields: int = 100
    #: bytes a second that a client must send of a body, and take of an answer that waits for it; 0: any
    rate: int = 240
    #: seconds over which the rate of a body is averaged
    rate_window: float = 30.0
    #: connections from clients, tunnels among them; 0: what descriptors allow, at most `MAX_CLIENTS`
    clients: int = 0
    #: connections from one address (IPv6: one /64), unless it is a trusted forwarder; 0: half of all
    per_address: int = 0
    #: WebSockets of one session on gated routes
    websockets: int = 256
    #: connections to one server; 0: half of `clients`
    per_target: int = 0
    #: routes
    routes: int = 100_000

    def settle(self, descriptors: int) -> Limits:
        """These limits with numbers for what follows from how many *descriptors* the process may open."""
        # Each client may need one more descriptor, to its server. Negative is what "unlimited" looks like.
        room = max(_FEWEST, (descriptors - RESERVE) // 2) if descriptors >= 0 else self.clients or MAX_CLIENTS
        clients = min(self.clients or MAX_CLIENTS, room)
        return replace(
            self,
            clients=clients,
            per_address=self.per_address or max(_FEWEST, clients // 2),
            per_target=self.per_target or max(_FEWEST, clients // 2),
        )


def network_of(peer: str) -> str:
    """
    What *peer* is counted as: an IPv4 address itself, an IPv6 address its /64, which is what one customer has.
    """
    if ":" not in peer:
        return peer
    address = IPv6Address(peer.partition("%")[0])
    return f"{IPv6Address(int(address) >> _NETWORK_BITS << _NETWORK_BITS)}/{_NETWORK_BITS}"
