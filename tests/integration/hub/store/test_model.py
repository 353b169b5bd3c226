"""
The hub as a state machine, as in the unit test of that name, over real databases: fewer runs, every statement real.
"""

from __future__ import annotations

import asyncio
import gc
import selectors
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from perijove.hub.domain.notices import Notice
from perijove.hub.ports import Store, Unit
from perijove.hub.store.notices import LOST
from perijove.hub.store.sql import SqlStore
from perijove.hub.usecases.testing_time import _EagerSelector
from tests.support.databases import Databases
from tests.unit.hub.usecases.test_model import HubModel

# Of a hub that is killed here the connections stay behind; in a process of its own the kernel would close them.
pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore:The garbage collector is trying to clean up non-checked-in connection"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
#: real seconds after which a database that does not answer is a failure
STUCK_SECONDS = 30.0


class WaitingSelector(_EagerSelector):
    """Lets virtual time stand still while a unit is open: what the database does takes real time."""

    def __init__(self) -> None:
        super().__init__()
        self.open_units = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As in `selectors`."""
        if self.open_units == 0 or timeout == 0:
            return super().select(timeout)
        ready = self._real.select(STUCK_SECONDS)
        if not ready:
            raise RuntimeError("The database does not answer.")
        return ready


class WaitingLoop(asyncio.SelectorEventLoop):
    """Virtual time beside a real database."""

    def __init__(self) -> None:
        self.waiting = WaitingSelector()
        super().__init__(self.waiting)  # type: ignore[arg-type]

    def time(self) -> float:
        """Seconds skipped so far."""
        return self.waiting.skipped


class WatchedStore:
    """Tells the loop of every open unit. No unit awaits anything but the database, so nobody else is held up."""

    def __init__(self, inner: SqlStore, selector: WaitingSelector) -> None:
        self._inner = inner
        self._selector = selector

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        with self._open():
            async with self._inner.unit() as unit:
                yield unit

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Unit]:
        with self._open():
            async with self._inner.reading() as unit:
                yield unit

    async def notices(self) -> AsyncGenerator[Notice, None]:
        """None arrives after the first. Each may be lost, says their law: everything must come right by looking."""
        yield LOST
        await asyncio.Event().wait()

    async def ping(self) -> None:
        with self._open():
            await self._inner.ping()

    async def close(self) -> None:
        with self._open():
            await self._inner.close()

    @contextmanager
    def _open(self) -> Iterator[None]:
        self._selector.open_units += 1
        try:
            yield
        finally:
            self._selector.open_units -= 1


class StoredModel(HubModel):
    """The same over a database."""

    def __init__(self, db_url: str) -> None:
        super().__init__()
        self.loop.close()
        self._db_url = db_url
        self._waiting = WaitingLoop()
        self._store: WatchedStore | None = None
        self.loop = self._waiting  # type: ignore[assignment]  # any loop that runs

    async def make_store(self) -> Store:
        """The database, emptied: a new one for each run would take longer than the run."""
        self._store = WatchedStore(SqlStore(self._db_url), self._waiting.waiting)
        async with self._store.unit() as unit:
            users, _ = await unit.users.page(offset=0, limit=100)
            for user in users:
                await unit.users.delete(user.id)
        return self._store

    async def _end(self) -> None:
        try:
            await super()._end()
        finally:
            if self._store is not None:
                await self._store.close()


@pytest.mark.parametrize(("kind", "runs"), [("sqlite", 12), ("postgresql", 8)])
def test_whatever_happens_rows_processes_routes_and_tokens_agree_in_the_end(
    databases: Databases, kind: str, runs: int
) -> None:
    with databases.fresh(kind) as db_url:
        run_state_machine_as_test(
            cast("type[StoredModel]", partial(StoredModel, db_url)),
            settings=settings(
                max_examples=runs,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                derandomize=True,
                # Real databases repeat no run exactly, so that none can be made smaller.
                phases=[Phase.explicit, Phase.generate],
            ),
        )
    # Here, where it is expected, and not in some test later.
    gc.collect()
