"""
The effects of a server's lifecycle, performed: each one ends in the next event, with what is to be recorded.

All are idempotent within a generation, because a hub that died in the middle of one does it again.
When and for whom they are performed is `drive_servers.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import structlog

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.errors import LauncherAway, LaunchFailed, ProxyAway, StaleGeneration
from perijove.hub.domain.lifecycle import Effect, Event, State
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.servers import Server
from perijove.hub.domain.tokens import PREFIX_LENGTH, with_duties
from perijove.hub.domain.urls import server_url
from perijove.hub.domain.users import User
from perijove.hub.ports import Prober, Spawners, SpawnPlan, Store, Unit
from perijove.hub.usecases.progress_book import ProgressBook
from perijove.hub.usecases.route_table import Routes
from perijove.hub.usecases.until_there import FIRST_PAUSE, LONGEST_PAUSE, until_there
from perijove.kit.clock import Clock, Randomness
from perijove.kit.tasks import TaskGroup

log = structlog.get_logger(__name__)

#: Longest wait for one `terminate`. The spawner kills by then; asking again is safe.
TERMINATE_TIMEOUT: Final = 60.0
#: random bytes of a server's token
TOKEN_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an effect."""

    event: Event
    #: fields of the server to record with it
    changes: Mapping[str, Any] = field(default_factory=dict)
    #: whether a failure is the start's own, and not that of a part of perijove that was away
    is_own_fault: bool = False


class EnvironmentMaker(Protocol):
    """Makes the environment of a server (contract a)."""

    def make(self, user: User, server: Server, token: str, client_scopes: Sequence[str]) -> dict[str, str]:
        """Its variables."""
        ...


class TokenScopes(Protocol):
    """Knows what a server's token may do."""

    @property
    def server_token_scopes(self) -> tuple[str, ...]:
        """Scopes as declared."""
        ...


class ServerEffects:
    """Performs effects on the world."""

    def __init__(
        self,
        *,
        store: Store,
        spawners: Spawners,
        routes: Routes,
        prober: Prober,
        clock: Clock,
        randomness: Randomness,
        environment: EnvironmentMaker,
        roles: TokenScopes,
        progress: ProgressBook,
        policy: ServerPolicy,
        base_url: str,
        tasks: TaskGroup,
    ) -> None:
        self._store = store
        self._spawners = spawners
        self._routes = routes
        self._prober = prober
        self._clock = clock
        self._randomness = randomness
        self._environment = environment
        self._roles = roles
        self._progress = progress
        self._policy = policy
        self._base_url = base_url
        self._tasks = tasks
        self._performers: Mapping[Effect, Callable[[Server], Awaitable[Outcome | None]]] = {
            Effect.LAUNCH: self._launch,
            Effect.PROBE: self._probe,
            Effect.ADD_ROUTE: self._add_route,
            Effect.REMOVE_ROUTE: self._remove_route,
            Effect.TERMINATE: self._terminate,
        }

    async def perform(self, effect: Effect, server: Server) -> Outcome | None:
        """Do *effect*; None if nothing follows from it."""
        return await self._performers[effect](server)

    def adopt(self, *, policy: ServerPolicy, roles: TokenScopes, environment: EnvironmentMaker) -> None:
        """Go on with another configuration; what is under way ends by the one that it began with."""
        self._policy = policy
        self._roles = roles
        self._environment = environment

    def doubt_routes(self) -> None:
        """What this hub or a lost one did to the routes may be overtaken: they must be looked at."""
        self._routes.doubt()

    async def undo(self, server: Server, outcome: Outcome) -> None:
        """Another hub has moved the row of *server* while an effect was under way: leave nothing of it behind."""
        if outcome.event in (Event.ROUTED, Event.EXITED):
            self.doubt_routes()
        if outcome.event is not Event.LAUNCHED:
            return
        async with self._store.unit() as unit:
            row = await unit.servers.by_id(server.id)
            if row is not None and row.state is State.STOPPED:
                await unit.tokens.delete_of_server(row.key)
        is_wanted = row is not None and row.generation == server.generation
        if row is None or not is_wanted or row.state in (State.STOPPED, State.STOPPING):
            log.info("server.launched_in_vain", server=server.key, generation=server.generation)
            await self._terminate(replace(server, **outcome.changes))

    async def _launch(self, server: Server) -> Outcome | None:
        timeout = self._policy.start_timeout
        try:
            plan = await until_there(f"plan of {server.key}", lambda: self._plan(server), within=timeout)
        except LaunchFailed as exc:
            return Outcome(Event.GAVE_UP, {"failure": exc.message}, is_own_fault=True)
        if plan is None:
            return None
        self._progress.tell(server.id, 50, "Spawning server...")
        relay = self._tasks.start(f"progress of {server.key}", self._relay_progress(server))
        try:
            running = await until_there(f"launch of {server.key}", lambda: self._spawners.launch(plan), within=timeout)
        except LaunchFailed as exc:
            return Outcome(Event.GAVE_UP, {"failure": exc.message, "failure_log": exc.log_tail}, is_own_fault=True)
        except LauncherAway as exc:
            return Outcome(Event.GAVE_UP, {"failure": exc.message})
        except TimeoutError:
            failure = f"It did not start within {timeout:g} seconds."
            return Outcome(Event.GAVE_UP, {"failure": failure}, is_own_fault=True)
        finally:
            relay.cancel()
        started = {"target": running.target, "handle": dict(running.handle), "started_at": self._clock.now()}
        return Outcome(Event.LAUNCHED, started)

    async def _plan(self, server: Server) -> SpawnPlan | None:
        # A token per launch: a hub that died after launching cannot know the text of the one it gave, so the
        # running server keeps the old one, and all tokens of a server end together when it stops.
        token = self._randomness.hex(TOKEN_BYTES)
        declared = await self._spawners.token_scopes(server)
        client_scopes = await self._spawners.client_scopes(server)
        async with self._store.unit() as unit:
            user = await unit.users.by_id(server.user_id)
            if user is None or not await _is_current(unit, server):
                return None
            groups = (await unit.groups.of_users([user.id])).get(user.id, ())
            await unit.tokens.add(
                user_id=user.id,
                prefix=token[:PREFIX_LENGTH],
                token_hash=hash_secret(token),
                scopes=with_duties(declared) if declared else self._roles.server_token_scopes,
                note=f"Server at {server_url(self._base_url, server.user_name, server.name)}",
                created=self._clock.now(),
                server=server.key,
            )
        return SpawnPlan(
            server=server,
            user=user,
            groups=tuple(groups),
            environment=self._environment.make(user, server, token, client_scopes),
        )

    async def _relay_progress(self, server: Server) -> None:
        async for percent, message in self._spawners.progress(server):
            self._progress.tell(server.id, percent, message)

    async def _probe(self, server: Server) -> Outcome:
        path = f"{server_url(self._base_url, server.user_name, server.name)}api"
        if await self._prober.wait_until_answers(server.target, path, timeout=self._policy.http_timeout):
            return Outcome(Event.ANSWERED)
        seconds = f"{self._policy.http_timeout:g}"
        failure = f"It did not answer within {seconds} seconds."
        return Outcome(Event.GAVE_UP, {"failure": failure}, is_own_fault=True)

    async def _add_route(self, server: Server) -> Outcome:
        timeout = self._policy.http_timeout
        try:
            await until_there(f"route of {server.key}", lambda: self._routes.add(server), within=timeout)
        except ProxyAway as exc:
            return Outcome(Event.GAVE_UP, {"failure": exc.message})
        except TimeoutError:
            return Outcome(Event.GAVE_UP, {"failure": "The proxy did not take its route in time."})
        return Outcome(Event.ROUTED, {"last_activity": self._clock.now()})

    async def _remove_route(self, server: Server) -> None:
        await self._routes.remove(server)

    async def _terminate(self, server: Server) -> Outcome:
        pause = FIRST_PAUSE
        while True:
            try:
                async with asyncio.timeout(TERMINATE_TIMEOUT):
                    await self._spawners.terminate(server)
                    return Outcome(Event.EXITED, {"failure_log": await self._last_lines(server)})
            except (LauncherAway, TimeoutError) as exc:
                log.warning("server.terminate_delayed", server=server.key, why=str(exc) or "timed out")
                # Whoever waits for the start need not wait for the cleaning up.
                self._progress.end(server)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _last_lines(self, server: Server) -> tuple[str, ...]:
        """The end of the log of a server that failed, if it is not known yet."""
        if not server.failure or server.failure_log:
            return server.failure_log
        exit_ = await self._spawners.poll(server)
        return () if exit_ is None else exit_.log_tail


async def _is_current(unit: Unit, server: Server) -> bool:
    """Whether the row is still as *server* says, and stays so until the unit ends."""
    try:
        await unit.servers.swap(server, server)
    except StaleGeneration:
        return False
    return True
