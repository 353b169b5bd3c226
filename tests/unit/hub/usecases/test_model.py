"""
The hub as a state machine: random runs of people, failures and kills, in virtual time.

Whatever happens, once everything is back and time has passed, what is recorded, what runs, what is routed and
which tokens live say the same; and everybody who asked for a server last has one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.errors import HubError
from perijove.hub.domain.lifecycle import STARTING, State
from perijove.hub.domain.users import User
from perijove.hub.ports import Exit, Store
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.testing_time import VirtualTimeLoop
from tests.unit.hub.usecases.world import Fuse, Hub, World

# Few of everything, so that random runs meet the corners.
NAMES = ("ada", "bob")
LIMIT = 1
TROUBLES = (
    "launches hang",
    "servers do not answer",
    "launches fail",
    "processes die at once",
    "the launcher is away",
    "the proxy is away",
)
POLICY = ServerPolicy(concurrent_spawn_limit=LIMIT, consecutive_failure_limit=0, start_timeout=20, http_timeout=20)
#: virtual seconds after which every timeout has passed and every poll was made
QUIET = 200.0

users = st.sampled_from(NAMES)


class Running:
    """A hub process: its parts, how it dies, and what holds it."""

    def __init__(self) -> None:
        self.fuse = Fuse()
        self.stack = AsyncExitStack()
        self.hub: Hub | None = None

    async def start(self, world: World, holder: str) -> None:
        self.hub = await self.stack.enter_async_context(
            world.hub(policy=POLICY, fuse=self.fuse, watching=True, name=holder)
        )

    async def end(self) -> None:
        # From here on nothing that it still tries reaches the world: it is dead, not tidy.
        self.fuse.burn_out()
        await self.stack.aclose()


class HubModel(RuleBasedStateMachine):
    """People ask, parts fail, hubs are killed and come back."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.hubs: dict[str, Running] = {}
        self.people: dict[str, User] = {}
        #: who asked for a server last, and was not refused: it must be there in the end
        self.wanted: dict[str, bool] = {}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, 10_000))

    async def make_store(self) -> Store:
        return MemoryStore()

    @initialize()
    def begin(self) -> None:
        self.run(self._begin())

    async def _begin(self) -> None:
        self.world = World(await self.make_store())
        for name in NAMES:
            self.people[name] = await self.world.add_user(name)
        await self._start_hub("one")

    async def _start_hub(self, holder: str) -> None:
        self.hubs[holder] = Running()
        await self.hubs[holder].start(self.world, holder)

    async def _ask(self, name: str, what: Callable[[Hub, User], Awaitable[Any]], *, wants: bool) -> None:
        """Ask whichever hub runs. What it refuses has not happened; of what it did not answer nobody knows."""
        running = next(iter(self.hubs.values()), None)
        if running is None or running.hub is None:
            return
        asked = running.hub.tasks.start("ask", _quietly(what(running.hub, self.people[name])))
        dead = running.hub.tasks.start("death", running.fuse.blown.wait())
        await asyncio.wait({asked, dead}, return_when=asyncio.FIRST_COMPLETED)
        dead.cancel()
        if asked.done() and not asked.cancelled() and asked.exception() is None and asked.result():
            self.wanted[name] = wants
            if wants and not self._is_well():
                self.wanted.pop(name)
        elif not asked.done() or asked.cancelled() or asked.exception() is not None:
            self.wanted.pop(name, None)

    # -- people ---------------------------------------------------------------------------------------------------

    @rule(name=users)
    def ask_for_a_start(self, name: str) -> None:
        self.run(self._ask(name, lambda hub, user: hub.start(user, ""), wants=True))

    @rule(name=users)
    def ask_for_a_stop(self, name: str) -> None:
        self.run(self._ask(name, lambda hub, user: hub.stop(user, ""), wants=False))

    @rule(seconds=st.sampled_from([0.01, 0.5, 3.0, 15.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    # -- the world ------------------------------------------------------------------------------------------------

    @rule(name=users, silently=st.booleans())
    def a_process_dies(self, name: str, silently: bool) -> None:  # noqa: FBT001  # Hypothesis passes it by name
        if f"{name}/" in self.world.spawners.running():
            self.world.spawners.die(f"{name}/", Exit(message="killed"), silently=silently)
            self.wanted.pop(name, None)

    @rule(what=st.sampled_from(TROUBLES), begins=st.booleans())
    def trouble_begins_or_ends(self, what: str, begins: bool) -> None:  # noqa: FBT001  # Hypothesis passes it by name
        spawners, prober, proxy = self.world.spawners, self.world.prober, self.world.proxy
        match what:
            case "launches hang":
                (spawners.gate.clear if begins else spawners.gate.set)()
            case "servers do not answer":
                (prober.gate.clear if begins else prober.gate.set)()
            case "launches fail":
                spawners.fail_with = "no such image" if begins else ""
            case "processes die at once":
                spawners.die_at_once = begins
            case "the launcher is away":
                spawners.is_away = begins
            case "the proxy is away":
                proxy.is_away = begins
        # From here on a start may end without a server, for a reason that is told; a stop stays one.
        self.wanted = {name: wants for name, wants in self.wanted.items() if not wants}

    @rule()
    def the_proxy_restarts_without_its_table(self) -> None:
        self.world.proxy.restart()
        self.world.proxy.instance += "+"

    def _is_well(self) -> bool:
        spawners, prober = self.world.spawners, self.world.prober
        fails = spawners.fail_with or spawners.die_at_once or spawners.is_away or self.world.proxy.is_away
        return not fails and spawners.gate.is_set() and prober.gate.is_set()

    @invariant()
    def never_more_start_than_the_limit_says(self) -> None:
        if self.people:
            assert self.run(self._count(STARTING)) <= LIMIT

    async def _count(self, states: frozenset[State]) -> int:
        async with self.world.store.reading() as unit:
            return await unit.servers.count_in(states)

    # -- hubs -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.hubs) < 2)
    @rule()
    def a_hub_starts(self) -> None:
        self.run(self._start_hub("two" if "one" in self.hubs else "one"))

    @precondition(lambda self: bool(self.hubs))
    @rule(which=st.integers(0, 1), steps=st.integers(0, 12), seconds=st.sampled_from([0.0, 0.01, 1.0]))
    def a_hub_is_killed(self, which: int, steps: int, seconds: float) -> None:
        """Between any two things that it does to the world, of those that it does within some seconds."""
        holder = sorted(self.hubs)[which % len(self.hubs)]
        self.run(self._kill(self.hubs.pop(holder), steps, seconds))

    async def _kill(self, running: Running, steps: int, seconds: float) -> None:
        running.fuse.blow_in(steps)
        try:
            async with asyncio.timeout(seconds):
                await running.fuse.blown.wait()
        except TimeoutError:
            pass
        await running.end()

    # -- the end --------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if self.people:
                self.run(self._end())
        finally:
            self.loop.close()

    async def _end(self) -> None:
        world = self.world
        world.spawners.is_away = world.proxy.is_away = world.spawners.die_at_once = False
        world.spawners.fail_with = ""
        world.spawners.gate.set()
        world.prober.gate.set()
        if not self.hubs:
            await self._start_hub("one")
        await asyncio.sleep(QUIET)
        for running in self.hubs.values():
            await running.end()
        await world.check()
        ready = set(world.spawners.running())
        for name, is_wanted in self.wanted.items():
            assert (f"{name}/" in ready) == is_wanted, f"{name} asked last to {'start' if is_wanted else 'stop'}"


async def _quietly(work: Awaitable[Any]) -> bool:
    """Whether the hub said yes."""
    try:
        await work
    except HubError:
        return False
    return True


TestHubModel = HubModel.TestCase
TestHubModel.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
