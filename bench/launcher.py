"""
How long a server takes from the request to its first answer, and what it costs in memory.

    PYTHONPATH=src:. python bench/launcher.py [--runs 5] [--write bench/results/launcher.md]

Starts a launcher of its own (as root: with system users of its own, removed afterwards), prints medians.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from pathlib import Path

import psutil

from perijove.spawners.launcher_client import LauncherClient
from perijove.wire.launcher import Launched
from report import machine, publish, table
from tests.support.launcher import browser, end, identity, launch_request, launched, launcher_process, remove_test_users

TOGETHER = 10


async def first_answer(client: LauncherClient, name: str, generation: int) -> tuple[float, Launched]:
    """Seconds from the request to the first 200 from the server's API, nothing polled."""
    began = time.perf_counter()
    server = await launched(client, launch_request(generation=generation, server_name=name))
    async with browser(server) as hub:
        answer = await hub.get(f"/user/ada/{name}/api")
    assert answer.status_code == 200
    return time.perf_counter() - began, server


async def measure(client: LauncherClient, runs: int) -> str:
    await end(client, (await first_answer(client, "warm", 1))[1])
    alone, memory, page = [], [], []
    for run in range(1, runs + 1):
        seconds, server = await first_answer(client, "alone", run)
        alone.append(seconds)
        began = time.perf_counter()
        async with browser(server, identity(audience="ada/alone")) as visitor:
            answer = await visitor.get("/user/ada/alone/lab")
        assert answer.status_code == 200
        page.append(time.perf_counter() - began)
        await asyncio.sleep(2)
        memory.append(psutil.Process(server.pid).memory_full_info().uss / 2**20)
        await end(client, server)
    together = []
    for run in range(1, runs + 1):
        began = time.perf_counter()
        answers = await asyncio.gather(*(first_answer(client, f"t{n}", run) for n in range(TOGETHER)))
        together.append(time.perf_counter() - began)
        await asyncio.gather(*(end(client, server) for _, server in answers))
    rows = [
        ["request to first 200, one server", f"{statistics.median(alone):.3f} s"],
        ["first page of JupyterLab after that", f"{statistics.median(page):.3f} s"],
        [f"{TOGETHER} at once until all have answered", f"{statistics.median(together):.3f} s"],
        ["unique memory of an idle server", f"{statistics.median(memory):.1f} MB"],
    ]
    return f"{table(['the launcher alone', 'median'], rows)}\n\n{runs} runs. {machine()}.\n"


async def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--runs", type=int, default=5)
    words.add_argument("--write", type=Path, help="file for the table")
    arguments = words.parse_args()
    with launcher_process(own_uid=os.getuid() != 0) as launcher:
        async with launcher.client() as client:
            text = await measure(client, arguments.runs)
    if os.getuid() == 0:
        remove_test_users()
    publish(text, arguments.write)


if __name__ == "__main__":
    asyncio.run(main())
