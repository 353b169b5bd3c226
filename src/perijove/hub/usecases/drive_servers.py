"""
Drives every server along `domain/lifecycle.py`: records events, has their effects performed, turns each
outcome into the next event. The only interpreter of effects, and the only caller of `step`.

Law: the truth is the row. An event is recorded by compare-and-swap before its effects begin, so that a hub
that dies between any two statements finds, when it is back, a state from which `RESUME` leads on. An outcome
whose row has moved on meanwhile is dropped: whoever moved it has put the effects that count now on a desk, here
or in another hub. What a hub did to the world while it was overtaken is undone or looked at again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import structlog

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.errors import InvalidRequest, NoSuchServer, StaleGeneration, StoreAway
from perijove.hub.domain.hubs import LOOK
from perijove.hub.domain.lifecycle import RESUME, SETTLED, STARTING, UNDRIVEN, Effect, Event, State, step
from perijove.hub.domain.notices import Kind, Notice
from perijove.hub.domain.progress import ProgressEvent
from perijove.hub.domain.servers import Server
from perijove.hub.oauth.clients import server_client_id
from perijove.hub.ports import Exit, Spawners, Store, Unit
from perijove.hub.usecases.forever import forever
from perijove.hub.usecases.leases import Leases
from perijove.hub.usecases.membership import Membership
from perijove.hub.usecases.overtaken import although_overtaken
from perijove.hub.usecases.progress_book import ProgressBook
from perijove.hub.usecases.queue_book import QueueBook
from perijove.hub.usecases.server_effects import Outcome, ServerEffects
from perijove.hub.usecases.server_journal import ServerJournal
from perijove.hub.usecases.start_breaker import StartBreaker
from perijove.hub.usecases.watch_exits import ExitWatch
from perijove.kit.clock import Clock
from perijove.kit.tasks import TaskGroup

log = structlog.get_logger(__name__)

#: seconds between looks at a row that another hub may be driving: the net below what hubs tell each other
LOOK_AGAIN: Final = 3.0
#: effects that lead towards READY: these are dropped as soon as something else is recorded
FORWARD: Final = frozenset({Effect.LAUNCH, Effect.PROBE, Effect.ADD_ROUTE})


@dataclass(frozen=True, slots=True)
class Move:
    """A recorded event, whose effects are due once the transaction is committed."""

    server: Server
    effects: tuple[Effect, ...]


@dataclass(slots=True)
class _Desk:
    """Where one server is being worked on: one effect at a time, in the order of the events."""

    key: str
    #: the lease under which it was opened
    holder: str
    #: whether that lease is lost: nothing more is begun here
    is_left: bool = False
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
        membership: Membership,
        journal: ServerJournal,
    ) -> None:
        self._store = store
        self._effects = effects
        self._queue = queue
        self._breaker = breaker
        self._progress = progress
        self._clock = clock
        self._policy = policy
        self._tasks = tasks
        self._membership = membership
        self._journal = journal
        self._desks: dict[int, _Desk] = {}
        self._leases = Leases(store=store, clock=clock, membership=membership, seconds=policy.lease_seconds)
        #: finds the processes that are gone
        self.watch = ExitWatch(store=store, spawners=spawners, record=self._exited)

    # -- what use cases call ----------------------------------------------------------------------------------

    async def record_in(self, unit: Unit, server: Server, event: Event, changes: Mapping[str, Any]) -> Move:
        """
        Record *event* as a part of *unit*. Hand the answer to `carry_out` after the commit.

        Raises:
            IllegalTransition: it cannot happen in the server's state.
            StaleGeneration: the row has moved on.
        """
        state, effects = step(server.state, event)
        # Who may hold no lease records all the same, and leaves it to whoever takes the server up.
        holder = "" if state in UNDRIVEN else self._membership.holder
        is_new = event is Event.START_ASKED
        new = replace(
            server,
            state=state,
            **_AFRESH[state],
            **({"queued_at": self._clock.now(), **changes} if is_new else changes),
            generation=server.generation + is_new,
            lease_holder=holder,
            lease_until=self._leases.end() if holder else None,
        )
        stored = await unit.servers.swap(server, new)
        unit.notify(Notice(Kind.SERVER, stored.id, self._membership.holder))
        if state is State.STOPPED:
            await _forget_credentials(unit, server)
        return Move(stored, effects)

    def carry_out(self, move: Move) -> Server:
        """Begin the effects of a recorded event, dropping what it has overtaken."""
        self._tell(move.server)
        desk = self._desks.get(move.server.id)
        if desk is not None:
            desk.due.append(move)
            if desk.work is not None and desk.effect in FORWARD:
                desk.work.cancel()
        elif move.effects and self._is_mine(move.server):
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
            # What another hub tells may be lost: look again now and then.
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
        async for event in self._progress.follow(server, partial(self._look_at, server_id), every=LOOK_AGAIN):
            yield event

    # -- what other hubs tell ---------------------------------------------------------------------------------

    async def heard(self, server_id: int, holder: str) -> None:
        """Another hub has recorded something about a server."""
        if holder != self._membership.holder:
            await self._look_at(server_id)

    async def heard_nothing(self) -> None:
        """Something may have been told and not heard, or leases are free: look at everything."""
        self._leases.look_soon()
        for server_id in {*self._desks, *self._progress.followed()}:
            await self._look_at(server_id)

    async def _look_at(self, server_id: int) -> None:
        """Tell those who wait here what has become of a server that is driven elsewhere."""
        desk = self._desks.get(server_id)
        if desk is None and server_id not in self._progress.followed():
            return
        async with self._store.reading() as unit:
            server = await unit.servers.by_id(server_id)
        if server is None:
            return
        if desk is not None and server.lease_holder and self._is_mine(server):
            # The desk tells, and knows it earlier.
            return
        self._progress.heard(server)
        # A launch under way is waited for: what it has made must be known to be ended.
        is_interruptible = desk is not None and desk.effect in FORWARD and desk.effect is not Effect.LAUNCH
        if desk is not None and desk.work is not None and is_interruptible:
            desk.work.cancel()

    # -- what the composition root runs -----------------------------------------------------------------------

    async def run(self) -> None:
        """Take up what was under way, then keep watch until cancelled."""
        async with TaskGroup("driver") as loops:
            loops.start("exits", self.watch.run(poll_seconds=self._policy.poll_seconds))
            # Beside each other: a database that hangs must not keep this hub from letting go.
            loops.start("lost leases", forever("lost leases", self._let_go, every=self._policy.lease_seconds * LOOK))
            await forever("server leases", self._recover_if_due, every=self._policy.lease_seconds * LOOK)

    async def _recover_if_due(self) -> None:
        if self._leases.is_due():
            await self.recover()

    async def recover(self) -> None:
        """Renew the leases, and take up every server that nobody drives from the state that is recorded."""
        if self._membership.has_lost_one:
            # Whatever the lost one did to the routes last may be done by half.
            self._membership.has_lost_one = False
            self._effects.doubt_routes()
        taken = await self._leases.take_up(driven=self._desks)
        for server in taken:
            log.info("server.taken_up", server=server.key, state=server.state.value, generation=server.generation)
            self.carry_out(Move(server, RESUME[server.state]))
        # Exits are told to whoever listens then; one from before is only found by looking. Else probing what is
        # dead would go on until the last timeout.
        await self.watch.check([server for server in taken if server.handle])

    # -- the desk ---------------------------------------------------------------------------------------------

    def _open_desk(self, move: Move) -> None:
        desk = _Desk(key=move.server.key, holder=self._membership.holder, due=deque([move]))
        self._desks[move.server.id] = desk
        self._tasks.start(f"server {move.server.key}", self._sit(move.server.id, desk))

    async def _let_go(self) -> None:
        """Leave the desks of leases that are lost; whoever holds them now goes on from what is recorded."""
        for server_id, desk in list(self._desks.items()):
            if desk.holder == self._membership.holder:
                continue
            log.info("server.let_go", server=desk.key)
            desk.is_left = True
            del self._desks[server_id]
            if desk.work is not None and desk.effect is not Effect.LAUNCH:
                desk.work.cancel()
            # What was on its way to the proxy may arrive after what its new driver says.
            self._effects.doubt_routes()

    async def _sit(self, server_id: int, desk: _Desk) -> None:
        try:
            while desk.due and not desk.is_left:
                await self._work_off(desk, desk.due.popleft())
        except StoreAway as exc:
            # The row says how far it is: once the database is back, `recover` goes on from there.
            log.warning("server.delayed", server_id=server_id, why=exc.message)
        finally:
            # No await between the last look at `due` and this: nothing can be put on a desk that is given up.
            if not desk.is_left:
                del self._desks[server_id]

    async def _work_off(self, desk: _Desk, move: Move) -> None:
        current: Move | None = move
        while current is not None and not desk.is_left:
            outcome: Outcome | None = None
            for effect in current.effects:
                outcome = await self._perform(desk, effect, current.server)
            if outcome is None:
                await self._look_back(current)
                return
            current = await self._advance(desk, current.server, outcome)

    async def _look_back(self, move: Move) -> None:
        """A route that was removed late may have been a newer one's, which another hub has added."""
        if Effect.REMOVE_ROUTE not in move.effects or self._membership.is_alone:
            return
        async with self._store.reading() as unit:
            server = await unit.servers.by_id(move.server.id)
        if server is not None and server.generation != move.server.generation:
            self._effects.doubt_routes()

    async def _perform(self, desk: _Desk, effect: Effect, server: Server) -> Outcome | None:
        if desk.is_left or (effect in FORWARD and desk.due):
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
        if isinstance(error, Exception) and effect in FORWARD and not isinstance(error, StoreAway):
            # A supervisor's catch: a plug-in's bug must end this start and nothing else. The task group logged it.
            return Outcome(Event.GAVE_UP, {"failure": "An unexpected error; the hub's log has the details."})
        if error is not None:
            raise error
        return work.result()

    async def _advance(self, desk: _Desk, server: Server, outcome: Outcome) -> Move | None:
        try:
            async with self._store.unit() as unit:
                move = await self.record_in(unit, server, outcome.event, outcome.changes)
        except StaleGeneration:
            log.debug("server.overtaken", server=server.key, outcome=outcome.event.value)
            if desk.is_left or not desk.due:
                await self._effects.undo(server, outcome)
            return None
        self._tell(move.server)
        if move.server.is_ready:
            self._breaker.succeeded(move.server)
        elif outcome.is_own_fault:
            self._breaker.failed(move.server)
        self._journal.moved(server, move.server, outcome.event)
        return move

    def _tell(self, server: Server) -> None:
        self._progress.moved(server)
        self._queue.moved(server)

    # -- exits, leases ----------------------------------------------------------------------------------------

    async def _exited(self, server_id: int, generation: int, exit_: Exit) -> None:
        """Record that a process is gone, unless that is old news."""
        with suppress(StaleGeneration):
            # Overtaken to the end: the process is still gone at the next look.
            await although_overtaken(lambda: self._record_exit(server_id, generation, exit_))

    async def _record_exit(self, server_id: int, generation: int, exit_: Exit) -> None:
        async with self._store.unit() as unit:
            server = await unit.servers.by_id(server_id)
            if server is None or server.generation != generation or server.state is State.STOPPED:
                return
            move = await self.record_in(unit, server, Event.EXITED, _end_of(server, exit_))
        self._journal.exited(server, move.server, exit_)
        if server.state in STARTING and not exit_.asked:
            self._breaker.failed(move.server)
        self.carry_out(move)

    def _is_mine(self, server: Server) -> bool:
        """Whether the effects of what was recorded are this hub's to perform."""
        if server.state in UNDRIVEN:
            return True
        return bool(server.lease_holder) and server.lease_holder == self._membership.holder

    async def _row(self, server_id: int) -> Server:
        async with self._store.reading() as unit:
            server = await unit.servers.by_id(server_id)
        if server is None:
            raise NoSuchServer
        return server


#: what a server that enters a state forgets of its last run
_AFRESH: Final[Mapping[State, Mapping[str, Any]]] = {
    **{state: {} for state in State},
    State.QUEUED: {"handle": {}, "target": "", "started_at": None, "failure": "", "failure_log": ()}
    | {"stop_reason": "", "busy_until": None, "keep_until": None},
    State.READY: {"queued_at": None},
    State.STOPPED: {"handle": {}, "target": "", "started_at": None, "queued_at": None},
}


#: states of a server that has not answered yet
_UNANSWERED: Final = frozenset({State.LAUNCHING, State.PROBING})


def _end_of(server: Server, exit_: Exit) -> dict[str, Any]:
    """What to record of an exit: the first reason counts, and an end that somebody asked for is no failure."""
    if server.failure:
        return {"failure_log": server.failure_log or exit_.log_tail}
    if exit_.asked or server.state is State.STOPPING:
        return {}
    # Before it ever answered: what it said last is likely to be the reason, and the page shows it.
    when = "It ended while it started. " if server.state in _UNANSWERED else ""
    return {"failure": f"{when}{exit_.message}", "failure_log": exit_.log_tail}


async def _forget_credentials(unit: Unit, server: Server) -> None:
    """The server's own token, and what people gave it as an OAuth client, whose secret that token was."""
    await unit.tokens.delete_of_server(server.key)
    client_id = server_client_id(server.user_name, server.name)
    await unit.tokens.delete_of_client(client_id)
    # What they had agreed to must not be for the next server of that name, or the next user.
    await unit.oauth_codes.delete_of_client(client_id)
