"""
Finds out which servers' processes are gone: by being told, and by looking now and then.

Every hub hears of every exit and looks at every server; what is recorded of it is the driver's, who does so by
compare-and-swap, so that only one of them does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from perijove.hub.domain.errors import LauncherAway
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import Server
from perijove.hub.domain.urls import split_audience
from perijove.hub.ports import Exit, Spawners, Store
from perijove.hub.usecases.forever import forever
from perijove.hub.usecases.running_servers import in_pages
from perijove.hub.usecases.until_there import until_there
from perijove.kit.tasks import TaskGroup

#: servers that are checked at once
POLLS_AT_ONCE: Final = 16
#: seconds before listening again after that failed
PAUSE: Final = 1.0


class ExitWatch:
    """Watches over processes. *record* is told id, generation and reason of each that is gone."""

    def __init__(
        self, *, store: Store, spawners: Spawners, record: Callable[[int, int, Exit], Awaitable[None]]
    ) -> None:
        self._store = store
        self._spawners = spawners
        self._record = record

    async def run(self, *, poll_seconds: float) -> None:
        """Listen and look until cancelled."""
        async with TaskGroup("exits") as loops:
            loops.start("polls", forever("server polls", self.poll_ready, every=poll_seconds))
            await forever("server exits", self._hear, every=PAUSE)

    async def poll_ready(self) -> None:
        """Find the ready servers whose process is gone without anybody having heard."""
        async for rows in in_pages(self._store, [State.READY]):
            await self.check(rows)

    async def check(self, rows: Sequence[Server]) -> None:
        """Look whether the processes of these servers are there."""
        # No more tasks than looks: those of thousands of servers would take more memory than the servers' rows.
        waiting = iter(rows)
        async with TaskGroup("polls") as polls:

            async def look() -> None:
                for row in waiting:
                    # A task for each: a plug-in's bug ends this look and no other. No timeout: each has its spawner's.
                    await asyncio.wait({polls.start(row.key, self._check(row))})

            looks = {polls.start(f"looks {number}", look()) for number in range(min(POLLS_AT_ONCE, len(rows)))}
            if looks:
                # No timeout, for the same reason.
                await asyncio.wait(looks)

    async def _hear(self) -> None:
        async for key, generation, exit_ in self._spawners.exits():
            # It is told once: while the database is away it is kept, and those behind it wait.
            await until_there(f"exit of {key}", partial(self._record_by_key, key, generation, exit_))

    async def _record_by_key(self, key: str, generation: int, exit_: Exit) -> None:
        owner, name = split_audience(key)
        async with self._store.reading() as unit:
            server = await unit.servers.by_key(owner, name)
        if server is not None:
            await self._record(server.id, generation, exit_)

    async def _check(self, server: Server) -> None:
        try:
            exit_ = await self._spawners.poll(server)
        except LauncherAway:
            return
        if exit_ is not None:
            await self._record(server.id, server.generation, exit_)
