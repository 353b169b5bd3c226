"""
The processes of an installation: which there are, and their end. Linux only (/proc).
"""

from __future__ import annotations

import os
import pwd
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
#: words of a command line → what it is
_PARTS: Final = ("hub", "proxy", "launcher")


class NotRunning(Exception):  # a state, in the words of the message
    """There is no perijove that runs with this configuration."""


def supervisor_pid(lock: Path) -> int:
    """
    Who holds the lock of a runtime folder.

    Raises:
        NotRunning: nobody does.
    """
    try:
        pid = int(lock.read_text(encoding="ascii"))
    except (OSError, ValueError):
        raise NotRunning(NotRunning.__doc__) from None
    if not (_PROC / str(pid)).exists():
        raise NotRunning(NotRunning.__doc__)
    return pid


def parts(supervisor: int) -> Mapping[str, list[int]]:
    """Pids by what they are: `hub`, `proxy`, `launcher`, and the proxy's `worker`s."""
    found: dict[str, list[int]] = {}
    for pid in _children(supervisor):
        words = _words(pid)
        kind = next((part for part in _PARTS if part in words[:6]), None)
        if kind is None:
            continue
        found.setdefault(kind, []).append(pid)
        if kind == "proxy":
            found.setdefault("worker", []).extend(_children(pid))
    return found


def kill(pid: int) -> bool:
    """SIGKILL; whether there was such a process."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def owners_of_processes(prefix: str) -> set[str]:
    """Whose system users (*prefix* and the name) have processes that are no zombies."""
    uids = {
        entry.pw_uid: entry.pw_name.removeprefix(prefix) for entry in pwd.getpwall() if entry.pw_name.startswith(prefix)
    }
    return {uids[uid] for uid in _living_uids() if uid in uids}


def _living_uids() -> Iterator[int]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
                if state not in "ZX":
                    yield entry.stat().st_uid


def _children(pid: int) -> list[int]:
    try:
        text = (_PROC / str(pid) / "task" / str(pid) / "children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]


def _words(pid: int) -> list[str]:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
