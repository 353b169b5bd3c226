"""
One log file per server: opened by the launcher, written by the server, one older generation kept.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

#: Bytes read from the end of a log to find its last lines.
TAIL_BYTES: Final = 128 * 1024
#: Longest log: what a notebook prints ends up there, and must not fill the disk that the hub's database is on.
MAX_LOG: Final = 16 * 1024 * 1024
#: Longest line shown from a log.
MAX_LINE: Final = 2000


def open_fresh(path: Path) -> int:
    """A descriptor to append to; the log of the run before becomes `<path>.1`."""
    with contextlib.suppress(FileNotFoundError):
        path.replace(path.with_name(path.name + ".1"))
    # The server writes through this descriptor only: the file belongs to the launcher, in a directory
    # that no user may enter, so an earlier run's lines cannot be reached or replaced.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(path, flags, 0o600)


def open_again(path: Path) -> int:
    """A descriptor to append to, beside the one that the server has."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)


def shorten(path: Path, *, longest: int = MAX_LOG) -> bool:
    """
    Empty a log that has grown beyond *longest* bytes, its last lines kept in `<path>.1`; whether that was needed.

    Its server goes on writing: the descriptor appends, so what follows begins the file anew.
    """
    try:
        if path.stat().st_size <= longest:
            return False
        path.with_name(path.name + ".1").write_bytes(_end_of(path))
        os.truncate(path, 0)
    except FileNotFoundError:
        return False
    return True


def tail(path: Path, lines: int) -> tuple[str, ...]:
    """The last *lines* lines; none if there is no log."""
    try:
        data = _end_of(path)
    except OSError:
        return ()
    found = data.decode(errors="replace").splitlines()
    return tuple(line[:MAX_LINE] for line in found[-lines:]) if lines > 0 else ()


def _end_of(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - TAIL_BYTES))
        return file.read(TAIL_BYTES)
