"""
Which limits and guarantees this machine can hold, how much there is for all servers, and how a child takes limits on.

What cannot be held is refused with a sentence, never ignored. A guarantee is a promise: it is refused once everything
has been promised to others. Pure, but for `measure` and `apply`, which ask and tell the kernel.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from perijove.kit.sizes import amount
from perijove.launcher.cgroup_settings import Together
from perijove.launcher.errors import LaunchFailed, Unenforceable
from perijove.wire.launcher import Limits

#: Limit → the controller that holds it.
_CONTROLLERS: Final = {
    "memory": "memory",
    "memory_guarantee": "memory",
    "cpu": "cpu",
    "cpu_guarantee": "cpu",
    "processes": "pids",
}
_WORDS: Final = {
    "memory": "a memory limit",
    "memory_guarantee": "guaranteed memory",
    "cpu": "a CPU limit",
    "cpu_guarantee": "guaranteed CPU",
    "processes": "a limit on processes",
}
#: Memory left to hub, proxy and system unless told otherwise: a tenth, within these bounds, never more than half.
LEAST_RESERVE: Final = 384 * 1024**2
MOST_RESERVE: Final = 2 * 1024**3
#: Most processes and threads of all servers together unless told otherwise; the kernel may allow fewer.
MOST_PROCESSES: Final = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is to be shared out, and what it can be held to."""

    as_root: bool
    #: of control groups that can be used
    controllers: frozenset[str]
    #: bytes of memory, as far as this launcher may use them
    memory: int
    cores: int
    #: processes and threads that the kernel allows
    processes: int
    #: open files that a process may have at most; None: no limit
    open_files: int | None


def measure(*, as_root: bool, controllers: frozenset[str], memory_above: int | None) -> Machine:
    """
    Look at this machine.

    Args:
        as_root: whether each user has a uid.
        controllers: that can be used.
        memory_above: limit of the group that ours is in: a container's, for instance.
    """
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    allowed = (_read(f"/proc/sys/kernel/{name}") for name in ("pid_max", "threads-max"))
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(
        as_root=as_root,
        controllers=controllers,
        memory=pages if memory_above is None else min(pages, memory_above),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        processes=min((most for most in allowed if most), default=MOST_PROCESSES),
        open_files=None if files == resource.RLIM_INFINITY else files,
    )


def _read(path: str) -> int:
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def default_reserve(memory: int) -> int:
    """Bytes left to hub, proxy and system on a machine with *memory*."""
    return min(max(memory // 10, LEAST_RESERVE), MOST_RESERVE, memory // 2)


def together(machine: Machine, *, reserve: int | None, processes: int | None) -> Together:
    """
    What all servers may use together.

    Args:
        machine: what there is.
        reserve: bytes left to hub, proxy and system; None: the default.
        processes: most processes and threads; None: the default, which leaves a quarter.

    Raises:
        LaunchFailed: that cannot be held here, or leaves nothing.
    """
    for name, wanted, controller in (
        ("reserve_memory", reserve, "memory"),
        ("processes_limit", processes, "pids"),
    ):
        if wanted is not None and controller not in machine.controllers:
            raise LaunchFailed(f"c.Launcher.{name} is set, but {_no_controller(controller, machine)}")
    left = machine.memory - (default_reserve(machine.memory) if reserve is None else reserve)
    if left <= 0:
        raise LaunchFailed(
            f"c.Launcher.reserve_memory leaves nothing: this machine has {amount(machine.memory)} of memory"
        )
    most = min(MOST_PROCESSES, machine.processes * 3 // 4) if processes is None else processes
    return Together(
        memory=left if "memory" in machine.controllers else None,
        processes=most if "pids" in machine.controllers else None,
    )


def refused(machine: Machine) -> Mapping[str, str]:
    """Names of the limits that cannot be held here, each with why."""
    answer = {}
    for name, controller in _CONTROLLERS.items():
        if controller in machine.controllers or (name == "processes" and machine.as_root):
            continue
        why = _no_controller(controller, machine)
        answer[name] = f"{_WORDS[name]} was asked for, but {why}"
    return answer


def enforceable(machine: Machine) -> tuple[str, ...]:
    """Names of the limits that can be held here."""
    cannot = refused(machine)
    return tuple(field.name for field in fields(Limits) if field.name not in cannot)


def check(limits: Limits, machine: Machine, *, for_all: Together, promised: Limits) -> None:
    """
    Accept *limits* or say which one cannot be held.

    Args:
        limits: of a server that is to be launched.
        machine: what there is.
        for_all: what all servers may use together.
        promised: guarantees of those that run.

    Raises:
        Unenforceable: with a sentence for the administrator.
    """
    for why in (*_impossible(limits, machine), *_broken_promises(limits, machine, for_all, promised)):
        raise Unenforceable(why)


def _impossible(limits: Limits, machine: Machine) -> Iterator[str]:
    cannot = refused(machine)
    yield from (why for name, why in cannot.items() if getattr(limits, name) is not None)
    if limits.open_files is not None and machine.open_files is not None and limits.open_files > machine.open_files:
        yield f"{limits.open_files} open files were asked for; the machine allows {machine.open_files}"
    for name in ("memory", "cpu", "processes", "open_files"):
        value = getattr(limits, name)
        if value is not None and value <= 0:
            yield f"a limit of {value} for {name.replace('_', ' ')} leaves nothing to start with"


def _broken_promises(limits: Limits, machine: Machine, for_all: Together, promised: Limits) -> Iterator[str]:
    memory, cores = limits.memory_guarantee, limits.cpu_guarantee
    if memory and for_all.memory is not None and memory + (promised.memory_guarantee or 0) > for_all.memory:
        yield (
            f"{amount(memory)} of memory cannot be guaranteed: of {amount(for_all.memory)} for all servers, "
            f"{amount(promised.memory_guarantee or 0)} are promised to others"
        )
    if cores and cores + (promised.cpu_guarantee or 0) > machine.cores:
        yield (
            f"{cores:g} cores cannot be guaranteed: of {machine.cores}, "
            f"{promised.cpu_guarantee or 0:g} are promised to others"
        )
    for least, most, what in ((memory, limits.memory, "memory"), (cores, limits.cpu, "CPU")):
        if least is not None and most is not None and least > most:
            yield f"more {what} is guaranteed than the limit allows"


def _no_controller(controller: str, machine: Machine) -> str:
    if machine.controllers:
        return f"this machine's control groups have no {controller} controller for this launcher"
    if machine.as_root:
        return "there are no control groups that this launcher may write"
    return "this launcher is not root, and no control group has been handed over to it (systemd: Delegate=yes)"


def apply(*, processes: int | None, open_files: int | None) -> None:
    """Take the limits on that are not a control group's, in the child, while it still may."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if open_files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    if processes is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
