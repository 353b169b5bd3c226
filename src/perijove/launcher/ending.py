"""
What a server leaves behind: found by its control group, or else by descent, by session and by a marker in the
environment, and killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

import structlog

from perijove.kit import processes
from perijove.launcher.cgroups import ControlGroups
from perijove.launcher.plan import MARKER
from perijove.launcher.server import Server

log = structlog.get_logger(__name__)

#: Rounds of killing what a dead server left: each round can only meet what was forked during the last.
SWEEPS: Final = 10
#: Seconds for a group: it grows no more, but hundreds of processes that share few cores take a while to die.
KILL_SECONDS: Final = 120.0
#: Longest pause between two rounds then.
LONGEST_PAUSE: Final = 0.5
#: Seconds between two such rounds.
SWEEP_PAUSE: Final = 0.02


async def kill_after(server: Server, grace: float) -> None:
    """Kill *server* if it has not ended after *grace* seconds."""
    await asyncio.wait([server.ended], timeout=grace)
    if not server.ended.done():
        remember_family(server)
        if processes.is_alive(server.launched.pid, server.launched.start_time):
            processes.kill(server.launched.pid, signal.SIGKILL)


async def sweep(server: Server, groups: ControlGroups) -> None:
    """Kill what the server has left behind: no kernel survives its server."""
    if server.group:
        await empty_group(groups, server.group)
        return
    for _ in range(SWEEPS):
        remember_family(server)
        left = [pid for pid, started in server.family.items() if processes.is_alive(pid, started)]
        if not left:
            return
        for pid in left:
            processes.kill(pid, signal.SIGKILL)
        await asyncio.sleep(SWEEP_PAUSE)
    log.warning("server.left_processes", key=server.launched.key, count=len(left))


async def empty_group(groups: ControlGroups, name: str) -> None:
    """Kill all that is in a group, which cannot leave it, and remove it."""
    deadline, pause = asyncio.get_running_loop().time() + KILL_SECONDS, SWEEP_PAUSE
    while asyncio.get_running_loop().time() < deadline:
        if not groups.kill(name) and groups.remove(name):
            return
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, LONGEST_PAUSE)
    log.error("cgroup.left", group=name, processes=len(groups.members(name)))


def remember_family(server: Server) -> None:
    """
    Find out what belongs to a server while that can be told: its orphans cannot be told by their parents.

    A server in a control group needs none of it. That is good, because it reads the environment of every process here,
    and each of a fork bomb's, whoever's it is, makes that wait.
    """
    if not server.group:
        server.family.update(processes_of(server))


def processes_of(server: Server) -> dict[int, int]:
    """Pid and start time of all that descends from *server*, itself left out."""
    everyone = [process for process in processes.all_processes() if process.state not in "ZX"]
    roots = processes.marked(f"{MARKER}={server.record.marker}".encode(), everyone)
    launched = server.launched
    if processes.is_alive(launched.pid, launched.start_time):
        roots |= {launched.pid}
    found = roots.union(*(processes.family(root, everyone) for root in roots))
    spared = {launched.pid, os.getpid()}
    return {process.pid: process.start_time for process in everyone if process.pid in found - spared}
