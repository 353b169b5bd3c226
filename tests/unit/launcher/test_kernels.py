from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest

from perijove.kit.cgroups import Memory
from perijove.launcher.cgroups import ControlGroups
from perijove.launcher.kernels import Kernel, Kernels
from perijove.launcher.plan import KERNEL_OOM_SCORE, MAX_OOM_SCORE, ChildPlan, kernel_of
from perijove.launcher.reaper import UNKNOWN_CODE, Reaper
from perijove.launcher.templates import Template
from perijove.wire.kernels import KernelEnd

SERVER = ChildPlan(
    name="ada/",
    uid=1001,
    gid=1002,
    groups=(1002, 27),
    switch_user=True,
    home="/home/ada",
    directory="/srv",
    environment={"JUPYTERHUB_API_TOKEN": "secret"},
    app="server",
    argv=("/bin/sh",),
    args=("--debug",),
    listens=True,
    processes=50,
    open_files=100,
    cgroups=("/sys/fs/cgroup/memory/perijove/ada/cgroup.procs",),
    no_new_privs=False,
    descriptors=("output",),
)


def test_a_kernel_is_whatever_its_server_is_but_for_what_it_runs() -> None:
    kernel = kernel_of(SERVER.standing(), app="kernel", args=("-f", "k"), environment={"A": "1"}, directory="/data")

    assert replace(
        kernel, name="", app="", args=(), environment={}, directory="", listens=True, oom_score_adj=0
    ) == replace(SERVER, name="", app="", args=(), argv=(), environment={}, directory="", descriptors=())
    assert (kernel.app, kernel.args, kernel.argv, kernel.listens) == ("kernel", ("-f", "k"), (), False)


def test_a_kernel_is_killed_before_its_server_when_memory_runs_out() -> None:
    worst = replace(SERVER, oom_score_adj=MAX_OOM_SCORE)

    kernel = kernel_of(SERVER, app="k", args=(), environment={}, directory="")

    assert kernel.oom_score_adj == SERVER.oom_score_adj + KERNEL_OOM_SCORE
    assert kernel_of(worst, app="k", args=(), environment={}, directory="").oom_score_adj == MAX_OOM_SCORE


def test_what_is_kept_of_a_server_for_its_kernels_is_no_secret() -> None:
    assert "secret" not in SERVER.standing().to_bytes().decode()


class Groups(ControlGroups):
    """One group, in which processes may have been killed for memory."""

    def __init__(self, *, kills: int) -> None:
        super().__init__({})
        self.kills = kills

    def memory(self, name: str) -> Memory | None:  # noqa: ARG002  # there is one
        return Memory(used=2**20, limit=512 * 2**20, peak=512 * 2**20, kills=self.kills)


async def end_of(
    code: int, *, kills: int = 0, kills_before: int = 0, note: Callable[[str, int], None] = lambda _key, _kills: None
) -> KernelEnd:
    ended = asyncio.get_running_loop().create_future()
    ended.set_result(code)
    kernel = Kernel(pid=1, pidfd=-1, plan=SERVER, ended=ended, server="ada/", group="ada", kills_before=kills_before)
    kernels = Kernels(
        running=list,
        template=cast("Template", None),
        reaper=Reaper(),
        groups=Groups(kills=kills),
        note_kills=note,
    )
    return await kernels.end_of(kernel)


@pytest.mark.parametrize(
    ("code", "reason", "status", "says"),
    [
        (0, "exit", 0, "0"),
        (3, "exit", 3, "3"),
        (-9, "signal", 9, "SIGKILL"),
        (UNKNOWN_CODE, "unknown", -1, "no launcher watched"),
    ],
)
async def test_an_end_is_told_in_words(code: int, reason: str, status: int, says: str) -> None:
    end = await end_of(code)

    assert (end.reason, end.status) == (reason, status)
    assert says in end.message


async def test_a_kernel_that_was_killed_for_memory_says_of_how_much() -> None:
    end = await end_of(-9, kills=1)

    assert end.reason == "oom"
    assert "kernel was killed because it ran out of memory" in end.message
    assert "512" in end.message


async def test_a_kill_that_was_a_kernels_is_not_its_servers() -> None:
    noted: dict[str, int] = {}

    await end_of(-9, kills=2, kills_before=1, note=noted.__setitem__)
    await end_of(-15, kills=5, note=noted.__setitem__)

    assert noted == {"ada/": 2}


async def test_who_was_killed_for_memory_before_it_began_was_another() -> None:
    assert (await end_of(-9, kills=1, kills_before=1)).reason == "signal"


async def test_an_exit_of_its_own_is_no_kill() -> None:
    assert (await end_of(1, kills=1)).reason == "exit"
