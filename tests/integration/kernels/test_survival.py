"""
What becomes of kernels when the launcher or its template is killed, hangs, or is replaced.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import psutil
import pytest

from tests.support.kernel import is_forked, kernel
from tests.support.launcher import (
    USER_PREFIX,
    LauncherProcess,
    end,
    eventually,
    launch_request,
    launched,
    launcher_process,
    main_process,
)

#: Of these tests alone: others have a server of ada's that runs all the while.
OWN = f"{USER_PREFIX}survivor"
KERNEL_APP = "perijove.singleuser.kernels.app"


@pytest.fixture
def launcher() -> Iterator[LauncherProcess]:
    with launcher_process(own_uid=os.getuid() != 0, words=("--recycle-after", "3")) as process:
        yield process


def template_of(launcher: LauncherProcess) -> psutil.Process:
    """The oldest, which is a root process when the launcher is one."""
    uid = psutil.Process(launcher.pid).uids().real
    found = [
        p
        for p in psutil.Process(launcher.pid).children()
        if KERNEL_APP in p.cmdline() and p.uids().real == uid and "PERIJOVE_LAUNCH=" + "0" * 32 in environ_of(p)
    ]
    return min(found, key=lambda p: p.create_time())


def environ_of(process: psutil.Process) -> list[str]:
    return [f"{name}={value}" for name, value in process.environ().items()]


async def test_a_kernel_outlives_launcher_and_template_and_ends_with_its_server(launcher: LauncherProcess) -> None:
    async with launcher.client() as client:
        server = await launched(client, launch_request(system_user=OWN))
    async with kernel(server) as first:
        process = await first.process()
        assert is_forked(process, launcher.pid)
        launcher.kill()
        answer = await first.says("print(6 * 7)")

        # The launcher is away: nobody notices.
        async with kernel(server) as second:
            ordinary = await second.process()
            assert ordinary.ppid() == main_process(server)
        assert await first.post("interrupt") == 204
        assert await first.says("print(1)") == "1"

        launcher.start()
        async with launcher.client() as client:
            async with kernel(server) as third:

                async def is_warm_again() -> bool:
                    await third.restart()
                    return is_forked(await third.process(), launcher.pid)

                assert await eventually(is_warm_again)
            adopted = next(running for running in await client.list_servers() if running.key == server.key)
            await end(client, adopted, grace=0)

    async def is_gone() -> bool:
        return not process.is_running()

    assert answer == "42"
    assert await eventually(is_gone)


async def test_a_killed_template_is_replaced_and_a_hanging_launcher_is_not_waited_for(
    launcher: LauncherProcess,
) -> None:
    async with launcher.client() as client:
        server = await launched(client, launch_request(system_user=OWN))
        async with kernel(server) as started:
            running = await started.process()
            template = template_of(launcher)
            template.kill()
            assert await started.says("print(1)") == "1"

            async def is_forked_again() -> bool:
                await started.restart()
                return is_forked(await started.process(), launcher.pid)

            assert await eventually(is_forked_again)
            assert not running.is_running()

        os.kill(launcher.pid, signal.SIGSTOP)
        try:
            async with kernel(server) as started:
                ordinary = await started.process()
                assert ordinary.ppid() == main_process(server)
        finally:
            os.kill(launcher.pid, signal.SIGCONT)
        await end(client, server, grace=0)


async def test_a_worn_template_is_replaced_while_its_kernels_live_on(launcher: LauncherProcess) -> None:
    async with launcher.client() as client:
        server = await launched(client, launch_request(system_user=OWN))
        async with kernel(server) as first:
            worn = template_of(launcher)
            for _ in range(3):
                async with kernel(server) as another:
                    assert is_forked(await another.process(), launcher.pid)

            async def is_replaced() -> bool:
                return not worn.is_running()

            assert await eventually(is_replaced)
            assert await first.says("print(1)") == "1"
            async with kernel(server) as another:
                assert is_forked(await another.process(), launcher.pid)
        await end(client, server, grace=0)
    assert "template.replaced" in launcher.log()
