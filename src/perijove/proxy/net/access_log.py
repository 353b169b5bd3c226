"""
Where the lines of the access log go: gathered, written once a second or when there are many, never waited for.

A disk that is full or a reader that is stuck costs lines, which are counted, and nothing else.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import sys
from typing import Final

import structlog

from perijove.proxy.core.access_log import LineFormat, Served
from perijove.proxy.core.errors import ProxyError
from perijove.proxy.core.statistics import Statistics

log = structlog.get_logger(__name__)

#: Standard output.
STDOUT: Final = "-"
#: Bytes after which lines are written at once.
FLUSH_BYTES: Final = 64 * 1024
#: Bytes that may wait for a disk or a reader; lines beyond are dropped.
MAX_WAITING: Final = 1024 * 1024
_MODE: Final = 0o640
_END: Final = ord("\n")
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC


class CannotLog(ProxyError):
    """The access log cannot be opened."""


class AccessLog:
    """Writes lines to a file, a pipe or a socket."""

    def __init__(self, *, path: str, lines: LineFormat, statistics: Statistics) -> None:
        """
        Args:
            path: a file, which is appended to, or `-` for standard output.
            lines: how a request is shown.
            statistics: where dropped lines are counted.

        Raises:
            CannotLog: it cannot be opened.
        """
        self._path = path
        self._lines = lines
        self._statistics = statistics
        self._waiting = bytearray()
        self._is_dropping = False
        #: whether the last attempt to write did not get everything out
        self._is_stuck = False
        #: whether the first line of what waits has been written in part
        self._is_torn = False
        self._file, self._is_shared = _open(path)
        self._is_atomic = _is_pipe(self._file)

    @property
    def is_waiting(self) -> bool:
        """Whether there are lines that have not been written."""
        return bool(self._waiting)

    def write(self, served: Served) -> None:
        """Note one request."""
        waiting = self._waiting
        if len(waiting) >= MAX_WAITING:
            self._drop()
            return
        waiting += self._lines.render(served)
        if len(waiting) >= FLUSH_BYTES and not self._is_stuck:
            self.flush()

    def flush(self) -> None:
        """Write what there is, as far as that goes without waiting."""
        self._is_stuck = not self._write_all()
        if self._is_stuck:
            # Full, or nobody reads: the next attempt is the next sweep's.
            return
        if self._is_dropping:
            self._is_dropping = False
            log.warning("access_log.writing_again", path=self._path, dropped=self._statistics.dropped_lines)

    def reopen(self) -> None:
        """Go on in a new file where the old one was, as programs that rotate logs expect."""
        self.flush()
        try:
            file, is_shared = _open(self._path)
        except CannotLog as exc:
            log.error("access_log.not_reopened", reason=str(exc))  # noqa: TRY400  # the reason says it all
            return
        os.close(self._file)
        self._file, self._is_shared, self._is_atomic = file, is_shared, _is_pipe(file)
        if self._is_torn:
            # Half of this line is in the old file: the other half would make no sense in the new one.
            del self._waiting[: self._waiting.find(b"\n") + 1]
            self._statistics.dropped_lines += 1
            self._is_torn = False

    def close(self) -> None:
        """Write what can be written, and end."""
        self.flush()
        self._statistics.dropped_lines += self._waiting.count(b"\n")
        os.close(self._file)

    def _write_all(self) -> bool:
        waiting = self._waiting
        try:
            while waiting:
                piece = waiting[: self._whole_lines()] if self._is_atomic else waiting
                write = _write_now if self._is_shared else os.write
                written, wanted = write(self._file, piece), len(piece)
                if written:
                    self._is_torn = waiting[written - 1] != _END
                del waiting[:written]
                if written < wanted:
                    return False
        except OSError as exc:
            if not self._is_stuck:
                log.debug("access_log.waiting", path=self._path, reason=exc.strerror)
            return False
        return True

    def _drop(self) -> None:
        self._statistics.dropped_lines += 1
        if not self._is_dropping:
            self._is_dropping = True
            log.error("access_log.dropping", path=self._path)

    def _whole_lines(self) -> int:
        """
        Bytes of the first lines that a pipe takes whole or not at all: other workers write into it, too.
        """
        waiting = self._waiting
        if len(waiting) <= select.PIPE_BUF:
            return len(waiting)
        return waiting.rfind(b"\n", 0, select.PIPE_BUF) + 1 or waiting.find(b"\n") + 1


def _open(path: str) -> tuple[int, bool]:
    """A descriptor for *path*, and whether others have the very same opening."""
    try:
        if path != STDOUT:
            return os.open(path, _FLAGS | os.O_CREAT, _MODE), False
        return _reopened(sys.stdout.fileno())
    except OSError as exc:
        raise CannotLog(f"Cannot write the access log to {path}: {exc.strerror}") from exc


def _reopened(file: int) -> tuple[int, bool]:
    """*file* once more, without blocking: a flag on the very same opening would be everybody's who has it."""
    try:
        return os.open(f"/proc/self/fd/{file}", _FLAGS), False
    except OSError:
        # A socket, a pipe of another user, or no /proc.
        return os.dup(file), True


def _write_now(file: int, piece: bytes | bytearray) -> int:
    """
    Write to an opening that blocks, without ever waiting; answers how many bytes were taken.

    Raises:
        OSError: nothing can be written now; `BlockingIOError` is one.
    """
    mode = os.fstat(file).st_mode
    if stat.S_ISSOCK(mode):
        with socket.socket(fileno=os.dup(file)) as sock:
            return sock.send(piece, socket.MSG_DONTWAIT)
    if stat.S_ISFIFO(mode) and hasattr(os, "RWF_NOWAIT"):
        try:
            return os.pwritev(file, [piece], -1, os.RWF_NOWAIT)
        except OSError as exc:
            if exc.errno != errno.EOPNOTSUPP:
                raise
    # An older system: what is ready for a line takes it, unless somebody else is quicker.
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    if not poll.poll(0):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return os.write(file, piece)


def _is_pipe(file: int) -> bool:
    return stat.S_ISFIFO(os.fstat(file).st_mode)
