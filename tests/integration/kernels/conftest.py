"""
A launcher per mode whose kernels find numpy and matplotlib imported, and one server of ada for all of this folder.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from perijove.wire.launcher import Launched
from tests.support.kernel import Kernel, add_ordinary, kernel
from tests.support.launcher import (
    LauncherProcess,
    browser,
    end,
    launch_request,
    launched,
    launcher_process,
    needs_root,
    remove_test_users,
    wait_until_kernels_are_warm,
)

PRELOADED = ("numpy", "matplotlib.pyplot", "tests.support.starts_a_thread", "tests.support.opens_a_file")


@pytest.fixture(scope="session", autouse=True)
def _no_users_left_behind() -> Iterator[None]:
    """At the very end: launchers of several tests share them."""
    yield
    if os.getuid() == 0:
        remove_test_users()


@pytest.fixture(scope="session", params=[pytest.param("root", marks=needs_root), "own uid"])
def launcher(request: pytest.FixtureRequest) -> Iterator[LauncherProcess]:
    words = [word for name in PRELOADED for word in ("--preload", name)]
    with launcher_process(own_uid=request.param == "own uid", words=(*words, "--log-level", "debug")) as process:
        wait_until_kernels_are_warm(process)
        yield process


@pytest.fixture(scope="session")
def server(launcher: LauncherProcess) -> Iterator[Launched]:
    async def start() -> Launched:
        async with launcher.client() as client:
            running = await launched(client, launch_request())
        # From its first answer on, it is where it is to be.
        async with browser(running) as visitor:
            await visitor.get("/user/ada/api")
        return running

    async def stop(running: Launched) -> None:
        async with launcher.client() as client:
            await end(client, running, grace=0)

    running = asyncio.run(start())
    add_ordinary(running)
    yield running
    asyncio.run(stop(running))


@pytest.fixture
async def warm(server: Launched) -> AsyncIterator[Kernel]:
    async with kernel(server) as started:
        yield started
