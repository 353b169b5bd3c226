"""
What a launcher's death does to servers: nothing; and what the next launcher knows: everything.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from perijove.kit.tasks import TaskGroup
from perijove.spawners.errors import SpawnRefused
from perijove.spawners.launcher_client import LauncherClient
from perijove.wire.launcher import ExitReport
from tests.support.launcher import (
    TINY,
    LauncherProcess,
    browser,
    end,
    eventually,
    exit_of,
    launch_request,
    launched,
    launcher_process,
    needs_root,
    shell,
)


def is_gone(pid: int) -> bool:
    """A zombie is gone: it waits for whoever adopted it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def is_over(client: LauncherClient, key: str) -> bool:
    running, _ = await client.inspect(key)
    return running is None


@pytest.fixture
def launcher() -> Iterator[LauncherProcess]:
    with launcher_process(own_uid=True, words=TINY) as process:
        yield process


@pytest.fixture
def real_launcher() -> Iterator[LauncherProcess]:
    with launcher_process(own_uid=True) as process:
        yield process


async def test_servers_outlive_a_killed_launcher_and_are_adopted(real_launcher: LauncherProcess) -> None:
    launcher = real_launcher
    async with launcher.client() as client:
        server = await launched(client, launch_request())
        launcher.kill()
        async with browser(server) as visitor:
            alone = await visitor.get("/user/ada/api")
        launcher.start()
        adopted, _ = await client.inspect(server.key)
        again = await launched(client, launch_request())
        with pytest.raises(SpawnRefused):
            await launched(client, launch_request(generation=2))
        report = await end(client, server)

    assert alone.status_code == 200
    assert adopted == again == server
    assert report.asked
    assert is_gone(server.pid)


async def test_a_server_that_ended_unwatched_is_reported(launcher: LauncherProcess) -> None:
    """
    The hub's watch goes on across the restart, and learns what it missed.
    """
    heard: dict[str, ExitReport] = {}
    generations = itertools.count(1)

    async def hear(client: LauncherClient) -> None:
        async for report in client.watch():
            heard[report.key] = report

    async def a_short_one_was_heard_of() -> bool:
        await exit_of(client, await launched(client, shell("exit 7", user="eve", generation=next(generations))))
        return "eve/" in heard

    async def the_long_one_was_heard_of() -> bool:
        return "bob/" in heard

    async with launcher.client() as client, TaskGroup("test") as tasks:
        lived = await launched(client, shell("sleep 100", user="bob"))
        tasks.start("hear", hear(client))
        await eventually(a_short_one_was_heard_of)
        launcher.kill()
        os.kill(lived.pid, signal.SIGKILL)
        launcher.start(*TINY)
        await eventually(the_long_one_was_heard_of)
        known = await exit_of(client, lived)

    assert heard["eve/"].status == 7
    assert heard["bob/"].reason == "unknown"
    assert heard["bob/"] == known


async def test_the_template_dies_with_its_launcher(launcher: LauncherProcess) -> None:
    async with launcher.client() as client:
        await end(client, await launched(client, shell("sleep 100")), grace=0)
        (template,) = psutil.Process(launcher.pid).children()
        launcher.kill()

    async def template_is_gone() -> bool:
        return is_gone(template.pid)

    assert await eventually(template_is_gone)


async def test_a_killed_template_is_replaced(launcher: LauncherProcess) -> None:
    async with launcher.client() as client:
        await end(client, await launched(client, shell("sleep 100")), grace=0)
        (template,) = psutil.Process(launcher.pid).children()
        template.kill()
        second = await exit_of(client, await launched(client, launch_request(generation=2)))
        third = await exit_of(client, await launched(client, launch_request(generation=3)))

    assert second.log_tail[0].startswith("serving 3")
    # Both are copies of one process: what it would have drawn next, they must not.
    assert second.log_tail != third.log_tail


async def test_a_launcher_told_to_end_leaves_servers_alone(launcher: LauncherProcess) -> None:
    async with launcher.client() as client:
        server = await launched(client, shell("sleep 100"))

    code = launcher.kill(signal.SIGTERM)

    assert code == 0
    assert psutil.pid_exists(server.pid)


async def test_with_stop_servers_it_takes_them_along(launcher: LauncherProcess) -> None:
    launcher.kill()
    launcher.start("--stop-servers", *TINY)
    async with launcher.client() as client:
        server = await launched(client, shell("sleep 100"))

    launcher.kill(signal.SIGTERM)

    assert is_gone(server.pid)


async def test_garbage_ends_one_connection_and_no_other(launcher: LauncherProcess) -> None:
    async with launcher.client() as client:
        await client.hello()
        with socket.socket(socket.AF_UNIX) as garbage:
            garbage.settimeout(10)
            garbage.connect(str(launcher.socket))
            garbage.sendall(struct.pack(">I", 2**31))
            answer = garbage.recv(1)
        hello = await client.hello()

    assert answer == b""
    assert hello["pid"] == launcher.pid


@pytest.mark.parametrize("_root", [pytest.param("", marks=needs_root)])
def test_strangers_are_refused(launcher: LauncherProcess, _root: str) -> None:
    """
    Even somebody who can reach the socket: file modes are the first lock, peer credentials the second.
    """
    script = (
        "import socket, struct, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
        'b = b\'{"v": 1, "id": 1, "op": "list"}\'; s.sendall(struct.pack(\'>I\', len(b)) + b); print(s.recv(999)[4:])'
    )
    while not launcher.socket.exists() or launcher.log().count("launcher.ready") == 0:
        assert psutil.pid_exists(launcher.pid)
    launcher.socket.chmod(0o666)

    answer = subprocess.run(
        ["setpriv", "--reuid=1", "--regid=1", "--clear-groups", sys.executable, "-c", script, str(launcher.socket)],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )

    assert '"forbidden"' in answer.stdout


@pytest.mark.parametrize(
    "words", [("--state-dir", "/dev/null/s"), ("--socket", "/dev/null/s"), ("--socket", "/" + "s" * 200)]
)
def test_a_launcher_that_cannot_serve_says_why(launcher: LauncherProcess, words: tuple[str, str]) -> None:
    launcher.kill()
    launcher.start(*words)

    code = launcher.wait()

    assert code == 78
    assert "perijove launcher: cannot" in launcher.log()


def test_two_launchers_do_not_share_a_socket(launcher: LauncherProcess) -> None:
    while "launcher.ready" not in launcher.log():
        assert psutil.pid_exists(launcher.pid)
    second = LauncherProcess(launcher.folder, own_uid=True)
    second.start()

    assert second.wait() == 78
    assert "another launcher listens" in launcher.log()


async def test_a_handed_down_socket_outlives_the_launcher(launcher: LauncherProcess) -> None:
    """
    The supervisor keeps it: requests made while the launcher is away wait for the next one.
    """
    launcher.kill()
    path = launcher.folder / "handed-down.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(0o666)
        listening.listen()
        first = launcher.start_with(listening)
        launcher.kill(signal.SIGTERM)
        async with LauncherClient(path) as client, TaskGroup("test") as tasks:
            asked = tasks.start("ask", client.hello())
            second = launcher.start_with(listening)
            hello = await asked

    assert first == second
    assert json.loads(first)["ready"] is True
    assert hello["pid"] == launcher.pid
    assert path.exists()


async def test_a_launch_whose_launcher_died_before_answering_can_be_asked_for_again(launcher: LauncherProcess) -> None:
    """
    A child waits for its launcher's word before it goes on, so that it ends with it: nobody has seen that server.
    Once it was to end, the same generation is not launched any more.
    """
    request = shell("sleep 100", user="eve")
    async with launcher.client() as client:
        first = await launched(client, request)
    launcher.kill()
    os.kill(first.pid, signal.SIGKILL)
    launcher.start(*TINY)
    async with launcher.client() as client:
        await exit_of(client, first)
        second = await launched(client, request)
        await client.terminate(second.key, second.generation, grace=10)
        await eventually(lambda: is_over(client, second.key))
        with pytest.raises(SpawnRefused):
            await launched(client, request)

    assert second.pid != first.pid
