"""
Starting and ending servers through the launcher's socket, as root and as one ordinary user.
"""

# ruff: noqa: ASYNC240 -- a test may look at a file while it waits for nothing else
from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from perijove.launcher.accounts import PEOPLE
from perijove.spawners.errors import LimitUnenforceable, SpawnRefused
from perijove.spawners.launcher_client import LauncherClient
from perijove.wire.launcher import Limits
from tests.support.launcher import (
    NOBODY,
    USER_PREFIX,
    LauncherProcess,
    browser,
    end,
    eventually,
    exit_of,
    launch_request,
    launched,
    main_process,
    needs_root,
    shell,
)

#: One key may run each generation once, and the launcher is shared by the tests.
_generations = itertools.count(1)


def fresh() -> int:
    return next(_generations)


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


async def test_a_launched_server_answers(client: LauncherClient) -> None:
    server = await launched(client, launch_request(generation=fresh()))

    async with browser(server) as visitor:
        answer = await visitor.get("/user/ada/api")

    assert answer.status_code == 200


async def test_a_server_runs_as_its_user_and_can_gain_no_privilege(
    launcher: LauncherProcess, client: LauncherClient
) -> None:
    server = await launched(client, launch_request(generation=fresh()))

    # `launched` is said when it is forked; a moment later it has become what it is to be.
    async def settled() -> dict[str, str] | None:
        status = status_of(main_process(server))
        return status if status["NoNewPrivs"] == "1" else None

    status = await eventually(settled)
    pid = main_process(server)
    uids = {int(uid) for uid in status["Uid"].split()}

    descriptors = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    targets = {str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in descriptors}

    assert status["NoNewPrivs"] == "1"
    # Its own are the null device, its log, its socket, and what its event loop has made.
    assert {target for target in targets if target.startswith("/")} == {"/dev/null", server.log}
    assert Path(f"/proc/{pid}").stat().st_uid in uids
    assert int(status["CapEff"], 16) == 0
    assert 0 not in uids
    assert len(uids) == 1
    if launcher.own_uid and os.getuid() == 0:
        assert uids == {NOBODY}


async def test_a_client_that_goes_away_during_an_answer_leaves_the_server_alive(client: LauncherClient) -> None:
    """
    A browser that is closed, or a proxy that is killed, must not end somebody's kernels by SIGPIPE.
    """
    server = await launched(client, launch_request(generation=fresh()))
    with socket.socket(socket.AF_UNIX) as visitor:
        visitor.connect(server.socket)
        visitor.sendall(b"GET /user/ada/api/spec.yaml HTTP/1.1\r\nHost: hub.example\r\n\r\n" * 50)

    async with browser(server) as another:
        answer = await another.get("/user/ada/api")

    assert answer.status_code == 200
    assert ignored_signals(server.pid) & 1 << signal.SIGPIPE - 1


async def test_a_program_of_ones_own_finds_signals_as_a_shell_would(client: LauncherClient) -> None:
    """
    With SIGPIPE ignored, `yes | head` would never end.
    """
    request = shell("grep SigIgn /proc/self/status", generation=fresh())

    report = await exit_of(client, await launched(client, request))

    assert int(report.log_tail[-1].split()[1], 16) & 1 << signal.SIGPIPE - 1 == 0


def ignored_signals(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:"))


async def test_a_program_gets_its_environment_and_nothing_of_the_launchers(client: LauncherClient) -> None:
    request = shell("env; umask; pwd; ls /proc/self/fd | tr '\\n' ' '; echo end", generation=fresh())
    report = await exit_of(client, await launched(client, request))
    seen = "\n".join(report.log_tail)

    assert "SECRET_OF_THE_LAUNCHER" not in seen
    assert "PYTHONPATH" not in seen
    assert "JUPYTERHUB_API_TOKEN=secret-of-the-server" in seen
    assert "JUPYTERHUB_SERVICE_URL=http+unix://" in seen
    assert "LISTEN_FDS=1" in seen
    assert "0077" in report.log_tail
    # The fifth is `ls` reading the directory.
    assert "0 1 2 3 4 end" in report.log_tail
    home = next(line for line in report.log_tail if line.startswith("HOME=")).removeprefix("HOME=")
    assert home in report.log_tail


@pytest.mark.parametrize(
    ("script", "reason", "status"), [("exit 3", "exit", 3), ("kill -9 $$", "signal", 9), ("exit 0", "exit", 0)]
)
async def test_the_report_says_how_a_server_ended(
    client: LauncherClient, script: str, reason: str, status: int
) -> None:
    server = await launched(client, shell(f"echo last words; {script}", generation=fresh()))

    report = await exit_of(client, server)

    assert (report.reason, report.status, report.asked) == (reason, status, False)
    assert report.log_tail == ("last words",)


async def test_a_generation_is_launched_once(client: LauncherClient) -> None:
    """
    A hub that died between asking and recording asks again, and must get the same server.
    """
    request = shell("sleep 100", generation=fresh())

    first = await launched(client, request)
    again = await launched(client, request)

    assert again == first


async def test_a_running_server_refuses_another_generation(client: LauncherClient) -> None:
    generation = fresh()
    await launched(client, shell("sleep 100", generation=generation))

    with pytest.raises(SpawnRefused, match="still runs"):
        await launched(client, shell("sleep 100", generation=fresh()))
    with pytest.raises(SpawnRefused, match="too late"):
        await launched(client, shell("sleep 100", generation=generation - 1))


async def test_a_generation_that_has_ended_does_not_come_back(client: LauncherClient) -> None:
    request = shell("exit 0", generation=fresh())
    await exit_of(client, await launched(client, request))

    with pytest.raises(SpawnRefused, match="has ended"):
        await launched(client, request)


async def test_no_process_survives_its_server(client: LauncherClient) -> None:
    """
    Kernels run in sessions of their own; so do things that users start and forget.
    """
    stubborn = "trap '' TERM; setsid sleep 301 & (setsid sh -c 'sleep 302; sleep 303' &)"
    script = f"{stubborn}; while :; do sleep 1; done"
    server = await launched(client, shell(script, generation=fresh()))

    async def sleepers() -> list[psutil.Process]:
        found = [p for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [])[-1:] in (["301"], ["302"])]
        return found if len(found) == 2 else []

    left = await eventually(sleepers)
    report = await end(client, server, grace=0.1)

    assert report.asked
    assert report.reason == "signal"
    assert not any(process.is_running() for process in left)


async def test_a_crashed_server_leaves_no_process_either(client: LauncherClient) -> None:
    server = await launched(client, shell("setsid sleep 304 & sleep 0.1; kill -9 $$", generation=fresh()))

    await exit_of(client, server)

    assert not [p for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [])[-1:] == ["304"]]


async def test_limits_that_cannot_be_held_are_refused(client: LauncherClient) -> None:
    for limits in (Limits(memory=2**30), Limits(cpu=0.5), Limits(open_files=10**9)):
        with pytest.raises(LimitUnenforceable):
            await launched(client, shell("true", generation=fresh(), limits=limits))


async def test_the_limit_on_open_files_holds(client: LauncherClient) -> None:
    request = shell("ulimit -n; ulimit -Hn", generation=fresh(), limits=Limits(open_files=123))

    report = await exit_of(client, await launched(client, request))

    assert report.log_tail == ("123", "123")


async def test_the_log_of_the_run_before_is_kept(client: LauncherClient) -> None:
    first = await launched(client, shell("echo one", generation=fresh()))
    await exit_of(client, first)
    second = await launched(client, shell("echo two; sleep 100", generation=fresh()))

    async def tail() -> list[str]:
        return await client.log_tail(second.key, 10)

    assert await eventually(tail) == ["two"]
    assert Path(second.log + ".1").read_text() == "one\n"


async def test_a_missing_home_stops_no_server(client: LauncherClient) -> None:
    server = await launched(client, launch_request(generation=fresh(), home="/nonexistent/home"))

    async with browser(server) as visitor:
        answer = await visitor.get("/user/ada/api")
    # Not its tail, which is bounded in bytes: a busy server soon writes more.
    log = Path(server.log).read_text()

    assert answer.status_code == 200
    assert "home directory /nonexistent/home cannot be used" in log


@pytest.mark.parametrize("user", ["../../etc", "Ada Lovelace", "ädä", "a" * 300, "-rf", "a/b", "0"])
async def test_any_name_gets_a_home_of_its_own(client: LauncherClient, user: str) -> None:
    report = await exit_of(client, await launched(client, shell("pwd", user=user, generation=fresh())))

    assert Path(report.log_tail[0]).name not in {"etc", ".", ".."}
    assert report.log_tail[0] != "/"


async def test_a_program_that_does_not_exist_says_so(client: LauncherClient) -> None:
    request = launch_request(generation=fresh(), argv=("/nonexistent/program",))

    report = await exit_of(client, await launched(client, request))

    assert report.status != 0
    assert "/nonexistent/program" in "\n".join(report.log_tail)


@pytest.mark.parametrize("launcher", [pytest.param("root", marks=needs_root)], indirect=True)
@pytest.mark.parametrize("account", ["root", "daemon", "nobody"])
async def test_no_server_runs_as_a_system_account(client: LauncherClient, account: str) -> None:
    with pytest.raises(SpawnRefused, match="system account"):
        await launched(client, shell("true", generation=fresh(), system_user=account))


@pytest.mark.parametrize("launcher", [pytest.param("root", marks=needs_root)], indirect=True)
async def test_a_missing_user_is_only_made_when_asked(client: LauncherClient) -> None:
    with pytest.raises(SpawnRefused, match="no system user"):
        await launched(client, shell("true", generation=fresh(), system_user="pjlaunch-absent", create_user=False))


@pytest.fixture
def somebodys_account() -> Iterator[str]:
    """An account of this machine that was there before perijove."""
    name = f"{USER_PREFIX}resident"
    subprocess.run(["useradd", "--create-home", name], check=True)
    yield name
    subprocess.run(["userdel", "--remove", "--force", name], check=False, capture_output=True)


def hand_over(account: str) -> None:
    subprocess.run(["usermod", "--append", "--groups", PEOPLE, account], check=True)


@pytest.mark.parametrize("launcher", [pytest.param("root", marks=needs_root)], indirect=True)
async def test_an_account_that_was_there_before_is_nobodys_until_handed_over(
    client: LauncherClient, somebodys_account: str
) -> None:
    """
    Whoever signs up on the web under a name that the machine knows must not get that account's files.
    """
    with pytest.raises(SpawnRefused, match="did not make"):
        await launched(client, shell("id -Gn", user="resident", generation=fresh()))

    hand_over(somebodys_account)
    report = await exit_of(client, await launched(client, shell("id -Gn", user="resident", generation=fresh())))

    assert report.log_tail == (somebodys_account,)


async def test_a_server_that_prints_without_end_fills_no_disk(client: LauncherClient) -> None:
    """
    The log is on the launcher's disk, perhaps the database's, and nothing that users have counts it.
    """
    script = "yes x | head -c 17000000; sleep 3; echo after; sleep 60"
    server = await launched(client, shell(script, generation=fresh()))

    async def is_short_again() -> bool:
        return Path(server.log).stat().st_size < 1000 and await client.log_tail(server.key, 1) == ["after"]

    assert await eventually(is_short_again)


@pytest.mark.parametrize("launcher", [pytest.param("root", marks=needs_root)], indirect=True)
async def test_a_home_is_its_owners_alone(client: LauncherClient) -> None:
    report = await exit_of(client, await launched(client, shell("stat -c %a .", user="bob", generation=fresh())))

    assert report.log_tail == ("700",)


async def test_a_program_that_binds_a_port_itself_is_told_one_that_is_free(client: LauncherClient) -> None:
    """
    As JupyterHub's servers do (contract a); ours are handed a socket.
    """
    script = "echo $JUPYTERHUB_SERVICE_URL; exit 3"
    server = await launched(client, shell(script, generation=fresh(), own_port=True))
    socketed = await launched(client, launch_request("bob", generation=fresh(), own_port=True))

    report = await exit_of(client, server)

    assert report.log_tail == (f"http://127.0.0.1:{server.port}/user/ada/",)
    assert server.port > 0
    assert socketed.port == 0
