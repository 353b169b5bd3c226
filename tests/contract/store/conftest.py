"""
Every store there is, empty: the suite below is what `hub.ports.Store` promises.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perijove.hub.ports import Store
from perijove.hub.store.memory import MemoryStore
from perijove.hub.store.sql import SqlStore
from tests.support.databases import Databases


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, databases: Databases) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    with databases.fresh(request.param) as db_url:
        async with SqlStore(db_url) as opened:
            yield opened
