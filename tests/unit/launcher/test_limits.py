from __future__ import annotations

from dataclasses import fields

import pytest

from perijove.launcher.cgroup_settings import Together
from perijove.launcher.errors import LaunchFailed, Unenforceable
from perijove.launcher.limits import Machine, check, default_reserve, enforceable, refused, together
from perijove.wire.launcher import Limits

GB = 2**30
ALL = frozenset({"memory", "cpu", "pids"})


def machine(*, as_root: bool = True, controllers: frozenset[str] = ALL, memory: int = 8 * GB) -> Machine:
    return Machine(
        as_root=as_root, controllers=controllers, memory=memory, cores=4, processes=100_000, open_files=20_000
    )


def checked(limits: Limits, on: Machine | None = None, *, promised: Limits | None = None) -> None:
    on = on or machine()
    for_all = together(on, reserve=None, processes=None)
    check(limits, on, for_all=for_all, promised=promised or Limits())


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(memory=1), "a memory limit was asked for, but there are no control groups"),
        (Limits(cpu=0.5), "a CPU limit was asked for"),
        (Limits(memory_guarantee=1), "guaranteed memory was asked for"),
        (Limits(cpu_guarantee=1), "guaranteed CPU was asked for"),
        (Limits(open_files=2**40), "the machine allows 20000"),
    ],
)
def test_what_cannot_be_held_is_refused_with_a_sentence(limits: Limits, why: str) -> None:
    with pytest.raises(Unenforceable, match=why):
        checked(limits, machine(controllers=frozenset()))


def test_what_can_be_held_is_accepted() -> None:
    everything = Limits(memory=GB, cpu=0.5, processes=10, open_files=10, memory_guarantee=GB, cpu_guarantee=0.25)

    checked(everything)

    assert enforceable(machine()) == tuple(field.name for field in fields(Limits))


def test_one_missing_controller_refuses_what_it_would_hold_and_nothing_else() -> None:
    here = machine(controllers=frozenset({"cpu", "pids"}))
    checked(Limits(cpu=1, processes=5), here)

    with pytest.raises(Unenforceable, match="have no memory controller"):
        checked(Limits(memory=GB), here)

    assert set(refused(here)) == {"memory", "memory_guarantee"}


def test_processes_can_be_limited_where_people_have_uids_or_groups() -> None:
    checked(Limits(processes=10), machine(controllers=frozenset()))
    checked(Limits(processes=10), machine(as_root=False))

    with pytest.raises(Unenforceable, match="Delegate=yes"):
        checked(Limits(processes=10), machine(as_root=False, controllers=frozenset()))


def test_no_limit_is_always_accepted() -> None:
    nowhere = machine(as_root=False, controllers=frozenset())

    checked(Limits(), nowhere)

    assert enforceable(nowhere) == ("open_files",)


@pytest.mark.parametrize(
    "limits", [Limits(memory=0), Limits(cpu=0.0), Limits(processes=0), Limits(open_files=0), Limits(cpu=-1.0)]
)
def test_a_limit_that_leaves_nothing_is_refused(limits: Limits) -> None:
    with pytest.raises(Unenforceable, match="leaves nothing"):
        checked(limits)


def test_memory_that_was_promised_to_others_is_not_promised_again() -> None:
    promised = Limits(memory_guarantee=5 * GB)
    checked(Limits(memory_guarantee=2 * GB), promised=promised)

    with pytest.raises(Unenforceable, match=r"3 GB of memory cannot be guaranteed: of 7.2 GB .* 5 GB are promised"):
        checked(Limits(memory_guarantee=3 * GB), promised=promised)


def test_cores_that_were_promised_to_others_are_not_promised_again() -> None:
    checked(Limits(cpu_guarantee=1), promised=Limits(cpu_guarantee=3))

    with pytest.raises(Unenforceable, match=r"1.5 cores cannot be guaranteed: of 4, 3 are promised"):
        checked(Limits(cpu_guarantee=1.5), promised=Limits(cpu_guarantee=3))


@pytest.mark.parametrize("limits", [Limits(memory=GB, memory_guarantee=2 * GB), Limits(cpu=1, cpu_guarantee=2)])
def test_a_guarantee_above_the_limit_is_refused(limits: Limits) -> None:
    with pytest.raises(Unenforceable, match=r"more .* is guaranteed than the limit allows"):
        checked(limits)


@pytest.mark.parametrize(
    ("memory", "reserve"),
    [(512 * 2**20, 256 * 2**20), (2 * GB, 384 * 2**20), (8 * GB, 8 * GB // 10), (64 * GB, 2 * GB)],
)
def test_the_reserve_suits_small_machines_and_large_ones(memory: int, reserve: int) -> None:
    assert default_reserve(memory) == reserve


def test_all_servers_together_leave_the_reserve_and_a_quarter_of_the_processes() -> None:
    assert together(machine(), reserve=GB, processes=None) == Together(memory=7 * GB, processes=32_768)
    assert together(machine(), reserve=None, processes=7) == Together(memory=8 * GB - 8 * GB // 10, processes=7)


def test_without_control_groups_nothing_is_said_to_be_held() -> None:
    assert together(machine(controllers=frozenset()), reserve=None, processes=None) == Together()


@pytest.mark.parametrize(("reserve", "processes"), [(GB, None), (None, 100)])
def test_a_reserve_that_was_configured_and_cannot_be_held_stops_the_launcher(
    reserve: int | None, processes: int | None
) -> None:
    with pytest.raises(LaunchFailed, match=r"c\.Launcher\.\w+ is set, but"):
        together(machine(controllers=frozenset()), reserve=reserve, processes=processes)


def test_a_reserve_that_leaves_nothing_stops_the_launcher() -> None:
    with pytest.raises(LaunchFailed, match="leaves nothing: this machine has 8 GB"):
        together(machine(), reserve=8 * GB, processes=None)
