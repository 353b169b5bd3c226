"""
Who believes whom between the parts, where they speak over TCP: one authority for each role, as tables.

A program that we did not write can only ask whether a certificate comes from an authority it was given. So the role of
a certificate is the authority that signed it, and what a part accepts is the list of authorities that it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Role(Enum):
    """What a certificate stands for; values name files and authorities."""

    HUB = "hub"
    #: the proxy's control API
    PROXY_API = "proxy-api"
    #: the proxy as a caller of servers, services and hubs
    PROXY_CLIENT = "proxy-client"
    SERVERS = "servers"
    SERVICES = "services"


#: Roles whose certificates can be shown by who listens; the proxy's as a caller can be none's but a caller's.
LISTENS: Final = frozenset({Role.HUB, Role.PROXY_API, Role.SERVERS, Role.SERVICES})
#: Roles whose certificates can be shown by who calls.
CALLS: Final = frozenset({Role.HUB, Role.PROXY_CLIENT, Role.SERVERS, Role.SERVICES})
#: role → whose certificates it accepts, of callers and of those that it calls
TRUSTS: Final[Mapping[Role, frozenset[Role]]] = {
    Role.HUB: frozenset(Role),
    Role.PROXY_API: frozenset({Role.HUB}),
    Role.PROXY_CLIENT: frozenset({Role.HUB, Role.SERVERS, Role.SERVICES}),
    Role.SERVERS: frozenset({Role.HUB, Role.PROXY_CLIENT}),
    Role.SERVICES: frozenset({Role.HUB, Role.PROXY_CLIENT}),
}
