"""
Hub processes over one database.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HubProcess:
    """
    One hub process, as it has registered.

    `name` is the same after a restart (`host-1`); `incarnation` grows by one with each: what an older one still
    does is refused, and what it had in hand is the new one's at once.
    """

    name: str
    incarnation: int
    #: version of perijove
    version: str
    started: datetime
    #: it counts as gone after that, unless it has renewed
    alive_until: datetime

    @property
    def holder(self) -> str:
        """What leases carry."""
        return holder_of(self.name, self.incarnation)


def holder_of(name: str, incarnation: int) -> str:
    """The holder of a lease that the *incarnation*-th process of that name has."""
    return f"{name}#{incarnation}"
