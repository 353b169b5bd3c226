"""
perijove's side of the start benchmark: a server is a trivial HTTP server inside the hub's own process.
"""

from __future__ import annotations

import asyncio

from trivial import Servers

from perijove.spawners.base import Spawner
from perijove.spawners.values import Handle, Running, SpawnRequest
from perijove.wire.launcher import ExitReport

_SERVERS = Servers()


class TrivialSpawner(Spawner):
    """Starts servers that answer 200 to everything; what was running before counts as running."""

    async def start(self, request: SpawnRequest) -> Running:
        """Listen."""
        port = await _SERVERS.start(request.key)
        return Running(target=f"http://127.0.0.1:{port}", handle={"key": request.key})

    async def find(self, request: SpawnRequest) -> Running | None:  # noqa: ARG002  # their signature
        """Nothing is found: a start that was cut off is made again."""
        await asyncio.sleep(0)
        return None

    async def poll(self, handle: Handle) -> ExitReport | None:  # noqa: ARG002  # likewise
        """It runs."""
        await asyncio.sleep(0)
        return None

    async def stop(self, handle: Handle, *, now: bool = False) -> None:  # noqa: ARG002  # likewise
        """Close it."""
        await _SERVERS.stop(str(handle["key"]))
