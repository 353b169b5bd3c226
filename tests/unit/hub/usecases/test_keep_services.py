from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass, field, replace
from typing import Any

from perijove.hub.domain.errors import LauncherAway, LaunchFailed
from perijove.hub.domain.managed_services import ManagedService
from perijove.hub.ports import Exit
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.keep_services import KeepServices
from perijove.hub.usecases.service_environment import ServiceEnvironment
from perijove.hub.usecases.testing import FakeProber
from perijove.hub.usecases.testing_time import LoopClock
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import make_settings

GRADER = ManagedService(name="grader", command=("grade",), token="t", url="http://127.0.0.1:99")
BOARD = ManagedService(name="board", command=("show",))


@dataclass
class FakeServices:
    """Processes of services, as the launcher keeps them."""

    #: name → generation of what runs
    now: dict[str, int] = field(default_factory=dict)
    started: list[tuple[str, int]] = field(default_factory=list)
    variables: dict[str, Mapping[str, str]] = field(default_factory=dict)
    ends: dict[tuple[str, int], Exit] = field(default_factory=dict)
    is_away: bool = False
    fails: bool = False

    async def start(self, service: ManagedService, generation: int, environment: Mapping[str, str]) -> None:
        self._answer()
        if self.fails or (service.name, generation) in self.ends:
            raise LaunchFailed("It cannot be started.")
        if self.now.get(service.name) == generation:
            return
        assert service.name not in self.now, "two runs at once"
        self.now[service.name] = generation
        self.started.append((service.name, generation))
        self.variables[service.name] = environment

    async def poll(self, name: str, generation: int) -> Exit | None:
        self._answer()
        return None if self.now.get(name) == generation else self.ends.get((name, generation), Exit(message="gone"))

    async def end(self, name: str, generation: int) -> None:
        self._answer()
        if self.now.get(name) == generation:
            self.die(name, Exit(message="asked", asked=True))

    async def running(self) -> Mapping[str, int]:
        self._answer()
        return dict(self.now)

    def die(self, name: str, exit_: Exit | None = None) -> None:
        self.ends[name, self.now.pop(name)] = exit_ or Exit(message="killed")

    def _answer(self) -> None:
        if self.is_away:
            raise LauncherAway


class Rig:
    """Hubs over one store and one launcher."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.processes = FakeServices()
        self.prober = FakeProber()

    def hub(self, *services: ManagedService) -> KeepServices:
        return KeepServices(
            store=self.store,
            processes=self.processes,
            prober=self.prober,
            clock=LoopClock(),
            environment=ServiceEnvironment(make_settings()),
            services=services,
        )


async def pass_time(seconds: float = 3.5) -> None:
    await asyncio.sleep(seconds)


async def test_services_are_started_with_their_environment() -> None:
    rig = Rig()
    async with TaskGroup("test") as tasks:
        tasks.start("hub", rig.hub(GRADER, BOARD).run())
        await pass_time()

    assert sorted(rig.processes.now) == ["board", "grader"]
    variables = rig.processes.variables["grader"]
    assert variables["JUPYTERHUB_API_TOKEN"] == "t"
    assert variables["JUPYTERHUB_SERVICE_NAME"] == "grader"
    assert variables["JUPYTERHUB_SERVICE_URL"] == "http://127.0.0.1:99"
    assert variables["JUPYTERHUB_SERVICE_PREFIX"] == "/services/grader/"
    assert "JUPYTERHUB_SERVICE_URL" not in rig.processes.variables["board"]


async def test_what_a_declaration_says_of_the_environment_wins() -> None:
    rig = Rig()
    async with TaskGroup("test") as tasks:
        tasks.start("hub", rig.hub(replace(BOARD, environment={"JUPYTERHUB_API_URL": "http://elsewhere"})).run())
        await pass_time()

    assert rig.processes.variables["board"]["JUPYTERHUB_API_URL"] == "http://elsewhere"


async def test_one_that_dies_is_run_again_later_and_later() -> None:
    rig = Rig()
    async with TaskGroup("test") as tasks:
        tasks.start("hub", rig.hub(BOARD).run())
        await pass_time()
        for _ in range(3):
            rig.processes.die("board")
            await pass_time(10)

    assert len(rig.processes.started) == 4
    generations = [generation for _, generation in rig.processes.started]
    assert generations == sorted(set(generations))


async def test_one_that_cannot_be_started_is_tried_again_without_haste(logged: MutableSequence[Any]) -> None:
    rig = Rig()
    rig.processes.fails = True
    async with TaskGroup("test") as tasks:
        tasks.start("hub", rig.hub(BOARD).run())
        await pass_time(120)
        tried = [entry for entry in logged if entry["event"] == "service.exited"]
        rig.processes.fails = False
        await pass_time(61)

    assert [entry["again_in"] for entry in tried] == [1, 2, 4, 8, 16, 32, 60]
    assert tried[0]["why"] == "It cannot be started."
    assert rig.processes.now.keys() == {"board"}


async def test_a_hub_that_comes_back_finds_what_runs() -> None:
    rig = Rig()
    for _ in range(2):
        async with TaskGroup("test") as tasks:
            tasks.start("hub", rig.hub(BOARD).run())
            await pass_time()

    assert len(rig.processes.started) == 1


async def test_of_several_hubs_one_starts_it() -> None:
    rig = Rig()
    async with TaskGroup("test") as tasks:
        for number in range(3):
            tasks.start(f"hub {number}", rig.hub(BOARD).run())
        await pass_time()
        rig.processes.die("board")
        await pass_time()

    assert len(rig.processes.started) == 2


async def test_another_declaration_replaces_the_run() -> None:
    rig = Rig()
    hub = rig.hub(BOARD, GRADER)
    async with TaskGroup("test") as tasks:
        tasks.start("hub", hub.run())
        await pass_time()
        hub.adopt([replace(BOARD, command=("show", "more"))], ServiceEnvironment(make_settings()))
        await pass_time()

    assert [name for name, _ in rig.processes.started if name == "board"] == ["board", "board"]
    assert rig.processes.now.keys() == {"board"}


async def test_a_launcher_that_is_away_is_waited_for() -> None:
    rig = Rig()
    rig.processes.is_away = True
    async with TaskGroup("test") as tasks:
        tasks.start("hub", rig.hub(BOARD).run())
        await pass_time(10)
        rig.processes.is_away = False
        await pass_time()
        rig.processes.is_away = True
        await pass_time(10)
        rig.processes.is_away = False
        await pass_time()

    assert len(rig.processes.started) == 1


async def test_all_of_them_end_with_the_deployment() -> None:
    rig = Rig()
    hub = rig.hub(BOARD, GRADER)
    async with TaskGroup("test") as tasks:
        tasks.start("hub", hub.run())
        await pass_time()
        await hub.stop()
        await pass_time(30)

    assert rig.processes.now == {}
    assert len(rig.processes.started) == 2


async def test_one_that_does_not_answer_is_told_of(logged: MutableSequence[Any]) -> None:
    rig = Rig()
    rig.prober.answers = False
    async with TaskGroup("test") as tasks:
        tasks.start("hub", rig.hub(GRADER).run())
        await pass_time()

    assert rig.prober.probed == [("http://127.0.0.1:99", "/services/grader/")]
    assert [entry["service"] for entry in logged if entry["event"] == "service.silent"] == ["grader"]
