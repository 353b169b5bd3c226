"""
How long a kernel takes to be ready and to run its first cell, and its memory: forked, and the ordinary way.

    PYTHONPATH=src:. python bench/kernels.py [--runs 9] [--write bench/results/kernels.md]

Starts a launcher of its own (as root: with a system user of its own, removed afterwards). What is measured runs in the
place of a notebook server (kernels_inside.py): plain `jupyter_client`, with the provisioner that asks the launcher and
with its own, in turns, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perijove.spawners.launcher_client import LauncherClient
from perijove.wire.launcher import Launched
from report import machine, publish, table
from tests.support.launcher import eventually, launch_request, launched, launcher_process, remove_test_users

INSIDE = Path(__file__).parent / "kernels_inside.py"
#: what the administrator would list
PRELOAD = ("numpy", "pandas", "matplotlib.pyplot")
#: seconds in which a template imports, and finds fonts; and in which all is measured
WARM, MEASURED = 10.0, 600.0


async def over(client: LauncherClient, server: Launched) -> bool:
    running, _ = await client.inspect(server.key)
    return running is None


async def measure(runs: int, *, preload: Sequence[str]) -> list[dict[str, Any]]:
    words = [word for name in preload for word in ("--preload", name)]
    with launcher_process(own_uid=os.getuid() != 0, words=(*words, "--app", "tests.support.tiny_app")) as launcher:
        async with launcher.client() as client:
            argv = (sys.executable, str(INSIDE), str(runs))
            await asyncio.sleep(WARM)
            server = await launched(client, launch_request(argv=argv, listens=False))
            await eventually(lambda: over(client, server), within=MEASURED)
            lines = await client.log_tail(server.key, 500)
    rows = [json.loads(line.removeprefix("ROW ")) for line in lines if line.startswith("ROW ")]
    assert len(rows) == 2 * runs, "\n".join(lines)
    return rows


def medians(rows: Sequence[dict[str, Any]], *, forked: bool) -> dict[str, float]:
    chosen = [row for row in rows if row["forked"] is forked]
    return {
        name: statistics.median(row[name] for row in chosen) for name in ("ready", "cpu", "cell", "rest", "libraries")
    }


def row(what: str, unit: str, pair: tuple[float, float], to_reach: str = "") -> list[str]:
    digits = 3 if unit == "s" else 1
    ours, theirs = pair
    return [what, f"{ours:.{digits}f} {unit}", f"{theirs:.{digits}f} {unit}", f"{theirs / ours:.1f}×", to_reach]


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--runs", type=int, default=9)
    words.add_argument("--write", type=Path, help="file for the table")
    arguments = words.parse_args()
    plain = asyncio.run(measure(arguments.runs, preload=()))
    warm = asyncio.run(measure(arguments.runs, preload=PRELOAD))
    if os.getuid() == 0:
        remove_test_users()

    def of(rows: list[dict[str, Any]], name: str) -> tuple[float, float]:
        return medians(rows, forked=True)[name], medians(rows, forked=False)[name]

    rows = [
        row("start → ready", "s", of(plain, "ready"), "≤ 0.12 s of 0.52 s: 4.3×"),
        row("processor time of the kernel until then", "s", of(plain, "cpu")),
        row("unique memory at rest", "MB", of(plain, "rest")),
        row("start → result of a first cell that imports them", "s", of(warm, "cell"), "≤ 0.2 s of 1.1 s: 5.5×"),
        row("unique memory after it", "MB", of(warm, "libraries"), "≤ 35 MB of 122 MB: 3.5×"),
        row("start → ready, with these preloaded", "s", of(warm, "ready")),
        row("unique memory at rest, with these preloaded", "MB", of(warm, "rest")),
    ]
    text = table(["a kernel", "forked", "jupyter_client alone", "ratio", "to reach"], rows)
    said = f"“These” are {', '.join(PRELOAD)}. Medians of {arguments.runs} runs. {machine()}.\n"
    publish(f"{text}\n\n{said}", arguments.write)


if __name__ == "__main__":
    main()
