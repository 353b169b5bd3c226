"""
Everything a proxy knows that its clients told it: the one thing a new worker needs to serve like the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perijove.proxy.core.changes import Change, PutRoute, RemoveRoute, ReplaceRoutes, Revoke, SetKeys
from perijove.proxy.core.revocation import RevocationList
from perijove.proxy.core.routes import Entry, RouteTable


class State:
    """Routes, keys and revocations."""

    def __init__(self, *, host_routing: bool = False) -> None:
        """
        Args:
            host_routing: whether the first segment of a route is a host name.
        """
        self.table = RouteTable(host_routing=host_routing)
        self.jwks: list[dict[str, Any]] = []
        self.revocations = RevocationList()
        #: whether there is a door; once on it stays on: losing the keys must not open anything
        self.door = False

    def apply(self, change: Change, *, now: float) -> list[Entry]:
        """
        Make *change*; answers the entries of the table that this retired.

        Args:
            change: what to do.
            now: seconds since the epoch.

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

    def copy(self, *, host_routing: bool = False) -> State:
        """Another one that says the same and shares nothing."""
        other = State(host_routing=host_routing)
        other.table.limit = self.table.limit
        other.table.replace({entry.path: entry.body for entry in self.table}, now=0.0)
        for entry in self.table:
            twin = other.table.get(entry.path)
            if twin is not None:
                twin.last_activity = entry.last_activity
        other.jwks = [dict(jwk) for jwk in self.jwks]
        for revocation in self.revocations:
            other.revocations.add(revocation)
        other.door = self.door
        return other

    def activity_since(self, moment: float) -> dict[str, float]:
        """Route path -> seconds since the epoch of its last byte, of routes that were used after *moment*."""
        return {entry.path: entry.last_activity for entry in self.table if entry.last_activity > moment}

    def note_activity(self, activity: Mapping[str, float]) -> None:
        """Take over what a worker has seen."""
        for path, moment in activity.items():
            entry = self.table.get(path)
            if entry is not None and moment > entry.last_activity:
                entry.last_activity = moment
