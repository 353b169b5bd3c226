"""
How long the proxy waits for what. All are checked once a second, so they are exact to a second.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds; 0 means for ever where a field says so."""

    #: from the first byte of a request's head to its last
    head: float = 10.0
    #: between two pieces of a request's body
    body: float = 60.0
    #: between two requests
    keep_alive: float = 60.0
    #: without a byte in either direction during a request; 0: for ever (`--timeout`)
    client: float = 0.0
    #: for the server's next byte; 0: for ever (`--proxy-timeout`)
    server: float = 0.0
    #: for a server's answer, from when the client has closed its half of the connection
    half_closed: float = 30.0
    #: reading on after the last answer
    linger: float = 2.0
    #: for the client to take what has been written
    flush: float = 120.0
    #: for one attempt to connect to a server
    connect: float = 5.0
    #: during which a hub that refuses connections is tried again
    hub_patience: float = 5.0
    #: for one answer of the hub
    hub: float = 5.0
