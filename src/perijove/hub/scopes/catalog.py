"""
Every scope there is, what it means, and which others it implies (contract f).

Rule: a scope exists if, and only if, it is a row of `CATALOG`. The reference page is made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Definition:
    """What one scope means."""

    description: str
    #: scopes that come with it
    implies: tuple[str, ...] = ()


#: everything that a token's owner may do; only tokens hold it
INHERIT: Final = "inherit"
#: everything about oneself; only users hold it
SELF: Final = "self"
METASCOPES: Final = frozenset({SELF, INHERIT})

#: what `self` stands for, each for the owner's own name
SELF_SCOPES: Final = (
    "read:users",
    "users:shares",
    "read:shares",
    "users:activity",
    "servers",
    "tokens",
    "access:servers",
    "read:audit",
)

CATALOG: Final[Mapping[str, Definition]] = {
    SELF: Definition("Everything about yourself: your profile, servers, tokens and activity."),
    INHERIT: Definition("Everything that the token's owner may do."),
    "admin-ui": Definition("Open the administrators' pages."),
    "admin:users": Definition(
        "Create, change and delete users.",
        ("admin:auth_state", "users", "read:roles:users", "delete:users"),
    ),
    "admin:auth_state": Definition("Read what the sign-in method knows about a user."),
    "users": Definition(
        "Change users, without creating or deleting them.", ("read:users", "list:users", "users:activity")
    ),
    "delete:users": Definition("Delete users."),
    "list:users": Definition("List users.", ("read:users:name",)),
    "read:users": Definition(
        "Read what is known about users.", ("read:users:name", "read:users:groups", "read:users:activity")
    ),
    "read:users:name": Definition("Read names of users."),
    "read:users:groups": Definition("Read which groups users are in."),
    "read:users:activity": Definition("Read when users were last active."),
    "read:roles": Definition(
        "Read who has which role.", ("read:roles:users", "read:roles:services", "read:roles:groups")
    ),
    "read:roles:users": Definition("Read the roles of users."),
    "read:roles:services": Definition("Read the roles of services."),
    "read:roles:groups": Definition("Read the roles of groups."),
    "users:activity": Definition("Report when users were active.", ("read:users:activity",)),
    "admin:servers": Definition(
        "Read, start, stop and delete servers, and read their inner state.", ("admin:server_state", "servers")
    ),
    "admin:server_state": Definition("Read the inner state of servers."),
    "servers": Definition("Start, stop and delete servers.", ("read:servers", "start:servers", "delete:servers")),
    "read:servers": Definition("Read names and states of servers.", ("read:users:name",)),
    "start:servers": Definition("Start servers."),
    "delete:servers": Definition("Stop and delete servers."),
    "tokens": Definition("Read, create and revoke tokens of users.", ("read:tokens",)),
    "read:tokens": Definition("Read which tokens users have."),
    "admin:groups": Definition("Create, change and delete groups.", ("groups", "read:roles:groups", "delete:groups")),
    "groups": Definition("Change groups and who is in them.", ("read:groups", "list:groups")),
    "list:groups": Definition("List groups.", ("read:groups:name",)),
    "read:groups": Definition("Read what is known about groups.", ("read:groups:name",)),
    "read:groups:name": Definition("Read names of groups."),
    "delete:groups": Definition("Delete groups."),
    "admin:services": Definition(
        "Create and delete services.", ("list:services", "read:services", "read:roles:services")
    ),
    "list:services": Definition("List services.", ("read:services:name",)),
    "read:services": Definition("Read what is known about services.", ("read:services:name",)),
    "read:services:name": Definition("Read names of services."),
    "read:hub": Definition("Read details of the hub."),
    # JupyterHub has no finer access than this one; who shares a server here may give less of it.
    "access:servers": Definition("Open servers, change files there and run code.", ("access:servers:write",)),
    "access:servers:write": Definition(
        "Open servers and change files there, without running code.", ("access:servers:read",)
    ),
    "access:servers:read": Definition("Open servers and look at files and results there."),
    "access:services": Definition("Open services."),
    "users:shares": Definition("Leave what was shared with users.", ("read:users:shares",)),
    "read:users:shares": Definition("Read what was shared with users."),
    "groups:shares": Definition("Leave what was shared with groups.", ("read:groups:shares",)),
    "read:groups:shares": Definition("Read what was shared with groups."),
    "read:shares": Definition("Read with whom servers are shared."),
    "shares": Definition(
        "Share servers and end it.", ("access:servers", "read:shares", "users:shares", "groups:shares")
    ),
    "proxy": Definition("Read the proxy's routes and have them put right."),
    "shutdown": Definition("Shut the hub down."),
    "read:audit": Definition("Read the audit log."),
    "read:metrics": Definition("Read the hub's metrics."),
}


def _closure(name: str) -> frozenset[str]:
    return frozenset({name}).union(*(_closure(child) for child in CATALOG[name].implies))


#: each scope with all that it implies, however indirectly; the metascopes depend on who asks and are left out
IMPLIED: Final[Mapping[str, frozenset[str]]] = {name: _closure(name) for name in CATALOG if name not in METASCOPES}
