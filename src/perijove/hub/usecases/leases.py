"""
The leases of one hub on the servers that it drives: renewed, and taken over from hubs that are gone.

What follows from having one is the driver's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from perijove.hub.domain.errors import StaleGeneration
from perijove.hub.domain.hubs import RENEWAL, may_take
from perijove.hub.domain.lifecycle import UNDRIVEN, State
from perijove.hub.domain.servers import Server
from perijove.hub.ports import Store, Unit
from perijove.hub.usecases.membership import Membership
from perijove.kit.clock import Clock

#: states of servers that a hub must drive
DRIVEN: Final = tuple(state for state in State if state not in UNDRIVEN)


class Leases:
    """What this hub holds, as rows."""

    def __init__(self, *, store: Store, clock: Clock, membership: Membership, seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._membership = membership
        self._seconds = seconds
        self._next_look = 0.0

    def end(self) -> datetime:
        """Until when a lease lasts that is given or renewed now."""
        return self._clock.now() + timedelta(seconds=self._seconds)

    def is_due(self) -> bool:
        """Whether it is time to renew and to look for servers that nobody drives."""
        return self._clock.monotonic() >= self._next_look or self._membership.has_changed

    def look_soon(self) -> None:
        """Leases may be free."""
        self._next_look = 0.0

    async def take_up(self, *, driven: Collection[int]) -> Sequence[Server]:
        """
        Renew all leases, and take those that are free.

        Args:
            driven: ids of servers that are worked on here.
        """
        holder, now = self._membership.holder, self._clock.now()
        if not holder:
            return ()
        self._membership.has_changed = False
        async with self._store.unit() as unit:
            if driven:
                await unit.servers.renew_leases(holder, self.end())
            # Servers before hubs: whoever has a lease by then has registered by then.
            rows = await unit.servers.in_states(DRIVEN)
            live = await self._membership.look_in(unit) | {holder}
            free = [
                row
                for row in rows
                if row.id not in driven and may_take(row.lease_holder, row.lease_until, mine=holder, live=live, now=now)
            ]
            taken = [await self._take(unit, row, holder) for row in free]
        self._next_look = self._clock.monotonic() + self._seconds * RENEWAL
        return [row for row in taken if row is not None]

    async def _take(self, unit: Unit, server: Server, holder: str) -> Server | None:
        try:
            return await unit.servers.swap(server, replace(server, lease_holder=holder, lease_until=self.end()))
        except StaleGeneration:
            # Another hub was quicker.
            return None
