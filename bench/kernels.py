"""
How long a kernel takes to be ready and to run its first cell, and what it costs in memory: forked, and the ordinary way.

    PYTHONPATH=src:. python bench/kernels.py [--runs 9] [--write bench/results/kernels.md]

Starts a launcher of its own (as root: with a system user of its own, removed afterwards). What is measured runs in the
place of a notebook server: plain `jupyter_client`, once with the provisioner that asks the launcher, once without, in
turns, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
#: what the administrator would list, and what the first cell of people who use it looks like
PRELOAD = ("numpy", "pandas", "matplotlib.pyplot")
CELL = """
import numpy as np, pandas as pd, matplotlib.pyplot as plt
print(pd.DataFrame({"a": np.arange(5)}).a.sum())
"""
#: seconds until a kernel has come to rest
REST = 1.0


def inner(runs: int) -> list[dict[str, Any]]:
    """Measure; called in the server's place, as its user. A line for each kernel."""
    from jupyter_client.manager import KernelManager
    from jupyter_client.provisioning.factory import KernelProvisionerFactory

    from perijove.singleuser.kernels import provisioner

    provisioner.register()
    found = []
    for run in range(runs + 1):
        for name in (provisioner.NAME, "local-provisioner"):
            KernelProvisionerFactory.instance().default_provisioner_name = name
            folder = tempfile.mkdtemp(dir=os.environ["JUPYTER_RUNTIME_DIR"])
            manager = KernelManager(transport="ipc", connection_file=f"{folder}/k.json")
            row = one(manager)
            row["forked"] = type(manager.provisioner.process).__name__ == "ForkedKernel"
            manager.shutdown_kernel(now=True)
            if run:  # the first of each warms the machine
                found.append(row)
    return found


def one(manager: Any) -> dict[str, Any]:
    """Start a kernel and let it work."""
    import psutil

    began = time.perf_counter()
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    # Not `wait_for_ready`, which then waits for 0.2 s of silence.
    client.kernel_info()
    client.get_shell_msg(timeout=60)
    ready = time.perf_counter()
    process = psutil.Process(manager.provisioner.pid)
    time.sleep(REST)
    at_rest = process.memory_full_info().uss
    began_cell = time.perf_counter()
    reply = client.execute_interactive(CELL, timeout=60, output_hook=lambda _: None)
    assert reply["content"]["status"] == "ok", reply
    cell = time.perf_counter()
    time.sleep(REST)
    with_libraries = process.memory_full_info().uss
    client.stop_channels()
    return {
        "ready": ready - began,
        "cell": (ready - began) + (cell - began_cell),
        "rest": at_rest / 2**20,
        "libraries": with_libraries / 2**20,
    }


async def measure(runs: int, *, preload: Sequence[str]) -> list[dict[str, Any]]:
    from tests.support.launcher import end, launch_request, launched, launcher_process

    words = [word for name in preload for word in ("--preload", name)]
    with launcher_process(own_uid=os.getuid() != 0, words=(*words, "--app", "tests.support.tiny_app")) as launcher:
        async with launcher.client() as client:
            argv = (sys.executable, str(Path(__file__).resolve()), "--inner", "--runs", str(runs))
            await asyncio.sleep(10)  # the template imports, and finds fonts
            server = await launched(client, launch_request(argv=argv, listens=False))
            while (await client.inspect(server.key))[0] is not None:
                await asyncio.sleep(0.5)
            lines = await client.log_tail(server.key, 500)
            await end(client, server)
    rows = [json.loads(line.removeprefix("ROW ")) for line in lines if line.startswith("ROW ")]
    assert len(rows) == 2 * runs, "\n".join(lines)
    return rows


def medians(rows: Sequence[dict[str, Any]], *, forked: bool) -> dict[str, float]:
    chosen = [row for row in rows if row["forked"] is forked]
    return {name: statistics.median(row[name] for row in chosen) for name in ("ready", "cell", "rest", "libraries")}


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--runs", type=int, default=9)
    words.add_argument("--write", type=Path, help="file for the table")
    words.add_argument("--inner", action="store_true", help="be what is measured")
    arguments = words.parse_args()
    if arguments.inner:
        for row in inner(arguments.runs):
            print("ROW", json.dumps(row), flush=True)
        return
    from report import machine, publish, table
    from tests.support.launcher import remove_test_users

    plain = asyncio.run(measure(arguments.runs, preload=()))
    warm = asyncio.run(measure(arguments.runs, preload=PRELOAD))
    if os.getuid() == 0:
        remove_test_users()
    forked, ordinary = medians(plain, forked=True), medians(plain, forked=False)
    forked_warm, ordinary_warm = medians(warm, forked=True), medians(warm, forked=False)
    rows = [
        _row("start → ready", forked["ready"], ordinary["ready"], "s", "≤ 0.12 s, 4.3×"),
        _row("unique memory at rest", forked["rest"], ordinary["rest"], "MB", ""),
        _row(
            "start → result of a first cell that imports them",
            forked_warm["cell"],
            ordinary_warm["cell"],
            "s",
            "≤ 0.2 s, 5.5×",
        ),
        _row("unique memory after it", forked_warm["libraries"], ordinary_warm["libraries"], "MB", "≤ 35 MB, 3.5×"),
        _row("start → ready, with these preloaded", forked_warm["ready"], ordinary_warm["ready"], "s", ""),
        _row("unique memory at rest, with these preloaded", forked_warm["rest"], ordinary_warm["rest"], "MB", ""),
    ]
    text = table(["a kernel", "forked", "jupyter_client alone", "ratio", "to reach"], rows)
    publish(
        f"{text}\n\nPreloaded: {', '.join(PRELOAD)}. Medians of {arguments.runs} runs. {machine()}.\n", arguments.write
    )


def _row(what: str, ours: float, theirs: float, unit: str, bar: str) -> list[str]:
    digits = 3 if unit == "s" else 1
    return [what, f"{ours:.{digits}f} {unit}", f"{theirs:.{digits}f} {unit}", f"{theirs / ours:.1f}×", bar]


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "src"), str(ROOT)]
    main()
