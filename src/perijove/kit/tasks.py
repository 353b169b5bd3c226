"""
The only place that creates asyncio tasks.

Every task has a name and an owner; a failure is logged once and never lost. An owner
that closes waits for its tasks, a bounded time, and cancels the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

import structlog

log = structlog.get_logger(__name__)


class TaskGroup:
    """
    Owns background tasks: `async with TaskGroup("hub") as tasks: tasks.start("tick", tick())`.

    Unlike `asyncio.TaskGroup`, one failed task does not cancel its siblings: a background
    loop that dies is an incident to log, no reason to drop every user's connection.
    """

    def __init__(self, owner: str, *, close_timeout: float = 5.0) -> None:
        self._owner = owner
        self._close_timeout = close_timeout
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run *work* in the background; its failure is logged under *name*."""
        if self._closing:
            work.close()
            raise RuntimeError(f"{self._owner} is closing; {name} was not started")
        task = asyncio.create_task(work, name=f"{self._owner}:{name}")  # noqa: TID251  # the one place
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def __len__(self) -> int:
        return len(self._tasks)

    async def close(self) -> None:
        """Cancel what still runs and wait for it, at most `close_timeout` seconds."""
        self._closing = True
        pending = [task for task in self._tasks if not task.done()]
        for task in pending:
            task.cancel()
        if pending:
            _, stuck = await asyncio.wait(pending, timeout=self._close_timeout)
            for task in stuck:
                log.error("task.stuck", task=task.get_name())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("task.failed", task=task.get_name(), exc_info=error)
