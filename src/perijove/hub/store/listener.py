"""
One connection that listens to PostgreSQL's notifications, for all who want notices in this process.

It is there while anybody reads: the first reader opens it, the last one closes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

import psycopg
import structlog

from perijove.hub.domain.notices import Notice
from perijove.hub.store.notices import LOST, Board
from perijove.kit.tasks import TaskGroup

log = structlog.get_logger(__name__)

CHANNEL: Final = "perijove"
#: Seconds between tries to listen again: the first, and the longest.
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0


class Listener:
    """
    Hands what is heard to its readers.

    Args:
        connect: opens a connection that commits each statement.
        read: the notice of a payload; None if it is none.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[psycopg.AsyncConnection[Any]]],
        read: Callable[[str], Notice | None],
    ) -> None:
        self._connect = connect
        self._read = read
        self._ear: _Ear | None = None

    async def notices(self) -> AsyncGenerator[Notice, None]:
        """Everything that is told from now on; `LOST` first, once it is certain that nothing more is missed."""
        if self._ear is None:
            self._ear = _Ear()
            self._ear.tasks.start("listen", self._listen(self._ear))
        ear = self._ear
        ear.readers += 1
        try:
            async with aclosing(ear.board.read(begin=(LOST,) if ear.hears else ())) as heard:
                async for notice in heard:
                    yield notice
        finally:
            ear.readers -= 1
            if not ear.readers:
                # Whoever comes while this one closes opens another.
                self._ear = None
                await ear.tasks.close()

    async def _listen(self, ear: _Ear) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                # The driver's own `connect_timeout` ends this: cut off by us, it would leave its socket open.
                connection = await self._connect()
                try:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    pause = FIRST_PAUSE
                    ear.hears = True
                    ear.board.post([LOST])
                    # Ends with the connection: its keepalives notice a server that is gone without a word.
                    async for heard in connection.notifies():
                        notice = self._read(heard.payload)
                        if notice is not None:
                            ear.board.post([notice])
                finally:
                    ear.hears = False
                    await connection.close()
            except (psycopg.Error, OSError) as exc:
                log.debug("notices.away", why=str(exc).strip())
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)


class _Ear:
    """One run of listening."""

    def __init__(self) -> None:
        self.board = Board()
        self.tasks = TaskGroup("notices")
        self.readers = 0
        #: whether the connection is there: nothing that is told now is missed
        self.hears = False
