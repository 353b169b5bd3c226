"""
Stops every server, because the whole deployment is being stopped.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import IllegalTransition, NoSuchServer, StaleGeneration
from perijove.hub.domain.lifecycle import Event, State
from perijove.hub.domain.servers import Server
from perijove.hub.ports import Store
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.drive_servers import Driver
from perijove.hub.usecases.servers import STOP_TRIES
from perijove.kit.clock import Clock

log = structlog.get_logger(__name__)


class StopAllServers:
    """Asks every server to stop and waits for them together."""

    def __init__(self, *, store: Store, clock: Clock, driver: Driver) -> None:
        self._store = store
        self._clock = clock
        self._driver = driver

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
            for _ in range(STOP_TRIES):
                # The row may move on between the look and the change; a stop is meant whatever the state.
                with suppress(StaleGeneration, IllegalTransition):
                    if await self._ask(server):
                        return True
                    break
            return (await self._driver.settled(server.id, timeout)).state is State.STOPPED
        except NoSuchServer:
            return True

    async def _ask(self, server: Server) -> bool:
        """Record that it is to stop; whether it has stopped already."""
        async with self._store.unit() as unit:
            current = await unit.servers.by_id(server.id)
            if current is None or current.state is State.STOPPED:
                return True
            if current.state is State.STOPPING:
                return False
            move = await self._driver.record_in(unit, current, Event.STOP_ASKED, {})
            await record(
                unit,
                Action.SERVER_STOPPED,
                at=self._clock.now(),
                by=None,
                target=current.user_name,
                server=current.name,
                why="perijove was stopped",
            )
        self._driver.carry_out(move)
        return False
