"""
The access log as whoever reads it finds it: whole lines, no secrets, and a proxy that never waits for it.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perijove.kit.jws import SigningKey
from perijove.proxy.core.access_log import MAX_LINE, JsonLines, Served
from perijove.proxy.core.passing import Passing
from perijove.proxy.core.statistics import Statistics
from perijove.proxy.net.access_log import FLUSH_BYTES, MAX_WAITING, AccessLog, CannotLog
from tests.integration.proxy.support import (
    PATIENCE,
    UPGRADE,
    echoing,
    identity,
    request,
    running,
    serving,
    until,
    websocket,
)
from tests.integration.proxy.test_process import AUTH, ask, process, started


def served(target: bytes = b"/x") -> Served:
    return Served(peer="192.0.2.7", method=b"GET", target=target, minor=1, status=200, route="/", user="")


def opened(path: Path | str, statistics: Statistics | None = None) -> AccessLog:
    return AccessLog(path=str(path), lines=JsonLines(), statistics=statistics or Statistics())


def rows(path: Path) -> list[dict[str, Any]]:
    content = path.read_bytes()
    assert content.endswith(b"\n") or not content
    return [json.loads(line) for line in content.splitlines()]


async def test_every_request_is_a_line(tmp_path: Path) -> None:
    path, key = tmp_path / "log", SigningKey.generate()
    async with (
        serving(echoing()) as server,
        serving(websocket) as live,
        running(access_log=str(path)) as proxy,
    ):
        await proxy.control("PUT", "/api/keys", {"keys": [key.public_jwk]})
        await proxy.route("/user/ada", server.url, access="gated", audience="ada/")
        await proxy.route("/live", live.url)
        cookie = f"Cookie: perijove-identity={identity(key)}"
        client = await proxy.connect()
        client.send(request("/user/ada/lab?token=hidden", cookie, "Authorization: Basic aGlkZGVu"))
        body = (await client.response()).body
        await proxy.ask("/user/ada/lab")
        await proxy.ask("/nowhere")
        await proxy.ask("/bad", "Bad Header: hidden")
        tunnel = await proxy.connect()
        tunnel.send(request("/live/ws?token=hidden", *UPGRADE))
        await tunnel.read_head()
        tunnel.send(b"x" * 1000)
        await tunnel.read(1000)
        await asyncio.sleep(0.2)
        await tunnel.gone()
        await proxy.until(lambda statistics: not statistics.gauges.tunnels)
    found = rows(path)

    assert [(row["method"], row["target"], row["status"], row["route"], row["user"]) for row in found] == [
        ("GET", "/user/ada/lab?token=***", 200, "/user/ada", "ada"),
        ("GET", "/user/ada/lab", 403, "/user/ada", None),
        ("GET", "/nowhere", 404, None, None),
        ("-", "-", 400, None, None),
        ("GET", "/live/ws?token=***", 101, "/live", None),
    ]
    assert b"hidden" not in path.read_bytes()
    assert b"aGlkZGVu" not in path.read_bytes()
    assert found[0]["bytes"] > len(body)
    assert found[0]["received"] > 100
    assert 0 < found[0]["duration"] < PATIENCE
    assert 0.2 <= found[4]["duration"] < PATIENCE
    assert found[4]["bytes"] >= 1000
    assert found[4]["received"] >= 1000
    assert path.stat().st_mode & 0o777 == 0o640


async def test_who_went_away_is_a_line_as_well(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def never(connection: Any) -> None:
        await connection.read_head()
        arrived.set()
        await connection.read_all()

    async with serving(never) as server, running(access_log=str(tmp_path / "log")) as proxy:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(request("/slow"))
        await arrived.wait()
        client.reset()
        await proxy.until(lambda statistics: 499 in statistics.by_status())

    assert [(row["target"], row["status"]) for row in rows(tmp_path / "log")] == [("/slow", 499)]


@pytest.mark.parametrize(
    ("trusted", "said", "peer"),
    [
        ({"127.0.0.1"}, "203.0.113.9, 198.51.100.4", "198.51.100.4"),
        ({"127.0.0.1"}, "2001:db8::1", "2001:db8::1"),
        ({"127.0.0.1"}, 'x" evil', "127.0.0.1"),
        ({"192.0.2.1"}, "198.51.100.4", "127.0.0.1"),
    ],
)
async def test_a_trusted_forwarder_says_who_asked(trusted: set[str], said: str, peer: str, tmp_path: Path) -> None:
    passing = Passing(trusted_forwarders=frozenset(trusted))
    async with (
        serving(echoing()) as server,
        running(access_log=str(tmp_path / "log"), access_log_format="combined", passing=passing) as proxy,
    ):
        await proxy.route("/", server.url)
        await proxy.ask("/x", f"X-Forwarded-For: {said}", "User-Agent: me", "Referer: https://a/?token=hidden")

    line = (tmp_path / "log").read_text()
    assert line.startswith(f"{peer} - - [")
    assert line.endswith('"https://a/?token=***" "me"\n')


async def test_lines_are_there_after_a_second(tmp_path: Path) -> None:
    path = tmp_path / "log"
    async with running(access_log=str(path)) as proxy:
        await proxy.ask("/_chp_healthz")
        await until(lambda: len(rows(path)) == 1)


async def test_workers_share_a_file_that_is_opened_anew_on_request(tmp_path: Path) -> None:
    """
    What rotates logs moves the file away and sends SIGHUP.
    """
    public, path, moved = tmp_path / "p", tmp_path / "log", tmp_path / "log.1"
    flags = ("--socket", str(public), "--api-socket", str(tmp_path / "c"), "--access-log", str(path), "--workers", "2")
    async with process(*flags) as child:
        await started(child)
        for number in range(30):
            await ask(public, f"/before/{number}")
        path.rename(moved)
        child.send_signal(signal.SIGHUP)
        await until(path.exists)
        await ask(tmp_path / "c", "/api/routes", AUTH)
        for number in range(30):
            await ask(public, f"/after/{number}")
        child.terminate()
        await child.wait()

    assert sorted(row["target"] for row in rows(moved) + rows(path)) == sorted(
        f"/{when}/{number}" for when in ("before", "after") for number in range(30)
    )
    assert rows(path)


async def test_a_proxy_that_cannot_log_does_not_start(tmp_path: Path) -> None:
    flags = ("--socket", str(tmp_path / "p"), "--access-log", str(tmp_path / "none" / "log"), "--workers", "0")
    async with process("--api-socket", str(tmp_path / "c"), *flags) as child, asyncio.timeout(PATIENCE):
        _, errors = await child.communicate()

    assert child.returncode == 1
    assert b"Cannot write the access log to" in errors


async def test_lines_can_go_to_standard_output(tmp_path: Path) -> None:
    public = tmp_path / "p"
    flags = ("--socket", str(public), "--api-socket", str(tmp_path / "c"), "--access-log", "-", "--workers", "1")
    ours, theirs = os.pipe()
    async with process(*flags, stdout=theirs) as child:
        os.close(theirs)
        await started(child)
        await ask(public, "/_chp_healthz")
        line = await asyncio.to_thread(os.read, ours, 4096)
        was_blocking = os.get_blocking(ours)
        child.terminate()
        await child.wait()
    os.close(ours)

    assert json.loads(line)["target"] == "/_chp_healthz"
    assert was_blocking


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe, and a descriptor that reads from it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


def test_a_reader_that_is_stuck_costs_lines_and_nothing_else(pipe: tuple[Path, int]) -> None:
    """
    The proxy waits for nobody, its memory is bounded, what is read is whole, and what is lost is counted.
    """
    path, reader = pipe
    statistics = Statistics()
    log = opened(path, statistics)
    target = b"/" + b"x" * 1000
    written = 0
    while not statistics.dropped_lines:
        log.write(served(target))
        written += 1
    for _ in range(10):
        log.write(served(target))
    content = b""
    while log.is_waiting:
        content += _all(reader)
        log.flush()
    content += _all(reader)
    log.close()
    lines = content.splitlines()

    assert len(content) > MAX_WAITING
    assert statistics.dropped_lines == 11
    assert content.endswith(b"\n")
    assert len(lines) == written - 1
    assert all(json.loads(line)["status"] == 200 for line in lines)


def test_two_writers_of_one_pipe_tear_no_lines(pipe: tuple[Path, int]) -> None:
    """
    Workers share standard output: what is written at once is no more than the pipe takes whole.
    """
    path, reader = pipe
    logs = [opened(path), opened(path)]
    content = b""
    for number in range(3000):
        logs[number % 2].write(served(b"/" + b"abcdef"[number % 6 : number % 6 + 1] * (number % 1500)))
        if number % 20 == 0:
            for log in logs:
                log.flush()
            content += _all(reader)
    for _ in range(100):
        for log in logs:
            log.flush()
        content += _all(reader)
    for log in logs:
        log.close()

    assert [len(line) < MAX_LINE and json.loads(line)["status"] for line in content.splitlines()] == [200] * 3000


def _all(reader: int) -> bytes:
    content = b""
    try:
        while piece := os.read(reader, 65536):
            content += piece
    except BlockingIOError:
        pass
    return content


def test_many_lines_are_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []

    def write(file: int, piece: bytes) -> int:
        writes.append(len(piece))
        return real(file, piece)

    real = os.write
    log = opened(tmp_path / "log")
    monkeypatch.setattr(os, "write", write)
    for _ in range(1000):
        log.write(served())
    log.flush()
    log.close()

    assert len(writes) == sum(writes) // FLUSH_BYTES + 1
    assert len(rows(tmp_path / "log")) == 1000


def test_a_full_disk_loses_no_line_that_was_kept_and_tears_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A disk takes a part, then nothing; when there is room again the rest follows.
    """
    room = [100]

    def write(file: int, piece: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken, room[0] = min(len(piece), room[0]), max(0, room[0] - len(piece))
        return real(file, bytes(piece[:taken]))

    real = os.write
    log = opened(tmp_path / "log")
    monkeypatch.setattr(os, "write", write)
    for _ in range(10):
        log.write(served())
    log.flush()
    log.flush()
    torn = (tmp_path / "log").read_bytes()
    room[0] = 10**9
    log.flush()
    log.close()

    assert len(torn) == 100
    assert len(rows(tmp_path / "log")) == 10


def test_half_a_line_is_not_finished_in_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statistics, real = Statistics(), os.write
    log = opened(tmp_path / "log", statistics)
    log.write(served())
    log.write(served(b"/second"))
    monkeypatch.setattr(os, "write", lambda file, piece: real(file, bytes(piece[:10])))
    log.flush()
    (tmp_path / "log").rename(tmp_path / "log.1")
    monkeypatch.setattr(os, "write", lambda *_: 0)
    log.reopen()
    monkeypatch.undo()
    log.close()

    assert [row["target"] for row in rows(tmp_path / "log")] == ["/second"]
    assert statistics.dropped_lines == 1


def test_what_cannot_be_opened_anew_goes_on_in_the_old_file(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = opened(folder / "log")
    folder.rename(tmp_path / "moved")
    log.write(served())
    log.reopen()
    log.write(served())
    log.close()

    assert len(rows(tmp_path / "moved" / "log")) == 2


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotLog, match=r"none/log: No such file"):
        opened(tmp_path / "none" / "log")


@pytest.mark.parametrize("has_flag", [True, False])
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_standard_output_that_is_not_ours_is_not_switched_and_not_waited_for(
    kind: str, monkeypatch: pytest.MonkeyPatch, *, has_flag: bool
) -> None:
    """
    The supervisor and the hub write there as well: for them it must go on to block.
    """
    if kind == "pipe":
        reader, writer = os.pipe()
    else:
        reader, writer = (end.detach() for end in socket.socketpair())
    os.set_blocking(reader, False)
    real = os.open

    def refuse(path: str, *rest: Any) -> int:
        if path.startswith("/proc/"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, *rest)

    if not has_flag:
        monkeypatch.delattr(os, "RWF_NOWAIT")
    with os.fdopen(writer, "w") as stdout:
        with monkeypatch.context() as at_start:
            at_start.setattr(os, "open", refuse)
            at_start.setattr(sys, "stdout", stdout)
            log = opened("-")
        for _ in range(3000):
            log.write(served(b"/" + b"x" * 100))
        is_blocking = os.get_blocking(writer)
        content = b""
        while log.is_waiting:
            content += _all(reader)
            log.flush()
        content += _all(reader)
        log.close()
    os.close(reader)

    assert is_blocking
    assert [json.loads(line)["status"] for line in content.splitlines()] == [200] * 3000
