"""
The engine in the process of the control API: for the smallest machines, and where one process must be enough.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence

from perijove.proxy.config import ProxyConfig
from perijove.proxy.core.changes import Change
from perijove.proxy.core.state import State
from perijove.proxy.core.statistics import Statistics
from perijove.proxy.net.tls import TrafficTls
from perijove.proxy.net.worker import Worker


class LocalEngine:
    """One worker, on the loop of the control API."""

    def __init__(self, config: ProxyConfig, state: State, sockets: Sequence[socket.socket], *, tls: TrafficTls) -> None:
        """
        Args:
            config: the settings.
            state: what to begin with.
            sockets: public ones, which listen.
            tls: of the traffic; kept up to date by whoever calls `reload`.
        """
        # Of its own: a worker learns what has changed by comparing.
        self._worker = Worker(config, state.copy(), tls)
        self._sockets = sockets
        self._asked = 0.0
        self.restarts = 0

    async def start(self) -> None:
        """Part of `Engine`."""
        await self._worker.start(self._sockets)

    async def apply(self, change: Change) -> None:
        """Part of `Engine`."""
        self._worker.apply(change)

    async def activity(self) -> Mapping[str, float]:
        """Part of `Engine`."""
        since, self._asked = self._asked, time.time()
        return self._worker.activity_since(since)

    async def sessions(self) -> int:
        """Part of `Engine`."""
        return self._worker.sessions()

    async def statistics(self) -> Statistics:
        """Part of `Engine`."""
        return self._worker.statistics()

    async def reload(self, config: ProxyConfig) -> None:
        """Part of `Engine`."""
        self._worker.reload(config)

    async def stop(self) -> None:
        """Part of `Engine`."""
        await self._worker.stop()
