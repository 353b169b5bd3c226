"""
Who gets a kernel from the launcher, and what becomes of those who send it something else.
"""

# ruff: noqa: ASYNC220 -- a test may start a program and look at a file while it waits for nothing else
from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from perijove.wire import kernels as wire
from perijove.wire.environment import LAUNCH
from perijove.wire.launcher import Launched
from tests.support.kernel import PROGRAM, Kernel, is_forked, kernel, targets_of
from tests.support.launcher import (
    LauncherProcess,
    browser,
    end,
    eventually,
    identity,
    launch_request,
    launched,
    main_process,
)

LENGTH: Final = struct.Struct(">I")
#: Sends a request from standard input as another user and says what is answered.
ASKER: Final = """
import array, json, os, socket, struct, sys
path, message = sys.argv[1], sys.stdin.buffer.read()
reading, writing = os.pipe()
with socket.socket(socket.AF_UNIX) as s:
    s.settimeout(20)
    s.connect(path)
    rights = array.array("i", [reading])
    s.sendmsg([struct.pack(">I", len(message)) + message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    (length,) = struct.unpack(">I", s.recv(4, socket.MSG_WAITALL))
    print(s.recv(length, socket.MSG_WAITALL).decode())
"""


def socket_of(launcher: LauncherProcess) -> Path:
    return launcher.folder / "r" / "kernels" / "s"


def marker_of(server: Launched) -> str:
    return psutil.Process(main_process(server)).environ()[LAUNCH]


def request(marker: str, **changes: Any) -> bytes:
    frame = wire.KernelRequest(marker=marker, argv=("-f", "/none"), environment={}, directory="").to_json()
    return json.dumps({**frame, **changes}).encode()


def as_user(server: Launched, launcher: LauncherProcess, message: bytes) -> dict[str, Any]:
    """What the launcher answers to somebody with the uid of *server*."""
    uids = psutil.Process(server.pid).uids()
    answer = subprocess.run(
        [sys.executable, "-c", ASKER, str(socket_of(launcher))],
        input=message,
        capture_output=True,
        check=True,
        timeout=30,
        cwd="/",
        user=uids.real if os.getuid() == 0 else None,
        extra_groups=[] if os.getuid() == 0 else None,
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


async def test_a_marker_that_no_server_has_opens_nothing(launcher: LauncherProcess, server: Launched) -> None:
    answer = await asyncio.to_thread(as_user, server, launcher, request("0f" * 16))

    assert answer["error"]["kind"] == wire.FORBIDDEN


async def test_nobody_gets_a_kernel_of_somebody_else(launcher: LauncherProcess, server: Launched) -> None:
    """
    Not even with the other's marker, where users have uids; and where they share one, not without it.
    """
    async with launcher.client() as client:
        bobs = await launched(client, launch_request("bob", argv=("/bin/sleep", "60"), listens=False))
        marker = marker_of(server)
        own = psutil.Process(bobs.pid).uids().real != psutil.Process(server.pid).uids().real
        stolen = await asyncio.to_thread(as_user, bobs, launcher, request(marker if own else "0" * 32))
        await end(client, bobs, grace=0)

    assert stolen["error"]["kind"] == wire.FORBIDDEN


async def test_whoever_has_no_server_is_not_read(launcher: LauncherProcess) -> None:
    with connected(launcher) as stranger:
        if launcher.own_uid and os.getuid() != 0:
            pytest.skip("here everybody is the same user; run as root")
        answer = read(stranger)

    assert answer["error"]["kind"] == wire.FORBIDDEN


@pytest.mark.parametrize(
    "message", [b"[]", b"not json", b"[" * 100_000, b"{}", request("x", more=1), request("x", argv=["a\0"])]
)
async def test_what_is_no_request_is_refused(launcher: LauncherProcess, server: Launched, message: bytes) -> None:
    answer = await asyncio.to_thread(as_user, server, launcher, message)

    assert answer["error"]["kind"] == wire.BAD_REQUEST


async def test_a_connection_that_hangs_or_promises_two_gigabytes_holds_nobody_up(
    launcher: LauncherProcess, server: Launched
) -> None:
    hanging = """
import socket, struct, sys
sockets = []
for _ in range(20):
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.send(b"\\0"); sockets.append(s)
big = socket.socket(socket.AF_UNIX); big.settimeout(20); big.connect(sys.argv[1])
big.send(struct.pack(">I", 2**31))
print(big.recv(4096)[4:].decode(), flush=True)
sys.stdin.read()
"""
    uid = psutil.Process(server.pid).uids().real
    with subprocess.Popen(
        [sys.executable, "-c", hanging, str(socket_of(launcher))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        user=uid if os.getuid() == 0 else None,
        cwd="/",
    ) as process:
        assert process.stdout is not None
        answer = json.loads(await asyncio.to_thread(process.stdout.readline))
        async with kernel(server) as meanwhile:
            forked = is_forked(await meanwhile.process(), launcher.pid)
        process.communicate(b"", timeout=20)

    assert answer["error"]["kind"] == wire.BAD_REQUEST
    assert forked


async def test_a_kernel_whose_asker_dies_never_runs(launcher: LauncherProcess, server: Launched) -> None:
    """
    Nobody would know of it: it waits for a byte that only the asker sends.
    """
    before = {process.pid for process in psutil.Process(launcher.pid).children()}

    answer = await asyncio.to_thread(as_user, server, launcher, request(marker_of(server)))

    async def is_gone() -> bool:
        return {process.pid for process in psutil.Process(launcher.pid).children()} <= before

    assert answer == {"ok": {}}
    assert await eventually(is_gone)


async def test_every_kernel_ends_with_its_server(launcher: LauncherProcess) -> None:
    """
    It is no child of the server: it is found by the marker in its environment.
    """
    request_ = launch_request(server_name="short", environment={"PERIJOVE_AUDIENCE": "ada/"})
    async with launcher.client() as client:
        server = await launched(client, request_)
        async with browser(server, PROGRAM) as visitor:
            assert (await visitor.post("/user/ada/short/api/kernels", json={"name": "python3"})).status_code == 201
        marker = marker_of(server)
        marked = [process for process in psutil.process_iter() if marker_in(process) == marker]
        psutil.Process(server.pid).kill()

        async def all_gone() -> bool:
            return not any(process.is_running() for process in marked)

        # The server and its kernel.
        assert len(marked) == 2
        assert await eventually(all_gone)


def marker_in(process: psutil.Process) -> str:
    try:
        return process.environ().get(LAUNCH, "")
    except psutil.Error:
        return ""


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [("os._exit(3)", "exit", 3), ("os.kill(os.getpid(), 9)", "signal", 9), ("os.abort()", "signal", signal.SIGABRT)],
)
async def test_why_a_kernel_died_is_told_to_the_page_that_shows_it(
    server: Launched, warm: Kernel, code: str, reason: str, status: int
) -> None:
    await warm.begin(f"import os; {code}")
    await warm.wait_for("restarting")
    async with browser(server, identity()) as visitor:
        told = (await visitor.get(f"/user/ada/perijove/kernels/{warm.id}/end")).json()
        unknown = await visitor.get("/user/ada/perijove/kernels/none/end")
    async with browser(server) as stranger:
        refused = await stranger.get(f"/user/ada/perijove/kernels/{warm.id}/end")

    assert (told["reason"], told["status"]) == (reason, status)
    assert told["message"].startswith("It ")
    assert (unknown.status_code, refused.status_code) == (404, 403)


async def test_a_kernel_that_was_told_to_end_has_not_died(server: Launched, warm: Kernel) -> None:
    await warm.restart()
    async with browser(server, identity()) as visitor:
        told = await visitor.get(f"/user/ada/perijove/kernels/{warm.id}/end")

    assert told.status_code == 404


def connected(launcher: LauncherProcess) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(socket_of(launcher)))
    return connection


def read(connection: socket.socket) -> Mapping[str, Any]:
    (length,) = LENGTH.unpack(connection.recv(LENGTH.size, socket.MSG_WAITALL))
    found: Mapping[str, Any] = json.loads(connection.recv(length, socket.MSG_WAITALL))
    return found


# Where everybody is the same user, other tests of this launcher need theirs.
@pytest.mark.skipif(os.getuid() != 0, reason="only root may be other users")
@pytest.mark.parametrize("launcher", ["root"], indirect=True)
async def test_whoever_sends_something_else_than_a_pipe_is_asked_no_more(launcher: LauncherProcess) -> None:
    """
    Closing a stranger's file may wait for a file system that is a program of that stranger's.
    """
    sender = """
import array, json, os, socket, struct, sys
file = os.open("/etc/hostname", os.O_RDONLY)
for descriptors in ([file], [file]):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(sys.argv[1])
        rights = array.array("i", descriptors)
        try:
            s.sendmsg([struct.pack(">I", 2) + b"{}"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        except BrokenPipeError:
            pass
        (length,) = struct.unpack(">I", s.recv(4, socket.MSG_WAITALL))
        print(json.loads(s.recv(length, socket.MSG_WAITALL))["error"]["kind"])
"""
    async with launcher.client() as client:
        request_ = launch_request(
            "mallory", argv=(sys.executable, "-c", sender, str(socket_of(launcher))), listens=False
        )
        server = await launched(client, request_)

        async def ended() -> tuple[str, ...] | None:
            running, report = await client.inspect(server.key)
            return report.log_tail if running is None and report is not None else None

        lines = await eventually(ended)

    assert lines == (wire.BAD_REQUEST, wire.FORBIDDEN)
    assert "/etc/hostname" not in targets_of(launcher.pid)
    assert "kernel.asker_banned" in launcher.log()
