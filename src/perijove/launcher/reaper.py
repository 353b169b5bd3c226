"""
The only place that waits for children. The launcher is a subreaper: orphans of every server
become its children, so it must collect whoever ends, known or not.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

#: Statuses of ended children nobody has asked for yet: those that ended before their pid was told.
MAX_UNCLAIMED: Final = 256

#: Stands for the exit code of a child that ended and was forgotten.
UNKNOWN_CODE: Final = 255


class Reaper:
    """
    Collects ended children and hands each status to whoever waits for that pid.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._unclaimed: OrderedDict[int, int] = OrderedDict()

    def install(self) -> None:
        """Start collecting, on the running loop."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self.collect)

    def collect(self) -> None:
        """Collect every child that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._ended(pid, os.waitstatus_to_exitcode(status))

    def _ended(self, pid: int, code: int) -> None:
        waiting = self._waiting.pop(pid, None)
        if waiting is not None:
            if not waiting.done():
                waiting.set_result(code)
            return
        self._unclaimed[pid] = code
        if len(self._unclaimed) > MAX_UNCLAIMED:
            self._unclaimed.popitem(last=False)

    def exit_of(self, pid: int) -> asyncio.Future[int]:
        """The exit code of child *pid* (negative: a signal), when it ends or if it just has."""
        future = asyncio.get_running_loop().create_future()
        try:
            os.close(os.pidfd_open(pid))
        except ProcessLookupError:
            future.set_result(self._unclaimed.pop(pid, UNKNOWN_CODE))
            return future
        # It is there (perhaps as a zombie): an unclaimed status is of an earlier process with this number.
        self._unclaimed.pop(pid, None)
        self._waiting[pid] = future
        return future

    async def run(self, argv: Sequence[str], *, timeout: float) -> tuple[int, str]:
        """
        Run a short program to its end and answer its exit code and what it said.

        Raises:
            TimeoutError: it took longer than *timeout*; it has been killed.
        """
        reading, writing = os.pipe()
        try:
            process = subprocess.Popen(  # noqa: S603, ASYNC220  # fixed argv; a fork, no wait
                list(argv), stdin=subprocess.DEVNULL, stdout=writing, stderr=writing
            )
        finally:
            os.close(writing)
        ended = self.exit_of(process.pid)
        try:
            process.returncode = await asyncio.wait_for(ended, timeout)
            return process.returncode, os.read(reading, 4096).decode(errors="replace")
        except TimeoutError:
            os.kill(process.pid, signal.SIGKILL)
            process.returncode = -signal.SIGKILL
            raise
        finally:
            os.close(reading)
