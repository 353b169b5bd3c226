from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from perijove.kit.tasks import TaskGroup
from perijove.launcher.errors import LaunchFailed, TemplateLost
from perijove.launcher.plan import ChildPlan
from perijove.launcher.template_files import LOOK_EVERY, Installed
from perijove.launcher.template_process import Forked, Unfit, Warm, clean_environment
from perijove.launcher.templates import Template

PLAN = ChildPlan(
    name="ada/",
    uid=1001,
    gid=1001,
    groups=(),
    switch_user=True,
    home="/home/ada",
    directory="",
    environment={},
    app="app",
    argv=(),
    args=(),
    listens=False,
    processes=None,
    open_files=None,
)


def warm(*, unfit: str = "", refused: Mapping[str, str] | None = None, spoiled: bool = False) -> Warm:
    return Warm(unfit=unfit, refused=refused or {}, spoiled=spoiled, seconds=0.1)


class FakeProcess:
    """A template that forks nothing."""

    def __init__(self, number: int, says: Warm, imports: asyncio.Event) -> None:
        self.pid = number
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.says = says
        self.imports = imports
        self.fails: Exception | None = None
        self.retired = False

    async def warm(self) -> Warm:
        await self.imports.wait()
        return self.says

    async def fork(self, plan: ChildPlan, descriptors: Mapping[str, int]) -> Forked:
        assert plan is PLAN
        assert not descriptors
        if self.fails is not None:
            raise self.fails
        return Forked(pid=1000 * self.pid, start_time=1)

    def retire(self) -> None:
        self.retired = True
        self.end()

    def end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(-9)


class Factory:
    def __init__(self, *says: Warm) -> None:
        self.says = list(says)
        self.started: list[FakeProcess] = []
        self.words: list[Sequence[str]] = []
        self.imports = asyncio.Event()
        self.imports.set()

    def start(self, words: Sequence[str]) -> FakeProcess:
        self.words.append(words)
        process = FakeProcess(len(self.started) + 1, self.says.pop(0) if self.says else warm(), self.imports)
        self.started.append(process)
        return process


class World:
    def __init__(self, factory: Factory, *, modules: Sequence[str] = (), recycle_after: int = 1000) -> None:
        self.factory = factory
        self.times = {"/lib": 1}
        self.seconds = 0.0
        self.template = Template(
            app="app",
            modules=modules,
            start=factory.start,
            installed=Installed(lambda: dict(self.times), lambda: self.seconds),
            recycle_after=recycle_after,
        )

    async def fork(self) -> Forked:
        return await self.template.fork(PLAN, {})

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with TaskGroup("test") as tasks:
            tasks.start("template", self.template.keep())
            yield


def test_a_template_gets_nothing_that_it_does_not_need() -> None:
    """
    Whatever is in it would be in every user's server.
    """
    clean = clean_environment(
        {"CONFIGPROXY_AUTH_TOKEN": "x", "HOME": "/root", "AWS_SECRET_ACCESS_KEY": "x", "PYTHONPATH": "/src"}
    )

    assert clean["PYTHONPATH"] == "/src"
    assert clean["HOME"] == "/nonexistent"
    assert "x" not in clean.values()


async def test_a_module_that_spoils_a_template_is_left_out_of_the_next_and_named() -> None:
    factory = Factory(warm(refused={"bad": "when it is imported, it starts a thread"}, spoiled=True))
    world = World(factory, modules=["good", "bad"])
    with capture_logs() as logs:
        async with world.running():
            forked = await world.fork()

    assert [list(words) for words in factory.words] == [["app", "good", "bad"], ["app", "good"]]
    assert factory.started[0].ended.done()
    assert forked.pid == 2000
    assert [line["module"] for line in logs if line["event"] == "preload.refused"] == ["bad"]


async def test_a_worn_template_serves_until_the_next_is_warm() -> None:
    """
    No fork waits for a template that is replaced.
    """
    factory = Factory()
    world = World(factory, recycle_after=2)
    async with world.running():
        await world.fork()
        factory.imports.clear()
        await world.fork()
        await world.settle()
        while_it_imports = await world.fork()
        before = factory.started[0].retired
        factory.imports.set()
        await world.settle()
        afterwards = await world.fork()

    assert (while_it_imports.pid, afterwards.pid) == (1000, 2000)
    assert not before
    assert factory.started[0].retired


async def test_a_template_is_replaced_when_something_has_been_installed() -> None:
    factory = Factory()
    world = World(factory)
    async with world.running():
        await world.fork()
        world.times["/lib"] = 2
        world.seconds += LOOK_EVERY
        before = await world.fork()
        await world.settle()
        after = await world.fork()

    assert (before.pid, after.pid) == (1000, 2000)
    assert len(factory.started) == 2


async def test_one_that_has_become_unfit_forks_nothing_and_is_replaced() -> None:
    factory = Factory()
    world = World(factory)
    with capture_logs() as logs:
        async with world.running():
            await world.fork()
            factory.started[0].fails = Unfit("it has 2 threads")
            with pytest.raises(TemplateLost):
                await world.fork()

            after = await world.fork()

    assert after.pid == 2000
    assert [line["because"] for line in logs if line["event"] == "template.unfit"] == ["it has 2 threads"]


async def test_one_that_dies_while_nobody_forks_is_replaced() -> None:
    factory = Factory()
    world = World(factory)
    async with world.running():
        await world.fork()
        factory.started[0].end()
        await world.settle()

        assert (await world.fork()).pid == 2000


async def test_one_that_cannot_be_copied_is_never_served() -> None:
    factory = Factory(warm(unfit="it has 3 threads"))
    world = World(factory)
    async with world.running():
        with pytest.raises(LaunchFailed):
            await world.template.fork(PLAN, {}, patience=0.01)

    assert factory.started[0].ended.done()


async def test_whoever_is_not_patient_is_told_that_there_is_no_warm_template() -> None:
    factory = Factory()
    factory.imports.clear()
    world = World(factory)
    async with world.running():
        with pytest.raises(LaunchFailed, match="does not come up"):
            await world.template.fork(PLAN, {}, patience=0.01)


async def test_the_less_urgent_template_warms_up_after_the_other() -> None:
    urgent, other = World(Factory()), World(Factory())
    urgent.factory.imports.clear()
    async with TaskGroup("test") as tasks:
        tasks.start("urgent", urgent.template.keep())
        tasks.start("other", other.template.keep(after=urgent.template))
        await other.settle()
        before = len(other.factory.started)
        urgent.factory.imports.set()
        await other.settle()
        after = len(other.factory.started)

    assert (before, after) == (0, 1)
