from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from perijove.hub.domain.errors import StartsPaused
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import Server
from perijove.hub.usecases.start_breaker import StartBreaker
from perijove.hub.usecases.testing import START
from perijove.hub.usecases.testing_time import LoopClock

SERVER = Server(
    id=1,
    user_id=1,
    user_name="ada",
    name="",
    state=State.LAUNCHING,
    generation=1,
    created=START,
    user_options={"profile": "gpu"},
)


async def test_a_refusal_says_what_and_for_how_long() -> None:
    breaker = StartBreaker(clock=LoopClock(), limit=2)
    for user in (1, 2):
        breaker.failed(replace(SERVER, user_id=user))

    with pytest.raises(StartsPaused, match=r"Starts of gpu .* 30 s") as refusal:
        breaker.check({"profile": "gpu"})
    assert refusal.value.retry_after in (30, 31)
    breaker.check({"profile": "cpu"})


async def test_the_trial_that_succeeds_lets_all_others_through() -> None:
    breaker = StartBreaker(clock=LoopClock(), limit=1)
    breaker.failed(SERVER)
    await asyncio.sleep(30)
    breaker.check(SERVER.user_options)
    breaker.begin(SERVER)
    with pytest.raises(StartsPaused):
        breaker.check(SERVER.user_options)

    breaker.succeeded(SERVER)

    breaker.check(SERVER.user_options)
