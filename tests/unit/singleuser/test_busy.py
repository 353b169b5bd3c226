from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from perijove.singleuser.busy import busy_with, has_foreground_job


@dataclass
class Shell:
    pid: int = 10
    fd: int = 3


@pytest.fixture
def in_front(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """Terminal's file → process group in front."""
    groups: dict[int, int] = {}

    def tcgetpgrp(fd: int) -> int:
        if fd not in groups:
            raise OSError
        return groups[fd]

    monkeypatch.setattr("os.tcgetpgrp", tcgetpgrp)
    return groups


@pytest.mark.parametrize(("group", "is_job"), [(10, False), (11, True), (0, False)])
def test_a_job_is_in_front_if_the_shell_is_not(in_front: dict[int, int], group: int, is_job: bool) -> None:  # noqa: FBT001
    in_front[3] = group

    assert has_foreground_job(Shell()) is is_job


@pytest.mark.usefixtures("in_front")
def test_a_terminal_that_is_gone_has_no_job() -> None:
    assert not has_foreground_job(Shell())


@pytest.mark.parametrize(
    ("states", "group", "what"),
    [
        ([], 10, None),
        (["idle", "starting"], 10, None),
        (["idle", "busy"], 10, "kernel"),
        (["idle"], 11, "terminal"),
        (["busy"], 11, "kernel"),
    ],
)
def test_kernels_that_compute_and_terminals_with_jobs_are_busy(
    in_front: dict[int, int], states: list[str], group: int, what: Any
) -> None:
    in_front[3] = group

    assert busy_with(kernels=[{"execution_state": state} for state in states], terminals=[Shell()]) == what
