from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from dataclasses import replace
from typing import Any

from perijove.hub.domain.audit import Action, AuditEntry
from perijove.hub.domain.audit_chain import Link
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.audit_chain import BATCH, AuditChain, AuditFileUnusable, verify
from perijove.hub.usecases.testing import FakeClock

DAY = 86400.0


class FakeFile:
    """In memory; full when told to be."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.is_full = False

    async def position(self) -> int:
        """Of the last entry."""
        return self.entries[-1].sequence if self.entries else 0

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Unless it is full."""
        if self.is_full:
            raise AuditFileUnusable("/var/log/audit: No space left on device")
        self.entries.extend(entries)


class World:
    """A log that grows."""

    def __init__(self, *, days: float = 0) -> None:
        self.store = MemoryStore()
        self.clock = FakeClock()
        self.file = FakeFile()
        self.chain = AuditChain(store=self.store, clock=self.clock, retention_days=days, file=self.file)

    async def tell(self, count: int = 1) -> None:
        async with self.store.unit() as unit:
            for number in range(count):
                await record(unit, Action.SHARED, at=self.clock.now(), by=None, target=f"user{number}")

    async def faults(self, known: Link | None = None) -> list[str]:
        return (await verify(self.store, known=known)).faults()

    async def rows(self) -> Sequence[AuditEntry]:
        async with self.store.reading() as unit:
            return await unit.audit.sealed(after=0, limit=100_000)


async def test_every_entry_gets_its_place_and_the_chain_holds() -> None:
    world = World()
    await world.tell(BATCH + 3)

    done = await world.chain.seal()
    again = await world.chain.seal()
    await world.tell(2)
    await world.chain.seal()

    assert (done, again) == (BATCH + 3, 0)
    assert [row.sequence for row in await world.rows()] == list(range(1, BATCH + 6))
    assert await world.faults() == []


async def test_a_row_that_somebody_changed_is_found() -> None:
    world = World()
    await world.tell(5)
    await world.chain.seal()
    tables: dict[int, AuditEntry] = world.store._tables.audit  # somebody with the database in hand
    third = sorted(tables)[2]
    tables[third] = replace(tables[third], target="eve")

    (fault,) = await world.faults()

    assert fault.startswith("Entry 3 ")


async def test_what_is_old_is_forgotten_and_the_rest_is_verified_from_there() -> None:
    world = World(days=10)
    await world.tell(BATCH + 7)
    await world.chain.seal()
    kept_link = Link.of((await world.rows())[-1])
    world.clock.advance(6 * DAY)
    await world.tell(4)
    await world.chain.seal()
    world.clock.advance(5 * DAY)

    gone = await world.chain.forget()

    assert gone == BATCH + 7
    assert [row.sequence for row in await world.rows()] == list(range(BATCH + 8, BATCH + 12))
    assert await world.faults() == []
    assert await world.faults(known=kept_link) == []
    assert await world.chain.forget() == 0


async def test_a_chain_of_which_all_was_forgotten_goes_on_where_it_ended() -> None:
    world = World(days=1)
    await world.tell(3)
    await world.chain.seal()
    world.clock.advance(2 * DAY)
    await world.chain.forget()
    assert await world.rows() == []

    await world.tell(2)
    await world.chain.seal()

    assert [row.sequence for row in await world.rows()] == [4, 5]
    assert await world.faults() == []


async def test_without_a_number_of_days_nothing_is_forgotten() -> None:
    world = World()
    await world.tell(3)
    await world.chain.seal()
    world.clock.advance(9999 * DAY)

    assert await world.chain.forget() == 0
    assert len(await world.rows()) == 3


async def test_what_is_not_sealed_yet_is_not_forgotten() -> None:
    world = World(days=1)
    await world.tell(3)
    world.clock.advance(2 * DAY)

    assert await world.chain.forget() == 0
    assert await world.chain.seal() == 3


async def test_the_file_has_the_chain_in_its_order_and_once() -> None:
    world = World()
    for _ in range(3):
        await world.tell(BATCH // 2 + 1)
        await world.chain.keep()
        await world.chain.keep()

    assert world.file.entries == await world.rows()


async def test_a_full_disk_stops_nothing_is_said_once_and_is_made_up_for(logged: MutableSequence[Any]) -> None:
    world = World()
    world.file.is_full = True
    for _ in range(3):
        await world.tell()
        await world.chain.keep()
    world.file.is_full = False
    await world.chain.keep()
    await world.chain.keep()

    said = [line["event"] for line in logged if line["event"].startswith("audit.file")]
    assert said == ["audit.file_unusable", "audit.file_usable_again"]
    assert world.file.entries == await world.rows()
    assert len(world.file.entries) == 3


async def test_another_file_and_another_number_of_days_are_taken_over() -> None:
    world = World()
    await world.tell(2)
    await world.chain.keep()
    other = FakeFile()

    world.chain.adopt(retention_days=1, file=other)
    await world.chain.keep()
    world.clock.advance(2 * DAY)

    assert len(other.entries) == 2
    assert await world.chain.forget() == 2
    world.chain.adopt(retention_days=0, file=None)
    await world.tell()
    await world.chain.keep()
    assert len(other.entries) == 2
