"""
A unit over PostgreSQL that is cancelled before it has begun: its connection is not lost, nor left half set.
"""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta

import psycopg
import pytest

from perijove.hub.store.sql import SqlStore
from perijove.kit.tasks import TaskGroup
from tests.support.databases import Databases

pytestmark = pytest.mark.timeout(60)


async def test_a_reading_unit_that_is_cancelled_while_it_is_set_up_leaves_no_connection_behind(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = asyncio.Event()

    async def hang(*_: object) -> None:
        reached.set()
        await asyncio.sleep(timedelta(minutes=1).total_seconds())

    with databases.fresh("postgresql") as db_url:
        async with SqlStore(db_url) as store:
            await store.ping()
            with monkeypatch.context() as patched:
                patched.setattr(psycopg.AsyncConnection, "set_read_only", hang)
                async with TaskGroup("cancelled") as tasks:
                    looking = tasks.start("look", look(store))
                    await asyncio.wait_for(reached.wait(), 20)
                    looking.cancel()
                    await asyncio.wait({looking}, timeout=20)
            assert looking.cancelled()
            # What the pool does not know of is closed by the garbage collector, which warns.
            gc.collect()

            async with store.unit() as unit:
                await unit.facts.put("written", "yes")
            await look(store)


async def look(store: SqlStore) -> None:
    async with store.reading() as unit:
        await unit.newest()
