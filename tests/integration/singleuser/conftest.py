"""
One launcher and one server of ada, shared by the tests of this folder.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from perijove.spawners.launcher_client import LauncherClient
from perijove.wire.launcher import Launched
from tests.support.launcher import (
    LauncherProcess,
    browser,
    end,
    launch_request,
    launched,
    launcher_process,
    remove_test_users,
)


@pytest.fixture(scope="session")
def launcher() -> Iterator[LauncherProcess]:
    with launcher_process(own_uid=os.getuid() != 0) as process:
        yield process
    if os.getuid() == 0:
        remove_test_users()


@pytest.fixture
async def client(launcher: LauncherProcess) -> AsyncIterator[LauncherClient]:
    async with launcher.client() as connected:
        yield connected


@pytest.fixture
async def server(client: LauncherClient) -> AsyncIterator[Launched]:
    _, before = await client.inspect("ada/")
    generation = before.generation + 1 if before else 1
    running = await launched(client, launch_request(generation=generation))
    # From its first answer on it is at home. Before, its working directory is /, which some tests would then change.
    async with browser(running) as visitor:
        await visitor.get("/user/ada/api")
    yield running
    await end(client, running)
