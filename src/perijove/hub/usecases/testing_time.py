"""
An event loop whose time passes at once: what would sleep an hour is over immediately, in the right order.

For tests of use cases, which use `asyncio.sleep` and `asyncio.timeout` freely. No sockets, no threads.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from perijove.hub.usecases.testing import START

#: real seconds after which a loop in which nothing can happen any more is called stuck
_STUCK_SECONDS: Final = 5.0


class _EagerSelector:
    """A selector that skips over waits: the time it should have waited is added to its clock."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; if nothing is, time jumps ahead by *timeout*."""
        ready = self._real.select(0 if timeout is not None else _STUCK_SECONDS)
        if not ready and timeout is None:
            raise RuntimeError("Every task waits for something that cannot happen any more.")
        if not ready and timeout:
            self.skipped += timeout
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As in `selectors`."""
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """As in `selectors`."""
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As in `selectors`."""
        return self._real.modify(fileobj, events, data)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """As in `selectors`."""
        return self._real.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """As in `selectors`."""
        return self._real.get_map()

    def close(self) -> None:
        """As in `selectors`."""
        self._real.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs tasks in the order of their deadlines, without waiting for them."""

    def __init__(self) -> None:
        self._eager = _EagerSelector()
        super().__init__(self._eager)  # type: ignore[arg-type]

    def time(self) -> float:
        """Seconds skipped so far."""
        return self._eager.skipped


class LoopClock:
    """The clock of the running loop, virtual or not."""

    def now(self) -> datetime:
        """The tests' date and the loop's time."""
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    def monotonic(self) -> float:
        """The loop's time."""
        return asyncio.get_running_loop().time()
