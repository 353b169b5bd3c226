"""
What a person who shares the machine with another cannot see or do: with a uid each, and with one for all.
"""

# ruff: noqa: ASYNC240 -- a test may look at a file while it waits for nothing else
from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from perijove.launcher.names import short_name
from perijove.spawners.launcher_client import LauncherClient
from tests.support.launcher import (
    NOBODY,
    USER_PREFIX,
    LauncherProcess,
    end,
    eventually,
    exit_of,
    launch_request,
    launched,
    launcher_process,
    main_process,
    shell,
)

SPY: Final = Path(__file__).with_name("spy.py").read_text()
#: What the victim has: a file at home, one in each shared directory, a socket and a segment of shared memory.
VICTIM: Final = """
echo secret > notes.txt; echo secret > /tmp/of-bea; echo secret > /var/tmp/of-bea; echo secret > /dev/shm/of-bea
exec {python} -c '
import ctypes, os, socket, time
s = socket.socket(socket.AF_UNIX); s.bind(os.environ["JUPYTER_RUNTIME_DIR"] + "/kernel-ipc-1"); s.listen()
ctypes.CDLL(None).shmget(0x7065726A, 4096, 0o1666)
open("ready", "w").close()
time.sleep(600)
'
"""

_seen: dict[bool, dict[str, Any]] = {}


@pytest.fixture(scope="module")
def outside() -> Iterator[Path]:
    """A directory like any other of the machine, that belongs to the uid that all servers share without root."""
    folder = Path(tempfile.mkdtemp(prefix="pj-", dir="/var/lib"))
    folder.chmod(0o755)
    if os.getuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def seen(launcher: LauncherProcess, client: LauncherClient, outside: Path) -> dict[str, Any]:
    """What ada finds of bea."""
    if launcher.own_uid not in _seen:
        _seen[launcher.own_uid] = await spy(launcher, client, outside)
    return _seen[launcher.own_uid]


async def spy(launcher: LauncherProcess, client: LauncherClient, outside: Path) -> dict[str, Any]:
    await client.hello()
    state, runtime = launcher.folder / "s", launcher.folder / "r"
    database = state / "hub.sqlite"
    database.write_text("secret")
    if launcher.own_uid and os.getuid() == 0:
        os.chown(database, NOBODY, NOBODY)
    bea = await launched(client, shell(VICTIM.format(python=sys.executable), user="bea", generation=900))
    name = "bea" if launcher.own_uid else f"{USER_PREFIX}bea"
    home = state / "users" / "bea" if launcher.own_uid else Path("/home") / name

    async def is_ready() -> bool:
        return (home / "ready").exists()

    await eventually(is_ready)
    own_runtime = runtime / "users" / short_name(name)
    assert (own_runtime / "kernel-ipc-1").exists()
    words = [home, own_runtime, Path(bea.socket).parent, state, launcher.socket, outside]
    argv = (sys.executable, "-c", SPY, str(main_process(bea)), *(str(word) for word in words))
    report = await exit_of(client, await launched(client, launch_request("ada", 900, argv=argv)))
    await end(client, bea, grace=0)
    assert report.status == 0, report.log_tail
    return dict(json.loads(line) for line in report.log_tail)


REFUSED: Final = ("ENOENT", "EACCES", "EPERM", "ESRCH", "EROFS")


@pytest.mark.parametrize(
    "what",
    [
        "home",
        "notes",
        "runtime",
        "kernel socket",
        "server socket",
        "database",
        "launcher",
        "environment",
        "signal",
        "ptrace",
        "shared memory",
        "interpreter",
    ],
)
async def test_another_persons_things_are_out_of_reach(seen: dict[str, Any], what: str) -> None:
    assert seen[what] in REFUSED


async def test_of_the_state_nothing_is_left_but_the_way_to_ones_own_home(
    launcher: LauncherProcess, seen: dict[str, Any]
) -> None:
    assert seen["state"] == (["users"] if launcher.own_uid else [])


async def test_other_homes_are_not_even_there(seen: dict[str, Any]) -> None:
    assert [name for name in seen["homes"] if "bea" in name] == []
    assert len(seen["homes"]) == 1


async def test_the_processes_of_others_are_not_to_be_seen(launcher: LauncherProcess, seen: dict[str, Any]) -> None:
    assert len(seen["uids of processes"]) == 1
    assert seen["uids of processes"] != [0]
    if launcher.own_uid:
        # The init of its own, and itself.
        assert len(seen["processes"]) == 2


async def test_directories_that_everybody_writes_to_are_private(seen: dict[str, Any]) -> None:
    assert seen["own tmp"] == "done"
    assert "of-bea" not in [*seen["tmp"], *seen["var tmp"], *seen["shm"]]


async def test_a_home_can_be_written_and_with_one_uid_for_all_nothing_else(
    launcher: LauncherProcess, seen: dict[str, Any]
) -> None:
    assert seen["own home"] == "done"
    assert seen["outside"] == ("EROFS" if launcher.own_uid else "EACCES")


async def test_who_is_root_in_a_namespace_of_his_own_uncovers_nothing(seen: dict[str, Any]) -> None:
    assert seen["uncovered"] == []


async def test_a_server_has_no_capability_and_can_gain_none(launcher: LauncherProcess, seen: dict[str, Any]) -> None:
    status = seen["status"]

    assert [int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [0, 0, 0, 0]
    assert status["NoNewPrivs"] == "1"
    if launcher.own_uid:
        assert int(status["CapBnd"], 16) == 0


async def test_what_is_shared_by_choice_is_seen_by_all() -> None:
    shared = Path(tempfile.mkdtemp(prefix="pj-course-", dir="/home"))
    shared.chmod(0o755)
    (shared / "exercise.ipynb").write_text("{}")
    try:
        with launcher_process(
            own_uid=True, words=("--app", "tests.support.tiny_app", "--shared-path", str(shared))
        ) as one:
            async with one.client() as client:
                report = await exit_of(client, await launched(client, shell(f"ls {shared} /home")))
    finally:
        shutil.rmtree(shared)

    assert "exercise.ipynb" in report.log_tail
    assert shared.name in report.log_tail


async def test_a_private_tmp_is_still_there_when_the_server_starts_again(client: LauncherClient) -> None:
    """
    Where nothing that must be seen lies below it: a server that was stopped while idle has lost nothing.
    """
    await exit_of(client, await launched(client, shell("echo kept > /var/tmp/kept", user="cid", generation=1)))

    report = await exit_of(client, await launched(client, shell("cat /var/tmp/kept", user="cid", generation=2)))

    assert report.log_tail[-1] == "kept"


async def test_the_answer_to_hello_says_what_is_isolated(launcher: LauncherProcess, client: LauncherClient) -> None:
    hello = await client.hello()

    assert hello["isolation"]["mount_namespace"] is True
    assert hello["isolation"]["pid_namespace"] is launcher.own_uid


async def test_without_walls_it_is_said_that_nothing_keeps_people_apart() -> None:
    with launcher_process(own_uid=True, words=("--app", "tests.support.tiny_app", "--isolation", "off")) as one:

        async def listens() -> bool:
            return one.socket.exists()

        await eventually(listens)
        async with one.client() as client:
            hello = await client.hello()

    assert hello["isolation"]["mount_namespace"] is False
    assert any("nothing keeps people apart" in warning for warning in hello["warnings"])
