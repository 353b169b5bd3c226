"""
What happens to entries of the audit log after they were written: sealed into the chain, copied to a file if the
administrator wants one, and forgotten when they are old.

One hub at a time seals. Each deployment copies all of the chain to its own file, whoever sealed it: what is in the
file is what the chain says, in its order, once, and a file that could not be written catches up later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Protocol

import structlog

from perijove.hub.domain.audit import AuditEntry, seal_of
from perijove.hub.domain.audit_chain import Link, Verifier
from perijove.hub.ports import Store, Unit
from perijove.kit.clock import Clock

log = structlog.get_logger(__name__)

#: entries that are sealed, copied or forgotten in one transaction
BATCH: Final = 500
#: batches in one round: the rest waits for the next
_BATCHES: Final = 100
#: what one hub at a time does
_CHAIN: Final = "audit chain"
#: the last link of what was forgotten
_FORGOTTEN: Final = "audit log forgotten up to"


class AuditFile(Protocol):
    """A copy of the chain outside the database."""

    async def position(self) -> int:
        """Place of the last entry in it; 0 if it is empty. Raises AuditFileUnusable."""
        ...

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """All of them or none. Raises AuditFileUnusable."""
        ...


class AuditFileUnusable(Exception):
    """The copy of the audit log cannot be written."""


class AuditChain:
    """Keeps the chain."""

    def __init__(self, *, store: Store, clock: Clock, retention_days: float = 0, file: AuditFile | None = None) -> None:
        """
        Args:
            store: where the log is.
            clock: the time.
            retention_days: days after which entries are forgotten; 0: never.
            file: where the chain is copied to.
        """
        self._store = store
        self._clock = clock
        self._retention_days = retention_days
        self._file = file
        self._file_fails = False

    def adopt(self, *, retention_days: float, file: AuditFile | None) -> None:
        """Go on with these."""
        self._retention_days = retention_days
        self._file = file

    async def keep(self) -> None:
        """Seal what is new, and copy it."""
        await self.seal()
        await self.copy()

    async def seal(self) -> int:
        """Give every entry that has none its place in the chain; answers how many those were."""
        done = 0
        for _ in range(_BATCHES):
            async with self._store.reading() as unit:
                if not await unit.audit.unsealed(1):
                    break
            done += await self._seal_batch()
        return done

    async def copy(self) -> None:
        """Write what the file does not have yet. A file that cannot be written stops nothing: it is tried again."""
        if self._file is None:
            return
        try:
            await self._copy_to(self._file)
        except AuditFileUnusable as exc:
            if not self._file_fails:
                log.error("audit.file_unusable", why=str(exc), hint="entries are kept and written later")  # noqa: TRY400
            self._file_fails = True
            return
        if self._file_fails:
            log.info("audit.file_usable_again")
        self._file_fails = False

    async def forget(self) -> int:
        """
        Forget what is older than it is to be kept; answers how many those were.

        The beginning of the chain goes, up to the first entry that is young enough. The last link of it stays, so that
        the rest can be verified. Ask only while the clock can be believed.
        """
        if not self._retention_days:
            return 0
        cutoff = self._clock.now() - timedelta(days=self._retention_days)
        gone = 0
        for _ in range(_BATCHES):
            async with self._store.unit() as unit:
                await unit.alone(_CHAIN)
                start = await forgotten_up_to(unit)
                rows = await unit.audit.sealed(after=start.sequence, limit=BATCH)
                young = next((index for index, row in enumerate(rows) if row.at >= cutoff), len(rows))
                if young:
                    last = Link.of(rows[young - 1])
                    await unit.facts.put(_FORGOTTEN, last.to_fact())
                    gone += await unit.audit.forget(up_to=last.sequence)
            if young < BATCH:
                break
        if gone:
            log.info("audit.forgotten", entries=gone, older_than_days=self._retention_days)
        return gone

    async def _seal_batch(self) -> int:
        async with self._store.unit() as unit:
            await unit.alone(_CHAIN)
            end = await unit.audit.last_sealed()
            link = await forgotten_up_to(unit) if end is None else Link.of(end)
            rows = await unit.audit.unsealed(BATCH)
            for row in rows:
                sequence = link.sequence + 1
                link = Link(sequence=sequence, sealed_hash=seal_of(row, sequence=sequence, before=link.sealed_hash))
                await unit.audit.seal(row.id, sequence=sequence, sealed_hash=link.sealed_hash)
        return len(rows)

    async def _copy_to(self, file: AuditFile) -> None:
        position = await file.position()
        for _ in range(_BATCHES):
            async with self._store.reading() as unit:
                rows = await unit.audit.sealed(after=position, limit=BATCH)
            if not rows:
                return
            await file.append(rows)
            position = rows[-1].sequence


async def forgotten_up_to(unit: Unit) -> Link:
    """The last link of what was forgotten on purpose."""
    return Link.from_fact(await unit.facts.get(_FORGOTTEN))


async def verify(store: Store, *, known: Link | None = None) -> Verifier:
    """Look at the whole chain. *known* is a link that was kept elsewhere."""
    async with store.reading() as unit:
        verifier = Verifier(start=await forgotten_up_to(unit), known=known)
    while True:
        async with store.reading() as unit:
            rows = await unit.audit.sealed(after=verifier.last.sequence, limit=BATCH)
        if not rows:
            return verifier
        for row in rows:
            verifier.look(row)
