"""
A board within one process: whatever is posted reaches everybody who reads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from typing import Final

from perijove.hub.domain.notices import Kind, Notice

#: notices kept for a reader; one that is slower is told that it has lost some
MAX_WAITING: Final = 1000
#: the first one after every connection, and instead of what was missed
LOST: Final = Notice(Kind.LOST)


class Mailbox:
    """What one reader has not taken yet."""

    def __init__(self) -> None:
        self._waiting: deque[Notice] = deque()
        self._more = asyncio.Event()

    def put(self, notice: Notice) -> None:
        """Keep it; a reader who is too slow finds `LOST` instead of all that waits."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.clear()
            notice = LOST
        self._waiting.append(notice)
        self._more.set()

    async def take(self) -> Notice:
        """The next one."""
        # No timeout: whoever reads does so until it is cancelled.
        await self._more.wait()
        notice = self._waiting.popleft()
        if not self._waiting:
            self._more.clear()
        return notice


class Board:
    """Posts notices to the readers of this process."""

    def __init__(self) -> None:
        self._readers: set[Mailbox] = set()

    def post(self, notices: Iterable[Notice]) -> None:
        """Tell every reader."""
        for notice in notices:
            for reader in self._readers:
                reader.put(notice)

    async def read(self, *, begin: Iterable[Notice] = (LOST,)) -> AsyncGenerator[Notice, None]:
        """Everything from now on, *begin* first."""
        reader = Mailbox()
        for notice in begin:
            reader.put(notice)
        self._readers.add(reader)
        try:
            while True:
                yield await reader.take()
        finally:
            self._readers.discard(reader)
