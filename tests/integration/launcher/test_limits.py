"""
What servers may use, on a machine with control groups: held, told of, and nothing left afterwards.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import psutil
import pytest

from perijove.kit import cgroups as kit
from perijove.launcher.cgroups import ControlGroups, find
from perijove.launcher.names import deployment_name
from perijove.spawners.errors import BackendUnreachable, LimitUnenforceable
from perijove.spawners.launcher_client import LauncherClient
from perijove.wire.launcher import Launched, Limits
from tests.support.launcher import (
    TINY,
    USER_PREFIX,
    LauncherProcess,
    end,
    eventually,
    exit_of,
    launched,
    launcher_process,
    needs_root,
    remove_test_users,
    shell,
)
from tests.support.leftovers import remove_groups

pytestmark = [
    *needs_root,
    pytest.mark.skipif(
        not any("memory" in tree.controllers for tree in kit.trees()), reason="no control groups for memory here"
    ),
]
MB = 2**20
#: What all servers of this test may use together: the machine is not only ours.
RESERVE = ("--processes-limit", "300")
#: A program that takes 200 MB and says so.
GREEDY = f"exec {sys.executable} -c 'x = bytearray(200 << 20); print(len(x))'"


@pytest.fixture(scope="module")
def launcher() -> Iterator[LauncherProcess]:
    with launcher_process(own_uid=False, words=(*TINY, *RESERVE)) as process:
        yield process
    remove_test_users()


@pytest.fixture
async def client(launcher: LauncherProcess) -> AsyncIterator[LauncherClient]:
    async with launcher.client() as connected:
        yield connected
        for server in await connected.list_servers():
            await end(connected, server, grace=0)


@pytest.fixture
def groups(launcher: LauncherProcess) -> ControlGroups:
    return find(deployment_name((launcher.folder / "r").resolve()))


_generations = iter(range(1, 1000))


def fresh() -> int:
    """A generation that has not been."""
    return next(_generations)


async def test_a_server_that_runs_out_of_memory_is_killed_and_it_is_said_why(
    client: LauncherClient, groups: ControlGroups
) -> None:
    request = shell(GREEDY, generation=fresh(), limits=Limits(memory=64 * MB))
    report = await exit_of(client, await launched(client, request))

    assert (report.reason, report.status, report.asked) == ("oom", signal.SIGKILL, False)
    assert report.message == "The server was killed because it ran out of memory: 64 MB of 64 MB were in use."
    assert groups.names() == frozenset()


async def test_a_kill_by_hand_is_no_lack_of_memory(client: LauncherClient) -> None:
    request = shell("exec sleep 100", generation=fresh(), limits=Limits(memory=64 * MB))
    server = await launched(client, request)
    os.kill(server.pid, signal.SIGKILL)
    report = await exit_of(client, server)

    assert (report.reason, report.message) == ("signal", "It was ended by signal SIGKILL.")


async def test_a_server_may_use_what_it_was_given(client: LauncherClient) -> None:
    request = shell(GREEDY, generation=fresh(), limits=Limits(memory=400 * MB, cpu=0.5, memory_guarantee=100 * MB))
    report = await exit_of(client, await launched(client, request))

    assert (report.reason, report.status) == ("exit", 0)


async def test_the_limit_on_processes_is_the_servers_own(client: LauncherClient) -> None:
    """
    Not, as a resource limit would be, that of all of a user's servers.
    """
    count = "i=0; while [ $i -lt 40 ]; do sleep 30 & i=$((i+1)); done; wait"
    small = await launched(client, shell(count, generation=fresh(), limits=Limits(processes=10)))
    large = await launched(
        client, shell("sleep 100 & sleep 100 & wait", generation=fresh(), key="ada/x", server_name="x")
    )
    report = await exit_of(client, small)

    async def has_children() -> bool:
        return len(psutil.Process(large.pid).children()) == 2

    assert report.reason == "exit"
    assert "fork" in "".join(report.log_tail)
    assert await eventually(has_children)


async def test_hello_tells_what_can_be_held_and_what_there_is(client: LauncherClient) -> None:
    hello = await client.hello()

    assert {"memory", "cpu", "processes", "open_files", "memory_guarantee", "cpu_guarantee"} == set(hello["limits"])
    assert hello["refused"] == {}
    assert hello["isolation"]["cgroup"] is True
    assert 0 < hello["for_all"]["memory"] < psutil.virtual_memory().total
    assert hello["for_all"]["processes"] == 300


async def test_more_than_there_is_is_not_promised(client: LauncherClient, groups: ControlGroups) -> None:
    whole = (await client.hello())["for_all"]["memory"]
    half = Limits(memory_guarantee=whole // 2 + MB)
    first = await launched(client, shell("exec sleep 100", generation=fresh(), limits=half))
    with pytest.raises(LimitUnenforceable, match="are promised to others"):
        await launched(client, shell("exec sleep 100", user="bob", generation=fresh(), limits=half))
    there = groups.names()
    await end(client, first, grace=0)
    second = await launched(client, shell("exec sleep 100", user="bob", generation=fresh(), limits=half))

    assert len(there) == 1
    assert second.pid


@pytest.fixture
def small_home(launcher: LauncherProcess) -> Iterator[Path]:
    """A home of its own file system, which 64 KB fill."""
    home = launcher.folder / "home"
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=777", "tmpfs", str(home)], check=True)
    yield home
    subprocess.run(["umount", str(home)], check=True)


async def test_a_full_disk_is_named(client: LauncherClient, small_home: Path) -> None:
    request = shell("cat /dev/zero > $HOME/x; exit 5", generation=fresh(), home=str(small_home))
    report = await exit_of(client, await launched(client, request))

    assert (report.reason, report.status) == ("disk_full", 5)
    assert report.message == "There is no space left in your home, and it ended with exit code 5."


def stray_in(groups: ControlGroups) -> subprocess.Popen[bytes]:
    """A process in a group that no record knows of."""
    stray = subprocess.Popen(["sleep", "100"])
    for file in groups.make("stray.1", Limits()):
        Path(file).write_text(str(stray.pid))
    return stray


async def found_again(client: LauncherClient, key: str) -> Launched:
    """What the restarted launcher says of *key*."""

    async def look() -> Launched | None:
        with suppress(BackendUnreachable):
            return (await client.inspect(key))[0]
        return None

    return await eventually(look)


class TestARestart:
    """Of the launcher, after it was killed."""

    @pytest.fixture
    def launcher(self) -> Iterator[LauncherProcess]:
        with launcher_process(own_uid=False, words=TINY) as process:
            yield process
        remove_test_users()

    async def test_adopted_servers_keep_their_limits_and_their_reasons(
        self, launcher: LauncherProcess, client: LauncherClient
    ) -> None:
        wait = f"while [ ! -e $HOME/go ]; do sleep 0.05; done; {GREEDY}"
        server = await launched(client, shell(wait, generation=fresh(), limits=Limits(memory=64 * MB)))
        launcher.kill()
        launcher.start(*TINY)
        adopted = await found_again(client, server.key)
        await anyio.Path(pwd.getpwnam(f"{USER_PREFIX}ada").pw_dir, "go").touch()
        report = await exit_of(client, server)

        assert adopted == server
        assert (report.reason, report.status) == ("oom", signal.SIGKILL)

    async def test_what_no_record_knows_of_is_swept_and_nothing_else(
        self, launcher: LauncherProcess, client: LauncherClient
    ) -> None:
        """
        Not the groups of another launcher, and not those of servers that run.
        """
        kept = await launched(client, shell("exec sleep 100", generation=fresh()))
        other = find(deployment_name((launcher.folder / "other").resolve()))
        other.make("x", Limits())
        ours = find(deployment_name((launcher.folder / "r").resolve()))
        stray = stray_in(ours)
        launcher.kill()
        servers = launcher.folder / "r" / "servers"
        (servers / "nobody").mkdir()
        (servers / "nobody" / "s").touch()
        launcher.start(*TINY)
        running = await found_again(client, kept.key)
        code = stray.wait(10)
        try:
            assert running == kept
            assert code == -signal.SIGKILL
            assert len(ours.names()) == 1
            assert other.names() == {"x"}
            assert not (servers / "nobody").exists()
            assert await anyio.Path(kept.socket).exists()
        finally:
            remove_groups(launcher.folder / "other")

    async def test_a_launcher_that_ends_with_its_servers_leaves_no_group(self, launcher: LauncherProcess) -> None:
        async with launcher.client() as client:
            await launched(client, shell("exec sleep 100", generation=fresh()))
        launcher.stop()
        launcher.start(*TINY, "--stop-servers")
        async with launcher.client() as client:
            assert len(await client.list_servers()) == 1
        launcher.stop()

        assert not [
            tree for tree in kit.trees() if (tree.mount / deployment_name((launcher.folder / "r").resolve())).exists()
        ]


def test_a_reserve_that_leaves_nothing_is_an_error_at_start() -> None:
    with launcher_process(own_uid=False, words=(*TINY, "--reserve-memory", str(2**60))) as process:
        code = process.wait()
        said = process.log()

    assert code == 78
    assert "c.Launcher.reserve_memory leaves nothing" in said


async def test_a_fork_bomb_is_stopped_within_a_moment(client: LauncherClient, groups: ControlGroups) -> None:
    bomb = f"exec {sys.executable} -c 'import os\nwhile True:\n    try: os.fork()\n    except OSError: pass'"
    server = await launched(client, shell(bomb, generation=fresh(), limits=Limits(processes=60, cpu=0.5)))

    async def has_grown() -> bool:
        return sum(len(groups.members(name)) for name in groups.names()) >= 50

    await eventually(has_grown)
    began = time.monotonic()
    report = await end(client, server, grace=0.1)

    assert report.asked
    assert groups.names() == frozenset()
    assert time.monotonic() - began < 5
