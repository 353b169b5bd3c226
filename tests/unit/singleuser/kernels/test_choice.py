from __future__ import annotations

from typing import Any

import pytest

from perijove.singleuser.kernels.choice import Choice, Fork, Ordinary, choose

PYTHON = "/opt/env/bin/python"
COMMAND = [PYTHON, "-m", "ipykernel_launcher", "-f", "/run/k.json"]


def chosen(command: list[str] | None = None, environment: dict[str, str] | None = None, **ways: Any) -> Choice:
    return choose(command or COMMAND, environment=environment or {"HOME": "/home/ada"}, ways=ways, interpreter=PYTHON)


def test_this_environments_own_kernel_is_forked() -> None:
    assert chosen(cwd="/data", env={}, kernel_id="1", stdout=None) == Fork(arguments=("-f", "/run/k.json"))


@pytest.mark.parametrize(
    "command",
    [
        ["/usr/bin/R", "--slave", "-f", "/run/k.json"],
        ["/other/env/bin/python", "-m", "ipykernel_launcher", "-f", "/run/k.json"],
        [PYTHON, "-X", "dev", "-m", "ipykernel_launcher", "-f", "/run/k.json"],
        [PYTHON, "-m", "xeus", "-f", "/run/k.json"],
        [PYTHON, "-m", "ipykernel_launcher", "-f", "/run/k.json", "--IPKernelApp.extensions=x"],
        [PYTHON],
    ],
)
def test_every_other_command_has_an_interpreter_of_its_own(command: list[str]) -> None:
    assert isinstance(chosen(command), Ordinary)


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONHASHSEED", "LD_PRELOAD", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE"])
def test_what_counts_when_an_interpreter_begins_needs_one_that_begins(name: str) -> None:
    choice = chosen(environment={name: "1"})

    assert isinstance(choice, Ordinary)
    assert name in choice.because


@pytest.mark.parametrize(("value", "kind"), [("4", Fork), ("4,2", Ordinary)])
def test_a_number_of_threads_can_be_set_later(value: str, kind: type) -> None:
    assert isinstance(chosen(environment={"OMP_NUM_THREADS": value}), kind)


@pytest.mark.parametrize("ways", [{"stdout": 5}, {"preexec_fn": print}, {"independent": True}])
def test_a_way_of_starting_it_that_a_fork_does_not_have_is_respected(ways: dict[str, Any]) -> None:
    assert isinstance(chosen(**ways), Ordinary)
