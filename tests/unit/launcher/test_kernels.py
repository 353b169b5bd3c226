from __future__ import annotations

from dataclasses import replace

import pytest

from perijove.launcher.kernels import Kernel, end_of_kernel
from perijove.launcher.plan import KERNEL_OOM_SCORE, MAX_OOM_SCORE, ChildPlan, kernel_of
from perijove.launcher.reaper import UNKNOWN_CODE

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


@pytest.mark.parametrize(
    ("code", "reason", "status", "says"),
    [(0, "exit", 0, "0"), (3, "exit", 3, "3"), (-9, "signal", 9, "SIGKILL"), (UNKNOWN_CODE, "unknown", -1, "nobody")],
)
def test_an_end_is_told_in_words(code: int, reason: str, status: int, says: str) -> None:
    end = end_of_kernel(Kernel(pid=1, pidfd=-1, plan=SERVER, ended=None), code)  # type: ignore[arg-type]  # not asked

    assert (end.reason, end.status) == (reason, status)
    assert says in end.message
