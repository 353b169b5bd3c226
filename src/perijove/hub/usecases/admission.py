"""
Lets those who wait for a start go, as many at once as the administrator allows.

The queue is rows: a server that was asked to start is QUEUED until some hub admits it. Any hub may, one at a time
(`alone`), so that a hub that dies takes nobody's place with it and the limit holds for all hubs together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.errors import StaleGeneration, StartsPaused
from perijove.hub.domain.lifecycle import STARTING, Event, State
from perijove.hub.domain.notices import Kind
from perijove.hub.domain.queue import Entry, Place, fair_since, in_order, places
from perijove.hub.domain.servers import Server
from perijove.hub.ports import Store, Unit
from perijove.hub.usecases.drive_servers import Driver, Move
from perijove.hub.usecases.forever import forever
from perijove.hub.usecases.progress_book import ProgressBook
from perijove.hub.usecases.queue_book import QueueBook
from perijove.hub.usecases.start_breaker import StartBreaker
from perijove.kit.tasks import TaskGroup

#: what a unit is alone with that lets somebody go
QUEUE: Final = "queue"
#: most that one unit lets go: it must not hold up the others for long
BATCH: Final = 50
#: seconds between looks that nothing has called for
LOOK_AGAIN: Final = 1.0
#: places that are told one by one; further back, only when a tenth of the way is done
NEAR: Final = 10


class Admission:
    """Admits; `run` does it whenever there are news."""

    def __init__(
        self,
        *,
        store: Store,
        driver: Driver,
        book: QueueBook,
        progress: ProgressBook,
        breaker: StartBreaker,
        policy: ServerPolicy,
    ) -> None:
        self._store = store
        self._driver = driver
        self._book = book
        self._progress = progress
        self._breaker = breaker
        self._policy = policy
        # Bounded by the queue: only who waits is in it.
        self._told: dict[int, int] = {}

    def adopt(self, policy: ServerPolicy) -> None:
        """Admit as many as another policy allows."""
        self._policy = policy
        self._book.wake()

    async def run(self) -> None:
        """Admit until cancelled."""
        async with TaskGroup("queue") as tasks:
            tasks.start("notices", forever("queue notices", self._hear, every=LOOK_AGAIN))
            await forever("queue", self._turn, every=0)

    async def _hear(self) -> None:
        async with aclosing(self._store.notices()) as notices:
            async for notice in notices:
                if notice.kind in (Kind.QUEUE, Kind.LOST):
                    self._book.wake()

    async def _turn(self) -> None:
        await self._book.news(LOOK_AGAIN)
        await self.admit()

    async def admit(self) -> None:
        """Let go whose turn it is, and tell the others where they stand."""
        async with self._store.reading() as unit:
            anybody = await unit.servers.count_in([State.QUEUED])
        if not anybody:
            self._tell({})
            return
        async with self._store.unit() as unit:
            await unit.alone(QUEUE)
            waiting = await self._entries(unit, [State.QUEUED])
            starting = await self._entries(unit, STARTING)
            over = await self._entries(unit, [State.READY], since=fair_since(waiting))
            order = in_order(waiting, [*starting, *over])
            limit = self._policy.concurrent_spawn_limit
            room = BATCH if limit <= 0 else min(BATCH, max(0, limit - len(starting)))
            moves = [await self._let_go(unit, entry) for entry in order[:room]]
        for move in moves:
            if move is not None:
                self._driver.carry_out(move)
        rest = order[room:]
        if rest and (len(moves) == BATCH or any(move is None or not move.effects for move in moves)):
            # There may be more room than this unit could give, or than was taken.
            self._book.wake()
        self._tell(places(rest, limit=limit, start_seconds=self._book.start_seconds))

    @staticmethod
    async def _entries(unit: Unit, states: Iterable[State], since: datetime | None = None) -> list[Entry]:
        rows = await unit.servers.entries(states, since=since)
        groups = await unit.groups.of_users({row.user_id for row in rows})
        return [replace(row, groups=tuple(groups.get(row.user_id, ()))) for row in rows]

    async def _let_go(self, unit: Unit, entry: Entry) -> Move | None:
        server = await unit.servers.by_id(entry.server_id)
        if server is None or server.state is not State.QUEUED:
            return None
        try:
            self._breaker.check(server.user_options)
        except StartsPaused as exc:
            return await self._record(unit, server, Event.GAVE_UP, {"failure": exc.message})
        move = await self._record(unit, server, Event.ADMITTED, {})
        if move is not None:
            self._breaker.begin(server)
        return move

    async def _record(self, unit: Unit, server: Server, event: Event, changes: Mapping[str, Any]) -> Move | None:
        try:
            return await self._driver.record_in(unit, server, event, changes)
        except StaleGeneration:
            # Whoever waited has left the queue in this moment; the others' turn is theirs all the same.
            return None

    def _tell(self, stand: Mapping[int, Place]) -> None:
        """Everybody's place, for the API and the pages; and for those who watch, if theirs has changed enough."""
        self._book.stand(stand)
        told, self._told = self._told, {}
        for server_id, place in stand.items():
            before = told.get(server_id)
            if before is not None and _is_about(before, place.ahead):
                self._told[server_id] = before
                continue
            self._told[server_id] = place.ahead
            self._progress.say(server_id, 0, place.words)


def _is_about(before: int, ahead: int) -> bool:
    """Whether somebody who was told *before* need not hear of *ahead*."""
    return before == ahead or (ahead > NEAR and abs(before - ahead) * NEAR < before)
