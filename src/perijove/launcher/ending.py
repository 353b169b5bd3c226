"""
What a server leaves behind: found by descent, by session and by a marker in the environment, and killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

import structlog

from perijove.kit import processes
from perijove.launcher.plan import MARKER
from perijove.launcher.server import Server

log = structlog.get_logger(__name__)

#: Rounds of killing what a dead server left: each round can only meet what was forked during the last.
SWEEPS: Final = 10
#: Seconds between two such rounds.
SWEEP_PAUSE: Final = 0.02


async def kill_after(server: Server, grace: float) -> None:
    """Kill *server* if it has not ended after *grace* seconds."""
    await asyncio.wait([server.ended], timeout=grace)
    if not server.ended.done():
        server.family.update(processes_of(server))
        if processes.is_alive(server.launched.pid, server.launched.start_time):
            processes.kill(server.launched.pid, signal.SIGKILL)


async def sweep(server: Server) -> None:
    """Kill what the server has left behind: no kernel survives its server."""
    for _ in range(SWEEPS):
        server.family.update(processes_of(server))
        left = [pid for pid, started in server.family.items() if processes.is_alive(pid, started)]
        if not left:
            return
        for pid in left:
            processes.kill(pid, signal.SIGKILL)
        await asyncio.sleep(SWEEP_PAUSE)
    log.warning("server.left_processes", key=server.launched.key, count=len(left))


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
