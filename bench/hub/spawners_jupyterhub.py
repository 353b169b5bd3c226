"""
JupyterHub's side of the start benchmark: a server is a trivial HTTP server inside the hub's own process.
"""

from __future__ import annotations

from jupyterhub.spawner import Spawner
from trivial import Servers

_SERVERS = Servers()


class TrivialSpawner(Spawner):
    """Starts servers that answer 200 to everything; what was running before counts as running."""

    async def start(self) -> tuple[str, int]:
        """Listen."""
        return "127.0.0.1", await _SERVERS.start(self._log_name)

    async def poll(self) -> int | None:
        """It runs, once it has been started."""
        return None if self.server is not None else 0

    async def stop(self, now: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002  # their signature
        """Close it."""
        await _SERVERS.stop(self._log_name)
