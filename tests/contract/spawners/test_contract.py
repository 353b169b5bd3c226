"""
What the hub relies on, for every spawner that comes with perijove.

Third parties: subclass nothing; copy the fixture and let `make` give your spawner.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from perijove.kit.tasks import TaskGroup
from perijove.spawners.base import Backend, Spawner
from perijove.spawners.errors import SpawnRefused
from perijove.spawners.local import LocalSpawner
from perijove.spawners.testing import FakeSpawner
from perijove.spawners.values import BackendSettings, SpawnerUser, SpawnRequest
from perijove.wire.launcher import ExitReport
from tests.support.launcher import (
    TINY,
    USER_PREFIX,
    LauncherProcess,
    eventually,
    launcher_process,
    remove_test_users,
)

Make = Callable[..., Spawner]
_generations = itertools.count(1)
SLEEP = ["/bin/sh", "-c", "exec sleep 1000"]


@pytest.fixture(scope="session")
def launcher() -> Iterator[LauncherProcess]:
    with launcher_process(own_uid=os.getuid() != 0, words=TINY) as process:
        yield process
    if os.getuid() == 0:
        remove_test_users()


@pytest.fixture(params=[FakeSpawner, LocalSpawner])
def kind(request: pytest.FixtureRequest) -> type[Spawner]:
    found: type[Spawner] = request.param
    return found


@pytest.fixture
async def backend(kind: type[Spawner], request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    socket = request.getfixturevalue("launcher").socket if kind is LocalSpawner else Path("/nonexistent")
    async with kind.open_backend(BackendSettings(launcher_socket=socket, environment={"LANG": "C.UTF-8"})) as opened:
        yield opened


@pytest.fixture
def make(kind: type[Spawner], backend: Backend) -> Make:
    def made(**traits: Any) -> Spawner:
        if kind is LocalSpawner:
            traits = {"system_user_prefix": USER_PREFIX, "cmd": SLEEP, "term_timeout": 5, **traits}
        return kind(user=SpawnerUser(name="ada"), backend=backend, **traits)

    return made


def spawn_request(generation: int = 0) -> SpawnRequest:
    return SpawnRequest(
        key="ada/",
        generation=generation or next(_generations),
        user="ada",
        server_name="",
        environment={"JUPYTERHUB_USER": "ada", "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"},
    )


async def test_a_started_server_runs_until_it_is_stopped(make: Make) -> None:
    spawner = make()
    running = await spawner.start(spawn_request())
    before = await spawner.poll(running.handle)
    await spawner.stop(running.handle)
    after = await spawner.poll(running.handle)

    assert running.target.startswith(("http://", "http+unix://"))
    assert before is None
    assert after is not None
    assert after.asked


async def test_starting_twice_for_one_generation_starts_one_server(make: Make) -> None:
    request = spawn_request()

    first = await make().start(request)
    second = await make().start(request)
    await make().stop(first.handle, now=True)

    assert first == second


async def test_a_launch_is_found_again_by_its_generation(make: Make) -> None:
    request = spawn_request()
    running = await make().start(request)

    found = await make().find(request)
    other = await make().find(spawn_request())
    await make().stop(running.handle, now=True)
    gone = await make().find(request)

    assert found == running
    assert other is None
    assert gone is None


async def test_a_handle_survives_the_spawner(make: Make) -> None:
    """
    The hub keeps handles in its database; a new process polls and stops with them.
    """
    running = await make().start(spawn_request())

    before = await make().poll(dict(running.handle))
    await make().stop(dict(running.handle), now=True)

    assert before is None
    assert await make().poll(dict(running.handle)) is not None


async def test_a_newer_generation_is_refused_while_one_runs(make: Make) -> None:
    running = await make().start(spawn_request())

    with pytest.raises(SpawnRefused):
        await make().start(spawn_request())
    await make().stop(running.handle, now=True)


async def test_an_abandoned_start_is_ended_and_cannot_come_to_pass_any_more(make: Make) -> None:
    """
    Whoever asked for it has not waited for the handle: nobody would ever find the server again.
    """
    made, under_way, later = spawn_request(), spawn_request(), spawn_request()
    await make().start(made)
    await make().abandon(made)
    async with TaskGroup("test") as tasks:
        start = tasks.start("start", make().start(under_way))
        await asyncio.sleep(0)
        await make().abandon(under_way)
        await asyncio.wait({start})
    await make().abandon(later)

    for request in (made, under_way, later):
        assert await make().find(request) is None
        with pytest.raises(SpawnRefused):
            await make().start(request)


async def test_stopping_twice_is_no_error(make: Make) -> None:
    running = await make().start(spawn_request())

    await make().stop(running.handle)
    await make().stop(running.handle)

    assert await make().poll(running.handle) is not None


async def test_an_unknown_handle_is_a_server_that_is_gone(make: Make) -> None:
    report = await make().poll({"version": 1, "key": "nobody/", "generation": 1})

    assert report is not None
    assert report.reason == "unknown"


async def test_watchers_hear_of_exits(make: Make, backend: Backend) -> None:
    async def hear() -> None:
        async for report in backend.watch():
            heard.append(report)  # noqa: PERF401  # one by one: the stream does not end

    async def ended_while_watched() -> bool:
        running = await make().start(spawn_request())
        await make().stop(running.handle, now=True)
        return bool(heard)

    heard: list[ExitReport] = []
    async with TaskGroup("test") as tasks:
        tasks.start("hear", hear())
        await eventually(ended_while_watched)

    assert heard[0].key == "ada/"
    assert heard[0].asked


async def test_progress_ends(make: Make) -> None:
    steps = [step async for step in make().progress()]

    assert all(0 <= step.percent <= 100 for step in steps)


async def test_hooks_get_the_spawner(make: Make) -> None:
    seen: list[str] = []

    async def before(spawner: Spawner) -> None:
        await asyncio.sleep(0)
        seen.append(f"before {spawner.user.name}")

    spawner = make(pre_spawn_hook=before, post_stop_hook=lambda spawner: seen.append(f"after {spawner.name}"))
    await spawner.run_pre_spawn_hook()
    await spawner.run_post_stop_hook()

    assert seen == ["before ada", "after "]


def test_the_environment_is_the_hubs_with_the_administrators_over_it(make: Make) -> None:
    spawner = make(
        environment={"JUPYTERHUB_USER": "eve", "WHO": lambda spawner: spawner.user.name, "NUMBER": 7},
        default_url="/tree/{username}",
        notebook_dir="~/work",
        debug=True,
        disable_user_config=True,
        mem_limit="1.5G",
        cpu_limit=2,
    )

    environment = spawner.server_environment(spawn_request())

    assert environment == {
        "LANG": "C.UTF-8",
        "JUPYTERHUB_USER": "eve",
        "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/",
        "JUPYTERHUB_DEFAULT_URL": "/tree/ada",
        "JUPYTERHUB_ROOT_DIR": "~/work",
        "JUPYTERHUB_DEBUG": "1",
        "JUPYTERHUB_DISABLE_USER_CONFIG": "1",
        "MEM_LIMIT": str(3 * 2**29),
        "CPU_LIMIT": "2.0",
        "WHO": "ada",
        "NUMBER": "7",
    }


def test_a_spawner_shows_its_configuration_without_a_server(kind: type[Spawner]) -> None:
    assert kind(config=Config({"Spawner": {"start_timeout": 7}})).start_timeout == 7
