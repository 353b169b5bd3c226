from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvloop

from tests.integration.proxy.support import LoopFactory, Running, running


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
async def proxy(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    """
    A proxy without a door, on both loops: where uvloop is absent the standard one takes over, and transports
    differ at the edges.
    """
    factory: LoopFactory = request.param
    async with running(loop_factory=factory) as started:
        yield started
