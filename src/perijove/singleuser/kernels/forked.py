"""
A kernel that the launcher forked: the methods of `subprocess.Popen` that jupyter_client's LocalProvisioner calls, by
pidfd. It is not our child: the launcher says how it ended.
"""

from __future__ import annotations

import os
import select
import signal
from typing import Final

from perijove.singleuser.kernels.asking import Answer, end_in, read_end
from perijove.wire.kernels import KernelEnd

#: Flag of pidfd_send_signal(2): to the whole process group. Linux 6.9 and newer.
_PROCESS_GROUP: Final = 1 << 2
#: Milliseconds that the launcher is given to say how it ended, when that has just happened.
WORDS_WAIT: Final = 100
#: Exit code, where nobody knows it.
UNKNOWN: Final = KernelEnd(reason="unknown", status=-1, message="It ended, and nobody saw how.")


class ForkedKernel:
    """
    One kernel.

    Args:
        answer: the launcher's; what is open in it is closed when the kernel has ended.
    """

    #: as Popen's: there is nothing to write to or read from
    stdin = stdout = stderr = None

    def __init__(self, answer: Answer) -> None:
        self.pid = answer.pid
        self._pidfd = answer.pidfd
        self._connection = answer.connection
        self.end: KernelEnd | None = None

    def poll(self) -> int | None:
        """As Popen's: None while it runs, else its exit code, negative for a signal."""
        if self.end is None and select.select([self._pidfd], [], [], 0)[0]:
            self._hear_end()
        return None if self.end is None else returncode(self.end)

    def wait(self, timeout: float | None = None) -> int:
        """As Popen's."""
        if self.end is None:
            select.select([self._pidfd], [], [], timeout)
        code = self.poll()
        if code is None:
            raise TimeoutError
        return code

    def send_group_signal(self, number: int) -> None:
        """
        Send a signal to it and the programs that it has started, as far as they are in its process group.

        Raises:
            ProcessLookupError: it has ended.
        """
        if self.end is not None:
            raise ProcessLookupError
        try:
            signal.pidfd_send_signal(self._pidfd, number, None, _PROCESS_GROUP)
        except ProcessLookupError:
            raise
        except OSError:
            # An older kernel: ask by pidfd whether it is there, and trust its group for the moment in between.
            signal.pidfd_send_signal(self._pidfd, 0)
            os.killpg(self.pid, number)

    def send_signal(self, number: int) -> None:
        """As Popen's: to it alone; nothing if it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """As Popen's."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """As Popen's."""
        self.send_signal(signal.SIGTERM)

    def _hear_end(self) -> None:
        data = b""
        while select.select([self._connection], [], [], WORDS_WAIT / 1000)[0]:
            more = read_end(self._connection)
            data += more
            if not more or end_in(data) is not None:
                break
        self.end = end_in(data) or UNKNOWN
        self._connection.close()
        os.close(self._pidfd)


def returncode(end: KernelEnd) -> int:
    """What Popen would answer."""
    if end.reason in {"signal", "oom"}:
        return -end.status if end.status > 0 else -signal.SIGKILL
    return end.status
