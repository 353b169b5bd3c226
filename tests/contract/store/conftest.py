"""
Every store there is, empty: the suite below is what `hub.ports.Store` promises.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from perijove.hub.ports import Store
from perijove.hub.store.memory import MemoryStore
from perijove.hub.store.schema import upgrade
from perijove.hub.store.sql import SqlStore


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Made once and copied: migrating for every test would be most of the suite's time.
    """
    file = tmp_path_factory.mktemp("database") / "empty.sqlite"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, empty_database: Path, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    file = tmp_path / "hub.sqlite"
    shutil.copy(empty_database, file)
    async with SqlStore(f"sqlite:///{file}") as opened:
        yield opened
