"""
How many people with one idle notebook each fit into 16 GB: perijove beside JupyterHub.

    bench/prepare FOLDER && PYTHONPATH=src:bench python bench/classroom.py [FOLDER] [--people 30] [--write FILE]

Each has a server and a kernel in which numpy and pandas have been imported. What all processes of a deployment hold
(PSS: a shared page counts once) is measured with and without them, and the difference counted up to 16 GB. With
`--people 150` they really run, if the machine has the memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import uuid
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil

from deployments import Running, jupyterhub, perijove
from report import machine, publish, table

#: seconds until everybody must be in, and that a notebook is left alone before it counts as idle
PATIENCE: Final = 600.0
IDLE: Final = 15.0
#: at once, so that a small machine is not all waiting
TOGETHER: Final = 5
MACHINE_MB: Final = 16 * 1024
CELL: Final = "import numpy, pandas"
PRELOAD: Final = 'c.Launcher.preload = ["numpy", "pandas"]\n'


def held(running: Running) -> float:
    """MB of all processes of a deployment."""
    top = psutil.Process(running.pid)
    found = 0.0
    for process in (top, *top.children(recursive=True)):
        try:
            found += process.memory_full_info().pss / 2**20
        except psutil.NoSuchProcess:
            continue
    return found


async def sit_down(client: aiohttp.ClientSession, name: str, turns: asyncio.Semaphore) -> float:
    """Start *name*'s server, and a notebook that imports; seconds from its kernel's start until it has."""
    async with turns:
        async with client.post(f"/hub/api/users/{name}") as answer:
            assert answer.status == 201, await answer.text()
        async with client.post(f"/hub/api/users/{name}/server") as answer:
            assert answer.status in {201, 202}, await answer.text()
        await answers(client, f"/user/{name}/api/status")
        began = time.monotonic()
        notebook = {"name": "x.ipynb", "path": "x.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
        async with client.post(f"/user/{name}/api/sessions", json=notebook) as answer:
            assert answer.status == 201, await answer.text()
            kernel = (await answer.json())["kernel"]["id"]
        await run_cell(client, f"/user/{name}/api/kernels/{kernel}/channels")
        return time.monotonic() - began


async def answers(client: aiohttp.ClientSession, path: str) -> None:
    """Wait until there is a 200."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        async with client.get(path, allow_redirects=False) as answer:
            if answer.status == 200:
                return
        await asyncio.sleep(0.2)
    raise TimeoutError(path)


async def run_cell(client: aiohttp.ClientSession, path: str) -> None:
    """Run the cell and wait for its reply."""
    message: dict[str, Any] = {
        "header": {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "session": "x",
            "username": "",
            "version": "5.3",
        },
        "parent_header": {},
        "metadata": {},
        "content": {"code": CELL, "silent": False},
        "channel": "shell",
    }
    async with client.ws_connect(path) as channel:
        await channel.send_str(json.dumps(message))
        async with asyncio.timeout(PATIENCE):
            async for received in channel:
                told = json.loads(received.data)
                if (
                    told["msg_type"] == "execute_reply"
                    and told["parent_header"]["msg_id"] == message["header"]["msg_id"]
                ):
                    assert told["content"]["status"] == "ok", told["content"]
                    return


async def everybody(running: Running, people: int) -> float:
    """The median of `sit_down`."""
    turns = asyncio.Semaphore(TOGETHER)
    headers = {"Authorization": f"token {running.token}"}
    async with aiohttp.ClientSession(
        running.origin, headers=headers, timeout=aiohttp.ClientTimeout(total=PATIENCE), max_line_size=65536
    ) as client:
        took = await asyncio.gather(*(sit_down(client, f"pupil{number:03d}", turns) for number in range(people)))
    return sorted(took)[len(took) // 2]


def measure(deployment: AbstractContextManager[Running], people: int) -> tuple[float, float, float]:
    """MB without anybody, MB for each person, seconds until the cell has run."""
    with deployment as running:
        time.sleep(IDLE)
        alone = held(running)
        seconds = asyncio.run(everybody(running, people))
        time.sleep(IDLE)
        return alone, (held(running) - alone) / people, seconds


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("peers", type=Path, nargs="?", help="what bench/prepare made")
    words.add_argument("--people", type=int, default=30)
    words.add_argument("--write", type=Path, help="file for the table")
    arguments = words.parse_args()
    found = {"perijove": measure(perijove(PRELOAD), arguments.people)}
    if arguments.peers is not None:
        found["JupyterHub"] = measure(jupyterhub(arguments.peers), arguments.people)
    rows = []
    for name, (alone, each, seconds) in found.items():
        fit = int((MACHINE_MB - alone) / each)
        rows.append([name, f"{alone:.0f} MB", f"{each:.1f} MB", f"{fit}", f"{seconds:.2f} s"])
    heads = ["", "nobody there", "each person", "people in 16 GB", "kernel start to imported"]
    publish(f"{table(heads, rows)}\n\n{arguments.people} people. {machine()}.\n", arguments.write)


if __name__ == "__main__":
    main()
