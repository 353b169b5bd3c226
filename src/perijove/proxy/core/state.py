"""
Everything a proxy knows that its clients told it: the one thing a new worker needs to serve like the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perijove.proxy.core.changes import Change, PutRoute, RemoveRoute, ReplaceRoutes, Revoke, SetKeys
from perijove.proxy.core.revocation import RevocationList
from perijove.proxy.core.routes import Entry, RouteTable, unpacked


class State:
    """Routes, keys and revocations."""

    def __init__(self, *, host_routing: bool = False) -> None:
        """
        Args:
            host_routing: whether the first segment of a route is a host name.
        """
        self._host_routing = host_routing
        self.table = RouteTable(host_routing=host_routing)
        self.jwks: list[dict[str, Any]] = []
        self.revocations = RevocationList()
        #: whether there is a door; once on it stays on: losing the keys must not open anything
        self.door = False

    def apply(self, change: Change, *, now: float | None) -> list[Entry]:
        """
        Make *change*; answers the entries of the table that this retired.

        Args:
            change: what to do.
            now: seconds since the epoch; None: somebody else keeps the time of last use.

        Raises:
            BadControlCall: a route is none; nothing has changed.
        """
        match change:
            case PutRoute(path=path, body=body):
                return self.table.put(path, body, now=now)
            case RemoveRoute(path=path):
                return self.table.remove(path)
            case ReplaceRoutes(bodies=bodies):
                return self.table.replace(bodies, now=now)
            case SetKeys(jwks=jwks):
                self.jwks = [dict(jwk) for jwk in jwks]
                self.door = self.door or bool(jwks)
            case Revoke(revocation=revocation):
                self.revocations.add(revocation)
        return []

    def copy(self) -> State:
        """Another one that says the same and shares nothing."""
        other = State(host_routing=self._host_routing)
        other.table.limit = self.table.limit
        other.table.replace(self.table.bodies(), now=None)
        for path in self.table.bodies():
            other.table.note_activity(path, self.table.last_activity(path))
        other.jwks = [dict(jwk) for jwk in self.jwks]
        for revocation in self.revocations:
            other.revocations.add(revocation)
        other.door = self.door
        return other

    def activity_since(self, moment: float) -> dict[str, float]:
        """Route path -> seconds since the epoch of its last byte, of routes that were asked for here after *moment*."""
        return self.table.used_since(moment)

    def note_activity(self, activity: Mapping[str, float]) -> None:
        """Take over what a worker has seen."""
        for path, moment in activity.items():
            self.table.note_activity(path, moment)

    def routes(self) -> dict[str, tuple[Mapping[str, Any], float]]:
        """Route path -> body as posted, and seconds since the epoch of its last byte."""
        table = self.table
        return {path: (unpacked(body), table.last_activity(path)) for path, body in table.bodies().items()}
