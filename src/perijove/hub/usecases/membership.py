"""
This process's place among the hubs over one database: registered, renewed, given up.

Leases on servers carry `holder`. It is empty while nobody may rely on this process: before it has registered, and
when it could not renew in time. The driver then lets go of everything; the next renewal registers anew.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from perijove.hub.domain.errors import Unavailable
from perijove.hub.domain.hubs import LOOK, RENEWAL, TRUST, HubProcess, Lookout
from perijove.hub.domain.notices import Kind, Notice
from perijove.hub.ports import Store, Unit
from perijove.hub.usecases.forever import forever
from perijove.kit.clock import Clock

log = structlog.get_logger(__name__)


class Membership:
    """One hub's registration, and what it knows of the others."""

    def __init__(self, *, store: Store, clock: Clock, name: str, lease_seconds: float, version: str = "") -> None:
        #: what this process registers as
        self.name = name
        self._store = store
        self._clock = clock
        self._lease = lease_seconds
        self._version = version
        self._lookout = Lookout(lease_seconds=lease_seconds)
        self._hub: HubProcess | None = None
        self._renewed = 0.0
        #: holders that were alive at the last look, this one too
        self.live: frozenset[str] = frozenset()
        #: whether somebody has come or gone since somebody took notice
        self.has_changed = False
        #: whether somebody has gone since somebody took notice
        self.has_lost_one = False

    @property
    def holder(self) -> str:
        """What leases of this process carry; empty while it may hold none."""
        if self._hub is None or self._clock.monotonic() - self._renewed >= self._lease * TRUST:
            return ""
        return self._hub.holder

    @property
    def is_alone(self) -> bool:
        """Whether no other hub was alive at the last look."""
        return not self.live - {self.holder}

    async def run(self) -> None:
        """Stay registered until cancelled."""
        await forever("hub lease", self.keep, every=self._lease * LOOK)

    async def keep(self) -> None:
        """Register or renew, if that is due, and look who else is there."""
        if not self.holder:
            await self._register()
        elif self._clock.monotonic() - self._renewed >= self._lease * RENEWAL:
            await self._renew()
        async with self._store.reading() as unit:
            await self.look_in(unit)

    async def look_in(self, unit: Unit) -> frozenset[str]:
        """
        Look who is alive, as a part of *unit*.

        Whoever judges leases by that reads them first: a hub registers before it takes one.
        """
        rows = await unit.hubs.all()
        live = self._lookout.look(rows, now=self._clock.now(), seconds=self._clock.monotonic())
        gone = self.live - live
        if live != self.live:
            self.has_changed = True
        if gone - {self.holder}:
            self.has_lost_one = True
            log.info("hub.gone", hubs=sorted(gone))
        self.live = live
        return live

    async def leave(self) -> None:
        """Give everything up at once: what was held is free for the others."""
        hub, self._hub = self._hub, None
        if hub is None:
            return
        try:
            async with self._store.unit() as unit:
                await unit.hubs.leave(hub)
                # Nothing was missed, but all should look: leases are free.
                unit.notify(Notice(Kind.LOST))
        except Unavailable as exc:
            log.warning("hub.left_unsaid", hub=hub.holder, why=exc.message)

    async def _register(self) -> None:
        before, began = self._hub, self._clock.monotonic()
        if before is not None:
            log.warning("hub.lease_lost", hub=before.holder, why="it could not renew in time")
        now = self._clock.now()
        async with self._store.unit() as unit:
            hub = await unit.hubs.register(
                self.name, version=self._version, now=now, until=now + timedelta(seconds=self._lease)
            )
        self._hub, self._renewed, self.has_changed = hub, began, True
        log.debug("hub.registered", hub=hub.holder)

    async def _renew(self) -> None:
        hub, began = self._hub, self._clock.monotonic()
        if hub is None:
            return
        async with self._store.unit() as unit:
            renewed = await unit.hubs.renew(hub, self._clock.now() + timedelta(seconds=self._lease))
        if renewed:
            self._renewed = began
            return
        self._hub = None
        log.warning(
            "hub.lease_lost",
            hub=hub.holder,
            why=f"another process has registered as {self.name!r}: hubs over one database need names of their own",
        )
        await self._register()
