"""
What is written into a control group to hold limits and guarantees: for version 1 and version 2. Pure.

Law: a limit is the most, a guarantee only decides who goes first when there is not enough; that there is enough is
seen to before (`limits.py`). No `memory.high`: without swap it makes a program crawl instead of saying anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from perijove.wire.launcher import Limits

#: Microseconds over which processor time is counted.
PERIOD: Final = 100_000
#: Fewest microseconds of a period that a group may be held to (kernel: 1 ms).
LEAST_QUOTA: Final = 1_000
#: Weight of a guaranteed core, against other servers; a server without a guarantee has that of a tenth.
SHARES_OF_A_CORE: Final = {1: 1024, 2: 100}
#: Weight of all servers together, against whatever else runs here, hub and proxy first: half of the usual.
SHARES_OF_ALL: Final = {1: 512, 2: 50}
#: Lowest and highest weight that the kernel takes.
_WEIGHTS: Final = {1: (2, 262_144), 2: (1, 10_000)}
_WEIGHT_FILE: Final = {1: "cpu.shares", 2: "cpu.weight"}
_GUARANTEE_FILE: Final = {1: "memory.soft_limit_in_bytes", 2: "memory.low"}

#: file and text, in the order of writing; optional ones are where the kernel has them
Write: TypeAlias = tuple[str, str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What all servers may use together; None is as much as there is."""

    memory: int | None = None
    processes: int | None = None


def for_server(controller: str, version: int, limits: Limits) -> tuple[Write, ...]:
    """What holds *limits* in the group of one server."""
    match controller:
        case "memory":
            return (*_memory(version, limits.memory), *_guaranteed(version, limits.memory_guarantee))
        case "cpu":
            return (*_quota(version, limits.cpu), (_WEIGHT_FILE[version], str(weight(version, limits)), False))
        case "pids":
            return _processes(limits.processes)
    return ()


def for_all(controller: str, version: int, together: Together) -> tuple[Write, ...]:
    """What holds all servers in the group above them."""
    match controller:
        case "memory":
            return _memory(version, together.memory)
        case "cpu":
            return ((_WEIGHT_FILE[version], str(SHARES_OF_ALL[version]), False),)
        case "pids":
            return _processes(together.processes)
    return ()


def weight(version: int, limits: Limits) -> int:
    """Weight of a server against other servers."""
    least, most = _WEIGHTS[version]
    cores = 0.1 if limits.cpu_guarantee is None else limits.cpu_guarantee
    return min(max(round(cores * SHARES_OF_A_CORE[version]), least), most)


def _memory(version: int, most: int | None) -> tuple[Write, ...]:
    if most is None:
        return ()
    if version == 1:
        # In this order: memory and swap together may never be less than memory. Swap would only put off the end.
        return ("memory.limit_in_bytes", str(most), False), ("memory.memsw.limit_in_bytes", str(most), True)
    return ("memory.max", str(most), False), ("memory.swap.max", "0", True)


def _guaranteed(version: int, least: int | None) -> tuple[Write, ...]:
    return () if least is None else ((_GUARANTEE_FILE[version], str(least), False),)


def _quota(version: int, cores: float | None) -> tuple[Write, ...]:
    if cores is None:
        return ()
    quota = max(round(cores * PERIOD), LEAST_QUOTA)
    if version == 1:
        return ("cpu.cfs_period_us", str(PERIOD), False), ("cpu.cfs_quota_us", str(quota), False)
    return (("cpu.max", f"{quota} {PERIOD}", False),)


def _processes(most: int | None) -> tuple[Write, ...]:
    return () if most is None else (("pids.max", str(most), False),)
