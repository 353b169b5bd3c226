from __future__ import annotations

import pytest

from perijove.launcher.cgroup_settings import Together, for_all, for_server, weight
from perijove.wire.launcher import Limits

LIMITS = Limits(memory=1000, cpu=1.5, processes=7, memory_guarantee=100, cpu_guarantee=2)


@pytest.mark.parametrize(
    ("version", "controller", "expected"),
    [
        (
            1,
            "memory",
            [
                ("memory.limit_in_bytes", "1000", False),
                ("memory.memsw.limit_in_bytes", "1000", True),
                ("memory.soft_limit_in_bytes", "100", False),
            ],
        ),
        (2, "memory", [("memory.max", "1000", False), ("memory.swap.max", "0", True), ("memory.low", "100", False)]),
        (
            1,
            "cpu",
            [
                ("cpu.cfs_period_us", "100000", False),
                ("cpu.cfs_quota_us", "150000", False),
                ("cpu.shares", "2048", False),
            ],
        ),
        (2, "cpu", [("cpu.max", "150000 100000", False), ("cpu.weight", "200", False)]),
        (1, "pids", [("pids.max", "7", False)]),
        (2, "pids", [("pids.max", "7", False)]),
        (1, "freezer", []),
    ],
)
def test_each_limit_is_written_as_the_kernel_reads_it(
    version: int, controller: str, expected: list[tuple[str, str, bool]]
) -> None:
    assert list(for_server(controller, version, LIMITS)) == expected


@pytest.mark.parametrize("version", [1, 2])
def test_without_limits_only_the_weight_is_written(version: int) -> None:
    files = [file for name in ("memory", "cpu", "pids") for file, _, _ in for_server(name, version, Limits())]

    assert files == [{1: "cpu.shares", 2: "cpu.weight"}[version]]


def test_the_smallest_quota_is_the_kernels() -> None:
    assert ("cpu.max", "1000 100000", False) in for_server("cpu", 2, Limits(cpu=0.0001))


@pytest.mark.parametrize(("version", "least", "most"), [(1, 2, 262_144), (2, 1, 10_000)])
def test_weights_stay_within_what_the_kernel_takes(version: int, least: int, most: int) -> None:
    assert weight(version, Limits(cpu_guarantee=0.0001)) == least
    assert weight(version, Limits(cpu_guarantee=9999)) == most


@pytest.mark.parametrize(("version", "usual"), [(1, 1024), (2, 100)])
def test_all_servers_together_weigh_less_than_hub_and_proxy(version: int, usual: int) -> None:
    ((_, text, _),) = for_all("cpu", version, Together())

    assert int(text) < usual


@pytest.mark.parametrize(
    ("version", "files"),
    [
        (1, ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "cpu.shares", "pids.max"]),
        (2, ["memory.max", "memory.swap.max", "cpu.weight", "pids.max"]),
    ],
)
def test_all_servers_together_are_held_to_memory_and_processes(version: int, files: list[str]) -> None:
    together = Together(memory=5, processes=6)

    assert [file for name in ("memory", "cpu", "pids") for file, _, _ in for_all(name, version, together)] == files
    assert not for_all("memory", version, Together())
    assert not for_all("pids", version, Together())
    assert not for_all("freezer", version, together)
