"""
A warm template at all times: started, replaced when it is worn, when what is installed has changed, or when it dies.
One that is replaced serves until the next is warm, so that no fork waits for that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import structlog

from perijove.launcher.errors import LaunchFailed, TemplateLost
from perijove.launcher.plan import ChildPlan
from perijove.launcher.template_files import Installed
from perijove.launcher.template_process import WARM_TIMEOUT, Forked, Unfit, Warm

log = structlog.get_logger(__name__)

#: Seconds before a template that died is replaced: doubled up to the last, back to the first when warm.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
#: Forks after which a template is replaced: each leaves a little behind, and copies drift from what was warm.
RECYCLE_AFTER: Final = 1000


class Process(Protocol):
    """What a template needs of its process; see template_process.py."""

    pid: int
    ended: asyncio.Future[int]

    async def warm(self) -> Warm:
        """Wait until it has imported everything."""
        ...

    async def fork(self, plan: ChildPlan, descriptors: Mapping[str, int]) -> Forked:
        """Fork a child."""
        ...

    def retire(self) -> None:
        """End it when it has done what it does."""
        ...

    def end(self) -> None:
        """End it now."""
        ...


class Template:
    """
    One warm process and its replacement.

    Args:
        app: module that it imports and that its children run.
        modules: what else it imports.
        start: makes a process that imports these.
        installed: says when what is installed has changed.
        recycle_after: forks.
    """

    def __init__(
        self,
        *,
        app: str,
        modules: Sequence[str] = (),
        start: Callable[[Sequence[str]], Process],
        installed: Installed,
        recycle_after: int = RECYCLE_AFTER,
    ) -> None:
        self.app = app
        self._modules = tuple(modules)
        self._start = start
        self._installed = installed
        self._recycle_after = recycle_after
        self._serving: Process | None = None
        self._warm = asyncio.Event()
        self._forks = 0
        #: why the process that serves is to be replaced
        self._because: asyncio.Future[str] | None = None

    async def keep(self, *, after: Template | None = None) -> None:
        """
        Have a template at all times, until cancelled.

        Args:
            after: the one that is more urgent: two that warm up at once are both late.
        """
        if after is not None:
            await after.until_warm()
        pause = FIRST_PAUSE
        try:
            while True:
                try:
                    process = await self._warm_up()
                except (LaunchFailed, TimeoutError, OSError) as exc:
                    # The one before, if there is one, serves on.
                    log.error("template.not_warm", app=self.app, error=str(exc))  # noqa: TRY400
                    pause = min(pause * 2, LONGEST_PAUSE)
                    await asyncio.sleep(pause)
                    continue
                pause = FIRST_PAUSE
                await self._until_replaced(process, self._put_in_place(process))
        finally:
            if self._serving is not None:
                self._serving.end()

    async def until_warm(self) -> None:
        """Wait until the first process is warm, for as long as that may take."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._warm.wait(), WARM_TIMEOUT)

    async def fork(self, plan: ChildPlan, descriptors: Mapping[str, int], *, patience: float = WARM_TIMEOUT) -> Forked:
        """
        Fork a child; wait for the template to be warm if it is not yet.

        Args:
            plan: what becomes of the child.
            descriptors: what it gets, by the names of plan.py.
            patience: seconds to wait for a warm template.

        Raises:
            LaunchFailed: there is no warm template in time, or it cannot fork.
            TemplateLost: it died; another will be warm soon.
        """
        try:
            await asyncio.wait_for(self._warm.wait(), patience)
        except TimeoutError as exc:
            raise LaunchFailed("the warm template does not come up; see the launcher's log") from exc
        process = self._serving
        if process is None:
            raise TemplateLost
        self._consider()
        try:
            return await process.fork(plan, descriptors)
        except TemplateLost as exc:
            if isinstance(exc, Unfit):
                log.error("template.unfit", app=self.app, because=str(exc), pid=process.pid)  # noqa: TRY400
            self._lose(process)
            raise

    def _consider(self) -> None:
        """Whether this fork should be one of the last of its template."""
        self._forks += 1
        if self._forks >= self._recycle_after:
            self._replace(f"it has been forked {self._forks} times")
        elif self._installed.has_changed():
            self._replace("what is installed has changed")

    def _replace(self, because: str) -> None:
        if self._because is not None and not self._because.done():
            self._because.set_result(because)

    async def _warm_up(self) -> Process:
        refused: set[str] = set()
        while True:
            self._installed.remember()
            process = self._start([self.app, *(name for name in self._modules if name not in refused)])
            try:
                found = await process.warm()
            except BaseException:
                process.end()
                raise
            for name, why in found.refused.items():
                log.error("preload.refused", module=name, because=why)
            refused |= found.refused.keys()
            if found.spoiled:
                process.end()
            elif found.unfit:
                process.end()
                raise LaunchFailed(f"{found.unfit}; a forked copy would not work")
            else:
                log.debug("template.warm", app=self.app, seconds=round(found.seconds, 2), pid=process.pid)
                return process

    def _put_in_place(self, process: Process) -> asyncio.Future[str]:
        """Let *process* serve; answers what will say why no longer."""
        before, self._serving = self._serving, process
        self._forks = 0
        self._because = asyncio.get_running_loop().create_future()
        self._warm.set()
        if before is not None:
            before.retire()
        return self._because

    async def _until_replaced(self, process: Process, because: asyncio.Future[str]) -> None:
        either: list[asyncio.Future[Any]] = [process.ended, because]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if because.done():
            log.info("template.replaced", app=self.app, because=because.result(), pid=process.pid)
            return
        log.warning("template.died", app=self.app, code=process.ended.result(), pid=process.pid)
        self._lose(process)
        await asyncio.sleep(FIRST_PAUSE)

    def _lose(self, process: Process) -> None:
        """Nobody is to be forked from *process* any more."""
        process.end()
        if self._serving is process:
            self._serving = None
            self._warm.clear()
