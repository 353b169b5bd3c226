from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from perijove.hub.domain.errors import StoreAway
from perijove.hub.domain.notices import Kind, Notice
from perijove.hub.ports import Unit
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.membership import Membership
from perijove.hub.usecases.testing import FakeClock


class ShakyStore(MemoryStore):
    """One that can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """A transaction, if it is there."""
        if self.is_away:
            raise StoreAway
        async with super().unit() as unit:
            yield unit


def member(store: MemoryStore, clock: FakeClock, name: str = "one") -> Membership:
    return Membership(store=store, clock=clock, name=name, lease_seconds=10, version="1")


async def test_nobody_holds_leases_before_registering() -> None:
    hub = member(MemoryStore(), FakeClock())
    before = hub.holder

    await hub.keep()

    assert (before, hub.holder) == ("", "one#1")


async def test_a_hub_that_renews_in_time_stays_who_it_is() -> None:
    clock = FakeClock()
    hub = member(MemoryStore(), clock)

    for _ in range(100):
        await hub.keep()
        clock.advance(1)

    assert hub.holder == "one#1"


async def test_a_hub_that_cannot_renew_in_time_may_hold_nothing_and_registers_anew() -> None:
    store, clock = ShakyStore(), FakeClock()
    hub = member(store, clock)
    await hub.keep()
    store.is_away = True
    holders = []
    for _ in range(8):
        clock.advance(1)
        with suppress(StoreAway):
            await hub.keep()
        holders.append(hub.holder)
    store.is_away = False

    await hub.keep()

    assert holders == ["one#1"] * 6 + ["", ""]
    assert hub.holder == "one#2"


async def test_a_restarted_hub_is_a_new_incarnation_and_the_old_one_learns_of_it() -> None:
    """
    Two processes of one name: whoever came last counts, and both are told what to change.
    """
    store, clock = MemoryStore(), FakeClock()
    old, new = member(store, clock), member(store, clock)
    await old.keep()
    await new.keep()
    clock.advance(4)

    await old.keep()

    assert (new.holder, old.holder) == ("one#2", "one#3")
    assert old.has_changed


async def test_a_hub_that_leaves_is_missed_at_once_and_says_so() -> None:
    store, clock = MemoryStore(), FakeClock()
    one, two = member(store, clock), member(store, clock, "two")
    await two.keep()
    await one.keep()
    await two.keep()
    was_alone = two.is_alone
    heard = store.notices()
    first = await anext(heard)

    await one.leave()
    await one.leave()
    await two.keep()

    assert (one.holder, was_alone, two.is_alone, two.has_lost_one) == ("", False, True, True)
    assert (first, await asyncio.wait_for(anext(heard), 1)) == (Notice(Kind.LOST), Notice(Kind.LOST))


async def test_leaving_without_a_database_is_no_error() -> None:
    store = ShakyStore()
    hub = member(store, FakeClock())
    await hub.keep()
    store.is_away = True

    await hub.leave()

    assert hub.holder == ""
