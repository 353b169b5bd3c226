"""
One child process: started, watched by pidfd, ended. Whether to start it again is `app.py`'s to say.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress

from perijove.kit.process import die_with_parent
from perijove.supervisor.plan import Part
from perijove.wire.supervision import LISTEN_FDS_VARIABLE, NOTIFY_FD_VARIABLE

#: Longest line a part may send up its pipe.
MAX_NOTICE = 64 * 1024


class Child:
    """A running part."""

    def __init__(self, *, process: subprocess.Popen[bytes], notices: int) -> None:
        self._process = process
        self._notices = notices
        loop = asyncio.get_running_loop()
        self._pidfd = os.pidfd_open(process.pid)
        #: its exit status; negative is a signal
        self.ended: asyncio.Future[int] = loop.create_future()
        #: the line it sent when it began to serve; empty if it ended first
        self.ready: asyncio.Future[bytes] = loop.create_future()
        self._received = b""
        loop.add_reader(self._pidfd, self._on_exit)
        loop.add_reader(notices, self._on_notice)

    @classmethod
    def start(cls, part: Part, sockets: Mapping[str, socket.socket], environ: Mapping[str, str]) -> Child:
        """
        Run *part* with its sockets.

        Raises:
            OSError: the program cannot be run.
        """
        inherited = {name: sockets[name].fileno() for name in part.sockets}
        read_end, write_end = os.pipe()
        try:
            environment = {
                **environ,
                **part.environment,
                LISTEN_FDS_VARIABLE: ",".join(f"{name}={fd}" for name, fd in inherited.items()),
                NOTIFY_FD_VARIABLE: str(write_end),
            }
            who = part.identity
            process = subprocess.Popen(  # noqa: S603  # our own program and words
                part.argv,
                env=environment,
                pass_fds=(*inherited.values(), write_end),
                # A terminal's Ctrl-C reaches the supervisor alone, which then ends the parts in order.
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                user=who.uid if who else None,
                group=who.gid if who else None,
                extra_groups=who.groups if who else None,
                # After the change of user, which would forget it; one thread here, so this is safe.
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        os.set_blocking(read_end, False)
        return cls(process=process, notices=read_end)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def signal(self, signum: int) -> None:
        """Send *signum*; one that has ended hears nothing."""
        if not self.ended.done():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signum)

    async def stop(self, timeout: float, *, on_kill: Callable[[], None], signum: int) -> None:
        """*signum*, and after *timeout* seconds SIGKILL; answers when it is gone."""
        self.signal(signum)
        done, _ = await asyncio.wait([self.ended], timeout=timeout)
        if not done:
            on_kill()
            self.signal(signal.SIGKILL)
            await asyncio.wait([self.ended], timeout=timeout)

    def _on_exit(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        status = self._process.wait()
        os.close(self._pidfd)
        self._close_notices()
        if not self.ended.done():
            self.ended.set_result(status)

    def _on_notice(self) -> None:
        with suppress(BlockingIOError):
            piece = os.read(self._notices, MAX_NOTICE)
            self._received += piece
            if b"\n" in self._received or not piece or len(self._received) > MAX_NOTICE:
                self._close_notices()

    def _close_notices(self) -> None:
        if self._notices >= 0:
            asyncio.get_running_loop().remove_reader(self._notices)
            os.close(self._notices)
            self._notices = -1
            if not self.ready.done():
                self.ready.set_result(self._received.partition(b"\n")[0])
