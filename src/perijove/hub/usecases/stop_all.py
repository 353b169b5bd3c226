"""
Stops every server, because the whole deployment is being stopped.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from perijove.hub.domain.errors import NoSuchServer, StaleGeneration
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import Server
from perijove.hub.ports import Store
from perijove.hub.usecases.servers import StopServer

log = structlog.get_logger(__name__)


class StopAllServers:
    """Asks every server to stop and waits for them together."""

    def __init__(self, *, store: Store, stop_server: StopServer) -> None:
        self._store = store
        self._stop_server = stop_server

    async def __call__(self, *, timeout: float) -> int:
        """How many were stopped; what has not ended after *timeout* seconds is left as it is."""
        async with self._store.unit() as unit:
            servers = await unit.servers.in_states([state for state in State if state is not State.STOPPED])
        if not servers:
            return 0
        log.info("servers.stopping", servers=len(servers))
        ends = await asyncio.gather(*(self._stop(server, timeout) for server in servers))
        left = [server.key for server, ended in zip(servers, ends, strict=True) if not ended]
        if left:
            log.warning("servers.left_running", servers=left)
        return len(servers) - len(left)

    async def _stop(self, server: Server, timeout: float) -> bool:
        try:
            # Whoever overtakes us to the end may have stopped it.
            with suppress(StaleGeneration):
                await self._stop_server.by_id(server.id, why="perijove was stopped")
            return (await self._stop_server.gone(server, timeout=timeout)).state is State.STOPPED
        except NoSuchServer:
            return True
