"""
Forks kernels for servers that run: each in the place of the server whose marker the asker knows, and as its user.

Knows nothing of the socket (kernels_protocol.py). Kernels are not recorded: they carry their server's marker, by which
`ending.py` finds them, whatever has become of the launcher that forked them.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from perijove.kit.processes import is_alive
from perijove.launcher import logfiles
from perijove.launcher.capacity import group_name
from perijove.launcher.cgroups import ControlGroups
from perijove.launcher.errors import Forbidden, LaunchFailed
from perijove.launcher.plan import ERRORS, GATE, MARKER, OUTPUT, SERVER, ChildPlan, kernel_of
from perijove.launcher.reaper import UNKNOWN_CODE, Reaper
from perijove.launcher.reasons import OUT_OF_MEMORY, Facts, why
from perijove.launcher.records import Record
from perijove.launcher.templates import Template
from perijove.wire.kernels import KernelEnd, KernelRequest

log = structlog.get_logger(__name__)

#: Seconds a kernel waits for a template that is not warm: after that the server starts it without.
PATIENCE: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One kernel, behind its gate."""

    pid: int
    #: a descriptor that names it for good
    pidfd: int
    plan: ChildPlan
    ended: asyncio.Future[int]
    #: key of its server
    server: str
    #: the control group of that, and how many processes there had been killed for memory before it began
    group: str = ""
    kills_before: int = 0


class Kernels:
    """
    Forks them.

    Args:
        running: the servers that there are.
        template: has imported the kernel application.
        reaper: tells how they end.
        groups: of the servers; they know who was killed for memory.
        note_kills: told of a server and how many of its processes have been killed for memory, when it was a kernel.
    """

    def __init__(
        self,
        *,
        running: Callable[[], Iterable[Record]],
        template: Template,
        reaper: Reaper,
        groups: ControlGroups,
        note_kills: Callable[[str, int], None],
    ) -> None:
        self._running = running
        self._template = template
        self._reaper = reaper
        self._groups = groups
        self._note_kills = note_kills

    def may_ask(self, uid: int) -> bool:
        """Whether a server runs as *uid*."""
        return any(record.standing is not None and record.standing.uid == uid for record in self._running())

    async def fork(self, request: KernelRequest, *, uid: int, gate: int) -> Kernel:
        """
        Fork the kernel that somebody who runs as *uid* asks for.

        Args:
            request: what it is to be.
            uid: of the asker, as the kernel of the operating system says.
            gate: what it waits at; stays the caller's.

        Raises:
            Forbidden: no server with this marker runs as *uid*.
            LaunchFailed: it cannot be forked.
        """
        record = next((record for record in self._running() if record.marker == request.marker), None)
        standing = record.standing if record is not None else None
        if record is None or standing is None or standing.uid != uid:
            # One answer for all: nobody learns which markers there are.
            raise Forbidden("no server of yours has this marker")
        plan = kernel_of(
            standing,
            app=self._template.app,
            args=request.argv,
            # Whatever the asker says: the kernel ends with this server.
            environment={**request.environment, MARKER: request.marker},
            directory=request.directory,
        )
        with ExitStack() as opened:
            try:
                log_fd = logfiles.open_again(Path(record.launched.log))
                opened.callback(os.close, log_fd)
                given = {OUTPUT: log_fd, ERRORS: log_fd, GATE: gate}
                if plan.walls is not None:
                    given[SERVER] = _pidfd(record.launched.pid, record.launched.start_time)
                    opened.callback(os.close, given[SERVER])
            except OSError as exc:
                raise LaunchFailed(f"its server is gone, or the server's log: {exc.strerror}") from exc
            forked = await self._template.fork(plan, given, patience=PATIENCE)
        # No `await` from here on: the reaper must not have forgotten it.
        ended = self._reaper.exit_of(forked.pid)
        try:
            pidfd = os.pidfd_open(forked.pid)
        except OSError as exc:
            raise LaunchFailed("the kernel ended at once") from exc
        log.debug("kernel.forked", server=standing.name, pid=forked.pid)
        group = group_name(record.launched) if plan.cgroups else ""
        memory = self._groups.memory(group) if group else None
        kills = memory.kills if memory is not None else 0
        return Kernel(
            pid=forked.pid,
            pidfd=pidfd,
            plan=plan,
            ended=ended,
            server=record.launched.key,
            group=group,
            kills_before=kills,
        )

    async def end_of(self, kernel: Kernel) -> KernelEnd:
        """Why *kernel* is no more, once it is."""
        code = await kernel.ended
        facts = Facts(
            code=None if code == UNKNOWN_CODE else code,
            what="kernel",
            memory=self._groups.memory(kernel.group) if kernel.group else None,
            kills_before=kernel.kills_before,
            memory_of_all=self._groups.memory_of_all(),
        )
        found = why(facts)
        if found.reason == OUT_OF_MEMORY and facts.memory is not None:
            # If the server is killed later, then for another reason.
            self._note_kills(kernel.server, facts.memory.kills)
        return KernelEnd(reason=found.reason, status=found.status, message=found.message)


def _pidfd(pid: int, started: int) -> int:
    """
    A descriptor of that very process.

    Raises:
        ProcessLookupError: it has ended.
    """
    descriptor = os.pidfd_open(pid)
    if is_alive(pid, started):
        return descriptor
    os.close(descriptor)
    raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
