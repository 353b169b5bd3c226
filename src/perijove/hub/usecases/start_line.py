"""
The line that starts wait in when too many are under way: first come, first served.

In memory: a hub that restarts lines up what it finds in the order it finds it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable


class StartLine:
    """At most *limit* starts at once; 0 is no limit."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._inside: set[int] = set()
        self._waiting: OrderedDict[int, tuple[asyncio.Future[None], Callable[[int], None]]] = OrderedDict()

    async def enter(self, server_id: int, on_wait: Callable[[int], None]) -> None:
        """
        Come back when it is this server's turn. Being inside already is fine.

        Args:
            server_id: who waits.
            on_wait: told how many are before it, each time that changes.
        """
        if server_id in self._inside:
            return
        if self._limit <= 0 or (len(self._inside) < self._limit and not self._waiting):
            self._inside.add(server_id)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[server_id] = (turn, on_wait)
        on_wait(len(self._waiting) - 1)
        try:
            # No timeout: everyone inside has one, so the line moves.
            await turn
        except asyncio.CancelledError:
            self._waiting.pop(server_id, None)
            self.leave(server_id)
            self._tell_places()
            raise

    def leave(self, server_id: int) -> None:
        """Make room. Not being inside is fine."""
        self._inside.discard(server_id)
        if not self._waiting or len(self._inside) >= self._limit:
            return
        while self._waiting and len(self._inside) < self._limit:
            next_id, (turn, _) = self._waiting.popitem(last=False)
            self._inside.add(next_id)
            turn.set_result(None)
        self._tell_places()

    def _tell_places(self) -> None:
        for ahead, (_, on_wait) in enumerate(self._waiting.values()):
            on_wait(ahead)

    def __len__(self) -> int:
        return len(self._waiting)
