from __future__ import annotations

import asyncio

import pytest

from perijove.hub.domain.attempts import AttemptRule
from perijove.hub.domain.errors import TooManyAttempts
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.limit_attempts import AttemptLimiter
from perijove.hub.usecases.testing import FakeClock

RULE = AttemptRule(per_account=3, per_address=10, window_seconds=60)


async def test_attempts_at_several_hubs_count_together() -> None:
    store, clock = MemoryStore(), FakeClock()
    hubs = [AttemptLimiter(store=store, clock=clock, rule=RULE) for _ in range(3)]
    for hub in hubs:
        await hub.count(account="ada", address="10.0.0.1")

    with pytest.raises(TooManyAttempts):
        await hubs[0].count(account="ada", address="10.0.0.2")


async def test_of_many_attempts_at_once_no_more_get_through_than_may() -> None:
    limiter = AttemptLimiter(store=MemoryStore(), clock=FakeClock(), rule=RULE)

    tries = [limiter.count(account="ada", address="10.0.0.1") for _ in range(10)]
    ends = await asyncio.gather(*tries, return_exceptions=True)

    assert [end is None for end in ends].count(True) == 3


async def test_a_success_at_one_hub_is_known_to_all() -> None:
    store, clock = MemoryStore(), FakeClock()
    one, two = (AttemptLimiter(store=store, clock=clock, rule=RULE) for _ in range(2))
    for _ in range(3):
        await one.count(account="ada", address="10.0.0.1")

    await two.succeeded(account="ada", address="10.0.0.1")

    await one.count(account="ada", address="10.0.0.1")


async def test_sweeping_forgets_what_does_not_count_any_more() -> None:
    store, clock = MemoryStore(), FakeClock()
    limiter = AttemptLimiter(store=store, clock=clock, rule=RULE)
    await limiter.count(account="ada", address="10.0.0.1")
    clock.advance(61)
    await limiter.count(account="bob", address="10.0.0.2")

    await limiter.sweep()

    assert sorted(store._tables.attempts) == ["account bob", "address 10.0.0.2"]


async def test_an_attempt_of_which_nothing_is_known_is_let_through() -> None:
    limiter = AttemptLimiter(store=MemoryStore(), clock=FakeClock(), rule=RULE)

    for _ in range(20):
        await limiter.count(account="", address="")
        await limiter.succeeded(account="", address="")
