"""
What the operating system offers for this process: its parent's death, its user, its inherited sockets.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import sys
import termios
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
#: More are asked for by number: a machine with many cores has other work for them.
_MOST_WORKERS: Final = 4


def _prctl(option: int, value: int) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def die_with_parent(signum: int = signal.SIGTERM) -> None:
    """
    Ask for *signum* when the parent dies. A change of user forgets it, so call this after one (prctl(2)).
    """
    _prctl(_PR_SET_PDEATHSIG, signum)


def become_subreaper() -> None:
    """Orphaned descendants become this process's children instead of init's."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def become_user(*, uid: int, gid: int, groups: Sequence[int]) -> None:
    """Give up root for good: groups first, then gid, then uid; real, effective and saved."""
    os.setgroups(list(groups))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def default_workers() -> int:
    """How many processes to share work between that all of them can do: one a core, at most four."""
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)


def may_share_ports() -> bool:
    """
    Whether several sockets of this process may listen at one address, each with a queue of its own.

    The kernel then lets every process of the same user listen there as well, which is safe only for root.
    """
    return os.geteuid() == 0


def is_gone(stream: TextIO | None) -> bool:
    """Whether *stream* is a terminal that has been closed; SIGHUP then means just that, and is no order."""
    if stream is None:
        return False
    try:
        termios.tcgetattr(stream)
    except termios.error as exc:
        return bool(exc.args[0] == errno.EIO)
    except (OSError, ValueError):
        pass
    return False


class NotInherited(Exception):
    """The environment names sockets that this process did not inherit."""


def inherited_sockets(environ: Mapping[str, str], variable: str) -> dict[str, socket.socket]:
    """
    Listening sockets that the parent handed down, by name; none if *variable* is not set.

    Raises:
        NotInherited: the variable is not `name=fd,name=fd`, or a descriptor in it is no socket.
    """
    sockets: dict[str, socket.socket] = {}
    for item in filter(None, environ.get(variable, "").split(",")):
        name, _, number = item.partition("=")
        try:
            sockets[name] = socket.socket(fileno=int(number))
        except (OSError, ValueError) as exc:
            raise NotInherited(f"{variable}: {item!r} names no inherited socket") from exc
        sockets[name].setblocking(False)
        os.set_inheritable(int(number), False)
    return sockets


def notify_parent(environ: Mapping[str, str], variable: str, line: str) -> None:
    """Write *line* to the parent's pipe, if it gave one, and close it."""
    number = environ.get(variable, "")
    if number.isdecimal():
        os.write(int(number), line.encode() + b"\n")
        os.close(int(number))


def give_back_memory() -> None:
    """Return to the system what has been freed, where the C library can: after something large that will not recur."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
