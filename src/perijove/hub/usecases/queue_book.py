"""
What this hub knows about the queue besides the rows: that it should be looked at, how long starts take, who stands
where. In memory only; a restarted hub finds the rows and learns the rest again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from perijove.hub.domain.lifecycle import STARTING, State
from perijove.hub.domain.queue import Place
from perijove.hub.domain.servers import Server
from perijove.kit.clock import Clock

#: weight of the newest start in what is taken for usual
_NEWEST: Final = 0.2


class QueueBook:
    """Told of every move of a server; `news` wakes who admits."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._news = asyncio.Event()
        # Bounded by `concurrent_spawn_limit`.
        self._begun: dict[int, float] = {}
        self._places: Mapping[int, Place] = {}
        #: how long a start takes of late, in seconds; None before the first
        self.start_seconds: float | None = None

    def moved(self, server: Server) -> None:
        """*server* has entered its state: somebody may have come, or there may be room."""
        if server.state in STARTING:
            self._begun.setdefault(server.id, self._clock.monotonic())
            return
        begun = self._begun.pop(server.id, None)
        if begun is not None and server.state is State.READY:
            took = self._clock.monotonic() - begun
            usual = self.start_seconds
            self.start_seconds = took if usual is None else usual + _NEWEST * (took - usual)
        self._news.set()

    def wake(self) -> None:
        """Another hub says that there is something to look at."""
        self._news.set()

    async def news(self, timeout: float) -> None:
        """Come back when there are news, at the latest after *timeout* seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    def stand(self, places: Mapping[int, Place]) -> None:
        """Everybody's place as it is now."""
        self._places = places

    def place_of(self, server_id: int) -> Place | None:
        """Where a server stands that waits; None before that is known."""
        return self._places.get(server_id)
