"""
What carries the traffic, as the control API sees it. There are several, and the API is the same in front of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from perijove.proxy.config import ProxyConfig
from perijove.proxy.core.changes import Change
from perijove.proxy.core.statistics import Statistics


class Engine(Protocol):
    """
    Serves by a `State` that somebody else keeps.

    Law: `apply` is called after the state has changed, and hands the change on before it first waits, so that
    changes arrive in the order in which they were made.
    """

    #: how often a process that carries the traffic was replaced because it died
    restarts: int

    async def start(self) -> None:
        """
        Listen and serve.

        Raises:
            ProxyError: it cannot.
        """

    async def apply(self, change: Change) -> None:
        """
        Returns when all traffic from now on is handled with *change*.

        Raises:
            Unacknowledged: that is not known.
        """

    async def activity(self) -> Mapping[str, float]:
        """Route path -> seconds since the epoch of the last byte; routes that were not used may be missing."""

    async def sessions(self) -> int:
        """How many good statements are remembered."""

    async def statistics(self) -> Statistics:
        """What all workers together have counted, and how things are; counters never go back."""

    async def reload(self, config: ProxyConfig) -> None:
        """Serve with these settings and certificates from now on; nothing that is open is closed."""

    async def stop(self) -> None:
        """Refuse new connections, let requests in flight end within the time for that, and end."""
