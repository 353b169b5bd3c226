"""
How long a server takes from the request to its first answer, and what it costs in memory.

    PYTHONPATH=src:. python bench/launcher.py [--runs 5]

Starts a launcher of its own (as root: with system users of its own, removed afterwards), prints medians.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time

import psutil

from perijove.spawners.launcher_client import LauncherClient
from perijove.wire.launcher import Launched
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


async def measure(client: LauncherClient, runs: int) -> None:
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
    print(f"request to first 200, one server     {statistics.median(alone):7.3f} s")
    print(f"first page of JupyterLab after that  {statistics.median(page):7.3f} s")
    print(f"{TOGETHER} at once until all have answered   {statistics.median(together):7.3f} s")
    print(f"unique memory of an idle server      {statistics.median(memory):7.1f} MB")


async def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--runs", type=int, default=5)
    arguments = words.parse_args()
    with launcher_process(own_uid=os.getuid() != 0) as launcher:
        async with launcher.client() as client:
            await measure(client, arguments.runs)
    if os.getuid() == 0:
        remove_test_users()


if __name__ == "__main__":
    asyncio.run(main())
