"""
Drives every server along `domain/lifecycle.py`: records events, has their effects performed, turns each
outcome into the next event. The only interpreter of effects, and the only caller of `step`.

Law: the truth is the row. An event is recorded by compare-and-swap before its effects begin, so that a hub
that dies between any two statements finds, when it is back, a state from which `RESUME` leads on. An outcome
whose row has moved on meanwhile is dropped: whoever moved it has put the effects that count now on the desk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.errors import InvalidRequest, LauncherAway, NoSuchServer, StaleGeneration
from perijove.hub.domain.lifecycle import RESUME, SETTLED, STARTING, UNDRIVEN, Effect, Event, State, step
from perijove.hub.domain.progress import ProgressEvent
from perijove.hub.domain.servers import Server
from perijove.hub.domain.urls import split_audience
from perijove.hub.ports import Exit, Spawners, Store, Unit
from perijove.hub.usecases.forever import forever
from perijove.hub.usecases.progress_book import ProgressBook
from perijove.hub.usecases.queue_book import QueueBook
from perijove.hub.usecases.server_effects import Outcome, ServerEffects
from perijove.hub.usecases.start_breaker import StartBreaker
from perijove.kit.clock import Clock
from perijove.kit.tasks import TaskGroup

log = structlog.get_logger(__name__)

#: servers that are checked at once
POLLS_AT_ONCE: Final = 16
#: seconds between looks at a row that another hub may be driving
LOOK_AGAIN: Final = 1.0
#: how far the clocks of two hubs over one database may differ
MAX_SKEW: Final = timedelta(minutes=1)
#: tries to record something that others keep overtaking
SWAP_TRIES: Final = 10
#: effects that lead towards READY: these are dropped as soon as something else is recorded
FORWARD: Final = frozenset({Effect.LAUNCH, Effect.PROBE, Effect.ADD_ROUTE})
_TRANSIENT: Final = tuple(state for state in State if state not in UNDRIVEN)


@dataclass(frozen=True, slots=True)
class Move:
    """A recorded event, whose effects are due once the transaction is committed."""

    server: Server
    effects: tuple[Effect, ...]


@dataclass(slots=True)
class _Desk:
    """Where one server is being worked on: one effect at a time, in the order of the events."""

    due: deque[Move] = field(default_factory=deque)
    effect: Effect | None = None
    work: asyncio.Task[Outcome | None] | None = None


class Driver:
    """Sees every server through. `run` keeps watch; `record_in` and `carry_out` are for use cases."""

    def __init__(
        self,
        *,
        store: Store,
        effects: ServerEffects,
        spawners: Spawners,
        queue: QueueBook,
        breaker: StartBreaker,
        progress: ProgressBook,
        clock: Clock,
        policy: ServerPolicy,
        tasks: TaskGroup,
        holder: str,
    ) -> None:
        self._store = store
        self._effects = effects
        self._spawners = spawners
        self._queue = queue
        self._breaker = breaker
        self._progress = progress
        self._clock = clock
        self._policy = policy
        self._tasks = tasks
        self._holder = holder
        self._desks: dict[int, _Desk] = {}

    # -- what use cases call ----------------------------------------------------------------------------------

    async def record_in(self, unit: Unit, server: Server, event: Event, changes: Mapping[str, Any]) -> Move:
        """
        Record *event* as a part of *unit*. Hand the answer to `carry_out` after the commit.

        Raises:
            IllegalTransition: it cannot happen in the server's state.
            StaleGeneration: the row has moved on.
        """
        state, effects = step(server.state, event)
        undriven = state in UNDRIVEN
        is_new = event is Event.START_ASKED
        new = replace(
            server,
            state=state,
            **_AFRESH[state],
            **({"queued_at": self._clock.now(), **changes} if is_new else changes),
            generation=server.generation + is_new,
            lease_holder="" if undriven else self._holder,
            lease_until=None if undriven else self._lease_end(),
        )
        stored = await unit.servers.swap(server, new)
        if state is State.STOPPED:
            await unit.tokens.delete_of_server(server.key)
        return Move(stored, effects)

    def carry_out(self, move: Move) -> Server:
        """Begin the effects of a recorded event, dropping what it has overtaken."""
        self._tell(move.server)
        desk = self._desks.get(move.server.id)
        if desk is not None:
            desk.due.append(move)
            if desk.work is not None and desk.effect in FORWARD:
                desk.work.cancel()
        elif move.effects:
            self._open_desk(move)
        return move.server

    async def settled(self, server_id: int, timeout: float) -> Server:
        """
        The server once it is ready or stopped, or as it is after *timeout* seconds.

        Raises:
            NoSuchServer: there is none of that id, or no longer.
        """
        deadline = self._clock.monotonic() + timeout
        while True:
            move = self._progress.next_move(server_id)
            server = await self._row(server_id)
            left = deadline - self._clock.monotonic()
            if server.state in SETTLED or left <= 0:
                move.cancel()
                return server
            # Another hub's moves are not heard here: look again now and then.
            await asyncio.wait({move}, timeout=min(left, LOOK_AGAIN))
            if move.done() and move.result().state in SETTLED:
                return move.result()
            move.cancel()

    async def progress(self, server_id: int) -> AsyncIterator[ProgressEvent]:
        """
        How the start of a server goes: what was told, then what is told, ending with one last event.

        Raises:
            NoSuchServer: there is none of that id.
            InvalidRequest: it is stopped and has nothing to tell.
        """
        server = await self._row(server_id)
        if server.state is State.STOPPED and not server.failure:
            raise InvalidRequest(f"{server.key} is not starting...")
        if server.state in SETTLED or server.state is State.STOPPING:
            yield self._progress.last_word(server)
            return
        async for event in self._progress.follow(server):
            yield event

    # -- what the composition root runs -----------------------------------------------------------------------

    async def run(self) -> None:
        """Take up what was under way, then keep watch until cancelled."""
        async with TaskGroup("driver") as loops:
            loops.start("exits", forever("server exits", self._hear_exits, every=1.0))
            loops.start("polls", forever("server polls", self.poll_ready, every=self._policy.poll_seconds))
            await forever("server leases", self.recover, every=self._policy.lease_seconds / 3)

    async def recover(self) -> None:
        """Renew the leases, and take up every server that nobody drives from the state that is recorded."""
        now = self._clock.now()
        async with self._store.unit() as unit:
            if self._desks:
                await unit.servers.renew_leases(self._holder, self._lease_end())
            rows = await unit.servers.in_states(_TRANSIENT)
            orphans = [row for row in rows if row.id not in self._desks and self._may_take(row, now)]
            taken = [await self._take(unit, row) for row in orphans]
        for server in filter(None, taken):
            log.info("server.taken_up", server=server.key, state=server.state.value, generation=server.generation)
            self.carry_out(Move(server, RESUME[server.state]))
        # Exits are told to whoever listens then; one from before is only found by looking. Else probing what is
        # dead would go on until the last timeout.
        await self._check_all([server for server in taken if server is not None and server.handle])

    async def poll_ready(self) -> None:
        """Find the ready servers whose process is gone without anybody having heard."""
        async with self._store.reading() as unit:
            rows = await unit.servers.in_states([State.READY])
        await self._check_all(rows)

    async def _check_all(self, rows: Sequence[Server]) -> None:
        gate = asyncio.Semaphore(POLLS_AT_ONCE)
        async with TaskGroup("polls") as polls:
            checks = {polls.start(row.key, self._check(row, gate)) for row in rows}
            if checks:
                await asyncio.wait(checks)

    # -- the desk ---------------------------------------------------------------------------------------------

    def _open_desk(self, move: Move) -> None:
        desk = _Desk(due=deque([move]))
        self._desks[move.server.id] = desk
        self._tasks.start(f"server {move.server.key}", self._sit(move.server.id, desk))

    async def _sit(self, server_id: int, desk: _Desk) -> None:
        try:
            while desk.due:
                await self._work_off(desk, desk.due.popleft())
        finally:
            # No await between the last look at `due` and this: nothing can be put on a desk that is given up.
            del self._desks[server_id]

    async def _work_off(self, desk: _Desk, move: Move) -> None:
        current: Move | None = move
        while current is not None:
            outcome: Outcome | None = None
            for effect in current.effects:
                outcome = await self._perform(desk, effect, current.server)
            current = None if outcome is None else await self._advance(current.server, outcome)

    async def _perform(self, desk: _Desk, effect: Effect, server: Server) -> Outcome | None:
        if effect in FORWARD and desk.due:
            return None
        work: asyncio.Task[Outcome | None]
        work = self._tasks.start(f"{effect.value} {server.key}", self._effects.perform(effect, server))
        desk.effect, desk.work = effect, work
        try:
            await asyncio.wait({work})
        finally:
            desk.effect, desk.work = None, None
        if work.cancelled():
            return None
        error = work.exception()
        if isinstance(error, Exception) and effect in FORWARD:
            # A supervisor's catch: a plug-in's bug must end this start and nothing else. The task group logged it.
            return Outcome(Event.GAVE_UP, {"failure": "An unexpected error; the hub's log has the details."})
        if error is not None:
            raise error
        return work.result()

    async def _advance(self, server: Server, outcome: Outcome) -> Move | None:
        try:
            async with self._store.unit() as unit:
                move = await self.record_in(unit, server, outcome.event, outcome.changes)
        except StaleGeneration:
            log.debug("server.overtaken", server=server.key, outcome=outcome.event.value)
            return None
        self._tell(move.server)
        if move.server.is_ready:
            self._breaker.succeeded(move.server)
        elif outcome.is_own_fault:
            self._breaker.failed(move.server)
        _log_move(move.server, outcome)
        return move

    def _tell(self, server: Server) -> None:
        self._progress.moved(server)
        self._queue.moved(server)

    # -- exits, leases ----------------------------------------------------------------------------------------

    async def _hear_exits(self) -> None:
        async for key, generation, exit_ in self._spawners.exits():
            owner, name = split_audience(key)
            async with self._store.reading() as unit:
                server = await unit.servers.by_key(owner, name)
            if server is not None:
                await self._exited(server.id, generation, exit_)

    async def _check(self, server: Server, gate: asyncio.Semaphore) -> None:
        async with gate:
            try:
                exit_ = await self._spawners.poll(server)
            except LauncherAway:
                return
        if exit_ is not None:
            await self._exited(server.id, server.generation, exit_)

    async def _exited(self, server_id: int, generation: int, exit_: Exit) -> None:
        """Record that a process is gone, unless that is old news."""
        for _ in range(SWAP_TRIES):
            try:
                async with self._store.unit() as unit:
                    server = await unit.servers.by_id(server_id)
                    if server is None or server.generation != generation or server.state is State.STOPPED:
                        return
                    move = await self.record_in(unit, server, Event.EXITED, _end_of(server, exit_))
            except StaleGeneration:
                continue
            if exit_.asked or server.state is State.STOPPING:
                log.info("server.stopped", server=server.key)
            else:
                log.warning("server.exited", server=server.key, why=exit_.message)
                if server.state in STARTING:
                    self._breaker.failed(move.server)
            self.carry_out(move)
            return

    def _may_take(self, server: Server, now: datetime) -> bool:
        if server.lease_holder in ("", self._holder) or server.lease_until is None:
            return True
        # No hub grants itself that much: the clock has been set back since, and nobody may hold it any more.
        impossible = server.lease_until > self._lease_end() + MAX_SKEW
        return server.lease_until <= now or impossible

    async def _take(self, unit: Unit, server: Server) -> Server | None:
        mine = replace(server, lease_holder=self._holder, lease_until=self._lease_end())
        try:
            return await unit.servers.swap(server, mine)
        except StaleGeneration:
            # Another hub was quicker.
            return None

    def _lease_end(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._policy.lease_seconds)

    async def _row(self, server_id: int) -> Server:
        async with self._store.reading() as unit:
            server = await unit.servers.by_id(server_id)
        if server is None:
            raise NoSuchServer
        return server


#: what a server that enters a state forgets of its last run
_AFRESH: Final[Mapping[State, Mapping[str, Any]]] = {
    **{state: {} for state in State},
    State.QUEUED: {"handle": {}, "target": "", "started_at": None, "failure": "", "failure_log": ()},
    State.READY: {"queued_at": None},
    State.STOPPED: {"handle": {}, "target": "", "started_at": None, "queued_at": None},
}


def _log_move(server: Server, outcome: Outcome) -> None:
    """One line for an operator when a server has started, stopped or failed; the steps between are for debugging."""
    if server.state is State.READY:
        log.info("server.started", server=server.key)
    elif outcome.event is Event.GAVE_UP:
        log.warning("server.failed", server=server.key, why=server.failure)
    elif server.state is State.STOPPED:
        log.info("server.stopped", server=server.key)
    else:
        log.debug("server.moved", server=server.key, state=server.state.value, why=outcome.event.value)


def _end_of(server: Server, exit_: Exit) -> dict[str, Any]:
    """What to record of an exit: the first reason counts, and an end that somebody asked for is no failure."""
    if server.failure:
        return {"failure_log": server.failure_log or exit_.log_tail}
    if exit_.asked or server.state is State.STOPPING:
        return {}
    return {"failure": exit_.message, "failure_log": exit_.log_tail}
