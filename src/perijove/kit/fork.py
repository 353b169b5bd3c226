"""
A copy of this process that does something else.

The copy has what has been loaded until now, at no cost: memory is shared until one of the two writes to it. It
never returns into the stack it was made in. Law: the process has one thread when it is copied.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

#: What a copy leaves to its parent, which asks it to end by other means.
_PARENTS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SeveralThreads(RuntimeError):
    """A process with several threads cannot be copied: locks may be held by threads that the copy lacks."""


def fork(run: Callable[[], int], *, keep: Collection[int]) -> int:
    """
    Copy this process; answers the process id of the copy, which ends with the exit code that *run* answers.

    Args:
        run: what the copy does.
        keep: sockets and files it needs, besides the standard ones; it closes all others.

    Raises:
        SeveralThreads: nothing was copied.
    """
    if threading.active_count() > 1:
        raise SeveralThreads(", ".join(thread.name for thread in threading.enumerate()))
    # A signal that arrives before the copy has its own handlers would be written into the parent's loop.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _PARENTS)
    try:
        pid = os.fork()
        if pid == 0:
            _live(run, keep, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _live(run: Callable[[], int], keep: Collection[int], mask: Collection[int]) -> None:
    code = 1
    try:
        # Nothing of the parent may be collected here: its sockets have numbers that are ours by then.
        gc.freeze()
        signal.set_wakeup_fd(-1)
        for number in _PARENTS:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        # Made for those who write loops, and for this: the parent's runs on, but not here.
        asyncio._set_running_loop(None)  # noqa: SLF001
        _close_others({0, 1, 2, *keep})
        code = run()
    # The last edge of a process: whatever it was, it is told before the end.
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _close_others(keep: Collection[int]) -> None:
    for entry in list(Path("/dev/fd").iterdir()):
        descriptor = int(entry.name)
        # The one that lists the folder is gone by now. Pipes stay: libuv's are made anew in every copy before it
        # gets here, and it ends the process if they are closed.
        with suppress(OSError):
            if descriptor not in keep and not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                os.close(descriptor)
