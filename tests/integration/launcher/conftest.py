"""
A launcher per mode, shared by the tests of this folder: warming a template takes seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from perijove.spawners.launcher_client import LauncherClient
from tests.support.launcher import LauncherProcess, end, launcher_process, needs_root, remove_test_users


@pytest.fixture(scope="session", params=[pytest.param("root", marks=needs_root), "own uid"])
def launcher(request: pytest.FixtureRequest) -> Iterator[LauncherProcess]:
    with launcher_process(own_uid=request.param == "own uid") as process:
        yield process
    if request.param == "root":
        remove_test_users()


@pytest.fixture
async def client(launcher: LauncherProcess) -> AsyncIterator[LauncherClient]:
    async with launcher.client() as connected:
        yield connected
        for server in await connected.list_servers():
            await end(connected, server, grace=0)
