"""
Hub processes over one database: who they are, and which of them are gone. Pure.

Law: whether another hub lives is judged by whether its row still changes, over time that this hub has measured
itself. What clocks of two machines say is compared only where they may differ by `MAX_SKEW`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: how far the clocks of two hubs over one database may differ
MAX_SKEW: Final = timedelta(minutes=1)
# All as parts of the lease. A hub that could not renew lets go strictly before the others count it as gone, and they
# have taken over its work before the lease would have ended.
#: between two renewals
RENEWAL: Final = 1 / 3
#: after its last renewal began, a hub stops driving servers
TRUST: Final = 0.7
#: after its row was last seen to change, a hub is gone
PATIENCE: Final = 0.8
#: between looks at the others
LOOK: Final = 0.1


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


def others_of(live: Iterable[str], *, name: str, is_one_of_several: bool) -> frozenset[str]:
    """
    Names of the hubs that stay when this one ends.

    Args:
        live: holders that are alive.
        name: what this hub registers as: the deployment's name and a number.
        is_one_of_several: whether those that differ by the number alone end with it.
    """
    deployment = name.rpartition("-")[0]
    names = {holder.rpartition("#")[0] for holder in live} - {name}
    if is_one_of_several:
        names = {other for other in names if other.rpartition("-")[0] != deployment}
    return frozenset(names)


class Lookout:
    """Watches the rows of hubs and tells which of them are alive."""

    def __init__(self, *, lease_seconds: float) -> None:
        self._patience = lease_seconds * PATIENCE
        #: holder → its `alive_until`, and when that was first seen
        self._seen: dict[str, tuple[datetime, float]] = {}

    def look(self, rows: Iterable[HubProcess], *, now: datetime, seconds: float) -> frozenset[str]:
        """
        The holders that are alive.

        Args:
            rows: every hub that has not left.
            now: this machine's wall clock.
            seconds: a clock that nobody can set.
        """
        seen: dict[str, tuple[datetime, float]] = {}
        for row in rows:
            before = self._seen.get(row.holder)
            if before is not None and before[0] == row.alive_until:
                seen[row.holder] = before
            elif before is None and row.alive_until + MAX_SKEW <= now:
                # Gone before anybody looked, whatever its clock was.
                seen[row.holder] = (row.alive_until, seconds - self._patience)
            else:
                seen[row.holder] = (row.alive_until, seconds)
        self._seen = seen
        return frozenset(holder for holder, (_, at) in seen.items() if seconds - at < self._patience)


def may_take(holder: str, until: datetime | None, *, mine: str, live: frozenset[str], now: datetime) -> bool:
    """
    Whether a server whose lease *holder* has *until* then may be taken over.

    Args:
        holder: who has it; empty: nobody.
        until: when it ends, by its holder's clock.
        mine: who asks.
        live: holders that are alive.
        now: the asker's wall clock.
    """
    if not holder or holder == mine or holder not in live:
        return True
    # Alive, but it has lost sight of this one: it renews all that it drives.
    return until is None or until + MAX_SKEW <= now
