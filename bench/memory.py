"""
What each process of perijove holds in memory: at start, and with idle servers.

    PYTHONPATH=src python bench/memory.py [--servers 5] [--settle 15] [--write bench/results/memory.md]

PSS shares a page among the processes that have it; USS counts only what a process has alone, which is what one
more of its kind costs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import psutil

from deployments import Running, perijove
from report import machine, publish, table
from whole_path import make_user, server_pid, start_and_answer

#: seconds a part may take to have run for its own work after a start, and a server to become idle
SETTLE = 15.0
IDLE = 5.0
#: MB of PSS, where issue and design name a bar
TO_REACH = {"proxy": "≤ 25", "server": "USS ≤ 30"}
PARTS = ("hub", "proxy", "launcher")

Row = tuple[str, float, float, float]


def memory_of(process: psutil.Process) -> tuple[float, float, float]:
    """RSS, PSS and USS in MB."""
    found = process.memory_full_info()
    return found.rss / 1e6, found.pss / 1e6, found.uss / 1e6


def part_of(process: psutil.Process) -> str:
    """What *process* is in the deployment; empty: something that will end by itself."""
    words = process.cmdline()
    if "perijove.launcher.template" in words:
        return "template"
    return next((part for part in PARTS if part in words[:6]), "")


def parts(running: Running) -> list[Row]:
    """One row for the supervisor and each part."""
    top = psutil.Process(running.pid)
    found = [(part_of(process), process) for process in top.children(recursive=True)]
    return [("supervisor", *memory_of(top)), *((part, *memory_of(process)) for part, process in found if part)]


def servers(running: Running, count: int) -> Row:
    """The median of *count* idle servers."""
    names = [f"idle{number}" for number in range(count)]
    for name in names:
        make_user(running, name)
        start_and_answer(running, name)
    time.sleep(IDLE)
    found = [memory_of(psutil.Process(server_pid(running, name))) for name in names]
    rss, pss, uss = (statistics.median(column) for column in zip(*found, strict=True))
    return (f"server (median of {count})", rss, pss, uss)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=5)
    parser.add_argument("--settle", type=float, default=SETTLE, help="seconds between the start and the first look")
    parser.add_argument("--write", type=Path, help="file for the table")
    arguments = parser.parse_args()
    with perijove() as running:
        time.sleep(arguments.settle)
        rows = parts(running)
        total = ("all of them", *(sum(row[column] for row in rows) for column in (1, 2, 3)))
        rows += [total, servers(running, arguments.servers)]
    cells = [
        [name, f"{rss:.0f}", f"{pss:.1f}", f"{uss:.1f}", TO_REACH.get(name.split()[0], "")]
        for name, rss, pss, uss in rows
    ]
    text = table(["process", "RSS, MB", "PSS, MB", "USS, MB", "to reach"], cells)
    publish(f"{text}\n\nperijove {running.version}. {machine()}.\n", arguments.write)


if __name__ == "__main__":
    main()
