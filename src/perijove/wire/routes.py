"""
A route as the proxy's control API speaks it (contract section h, plus `access` and `audience`).

Law: unknown keys of a route's body are stored and given back as they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote

Access = Literal["gated", "open"]
GATED: Final = "gated"
OPEN: Final = "open"

#: JSON keys
TARGET: Final = "target"
ACCESS: Final = "access"
AUDIENCE: Final = "audience"
#: list of protocols besides WebSocket that a request below the route may go on with (`Upgrade`)
UPGRADES: Final = "upgrades"
#: list of further origins, for a target that several processes can stand for: the next is asked when one cannot be
#: connected to
FALLBACKS: Final = "fallbacks"
LAST_ACTIVITY: Final = "last_activity"
#: Set by a hub on the routes that are its own to remove (contract h).
MINE: Final = "jupyterhub"


def unix_origin(socket: str) -> str:
    """The origin of the unix socket at the path *socket*: a target of a route, a base of calls."""
    return f"http+unix://{quote(socket, safe='')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    One entry of the table: requests below `path` go to `target`.

    `path` has no trailing slash and is percent-decoded (`/user/ada`; the default route is `/`).
    `target` is an origin: `http://host:port` or `http+unix://<percent-encoded path>`.
    """

    path: str
    target: str
    #: `gated`: only with an identity token for `audience`. Unstated means gated.
    access: Access = "gated"
    #: `owner/server_name`, or `/services/<name>`; empty for open routes
    audience: str = ""
    #: origins that stand in for `target` while it cannot be connected to
    fallbacks: tuple[str, ...] = ()
    #: whatever else the client stored: `user`, `server_name`, `service`, `hub`, `jupyterhub`, …
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_body(self) -> dict[str, Any]:
        """The JSON body of `POST /api/routes/<path>`."""
        body = {**self.data, TARGET: self.target, ACCESS: self.access, AUDIENCE: self.audience}
        return {**body, FALLBACKS: list(self.fallbacks)} if self.fallbacks else body
