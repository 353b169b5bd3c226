"""
Thousands of starts and stops through one launcher: nothing is left, nothing grows. `script/soak [starts]` runs it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from perijove.spawners.launcher_client import LauncherClient
from tests.support.launcher import (
    LauncherProcess,
    browser,
    end,
    launch_request,
    launched,
    launcher_process,
    remove_test_users,
)

#: People, and how many of them start at once.
PEOPLE, TOGETHER = 20, 10
#: Starts until what is made once has been made and the allocator has found its size (nothing grows after some 500).
WARM_UP: Final = 500
#: MB that a process may have grown by since then: an allocator never gives back everything.
GROWTH: Final = 1.0
CGROUPS: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What there is at one moment, apart from the servers that run."""

    processes: int
    descriptors: int
    control_groups: int
    sockets: int
    mounts: int
    launcher_mb: float
    templates_mb: float


def standing(launcher: LauncherProcess) -> Standing:
    """Look at all that a server could leave behind."""
    parent = psutil.Process(launcher.pid)
    family = parent.children(recursive=True)
    templates = [process for process in family if "perijove.launcher.template" in process.cmdline()]
    return Standing(
        processes=len(family),
        descriptors=sum(process.num_fds() for process in (parent, *templates)),
        control_groups=sum(1 for path in CGROUPS.glob("*/perijove*/**/") if path.is_dir()),
        sockets=len(list((launcher.folder / "r").glob("servers/*/s"))),
        mounts=len(Path("/proc/self/mountinfo").read_text().splitlines()),
        launcher_mb=round(parent.memory_full_info().uss / 2**20, 1),
        templates_mb=round(sum(process.memory_full_info().rss for process in templates) / 2**20, 1),
    )


async def once(client: LauncherClient, person: str, generation: int) -> None:
    """Start, be answered, stop."""
    server = await launched(client, launch_request(person, generation))
    async with browser(server) as visitor:
        answer = await visitor.get(f"/user/{person}/api")
    assert answer.status_code == 200, answer.text
    await end(client, server)


async def many(client: LauncherClient, starts: int, first: int) -> int:
    """Start and stop *starts* times; answer the generation to go on with."""
    people = [f"soak{number}" for number in range(PEOPLE)]
    done = 0
    generation = first
    while done < starts:
        for begin in range(0, PEOPLE, TOGETHER):
            together = people[begin : begin + TOGETHER][: starts - done]
            await asyncio.gather(*(once(client, person, generation) for person in together))
            done += len(together)
        generation += 1
    return generation


async def soak(starts: int, *, own_uid: bool) -> bool:
    """Whether nothing was left."""
    with launcher_process(own_uid=own_uid) as launcher:
        async with launcher.client() as client:
            generation = await many(client, WARM_UP, 1)
            gc.collect()
            before = standing(launcher)
            began = time.monotonic()
            await many(client, starts, generation)
            seconds = time.monotonic() - began
            await asyncio.sleep(1)
            after = standing(launcher)
    sys.stdout.write(f"{'one uid' if own_uid else 'root'}: {starts} starts and stops in {seconds:.0f} s\n")
    then, now = asdict(before), asdict(after)
    worse = []
    for name, value in then.items():
        sys.stdout.write(f"  {name:16} {value:>8} before, {now[name]:>8} after\n")
        if now[name] > value + (GROWTH if name.endswith("_mb") else 0):
            worse.append(name)
    if worse:
        sys.stdout.write(f"  left over: {', '.join(worse)}\n")
    return not worse


def main(starts: int) -> int:
    """Answers the exit status: 0 if nothing was left."""
    modes = [False, True] if os.getuid() == 0 else [True]
    try:
        clean = [asyncio.run(soak(starts // len(modes), own_uid=own_uid)) for own_uid in modes]
    finally:
        remove_test_users()
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
