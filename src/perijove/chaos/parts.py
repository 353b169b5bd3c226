"""
The processes of an installation: which there are, and their end.
"""

from __future__ import annotations

import pwd
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from perijove.kit import processes

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
    if processes.stat(pid) is None:
        raise NotRunning(NotRunning.__doc__)
    return pid


def parts(supervisor: int) -> Mapping[str, list[int]]:
    """Pids by what they are: `hub`, `proxy`, `launcher`, and the proxy's `worker`s."""
    found: dict[str, list[int]] = {}
    for pid in processes.children(supervisor):
        words = processes.words(pid)
        kind = next((part for part in _PARTS if part in words[:6]), None)
        if kind is None:
            continue
        found.setdefault(kind, []).append(pid)
        if kind == "proxy":
            found.setdefault("worker", []).extend(processes.children(pid))
    return found


def kill(pid: int) -> bool:
    """SIGKILL; whether there was such a process."""
    return processes.kill(pid, signal.SIGKILL)


def owners_of_processes(prefix: str) -> set[str]:
    """Whose system users (*prefix* and the name) have processes that are no zombies."""
    uids = {
        entry.pw_uid: entry.pw_name.removeprefix(prefix) for entry in pwd.getpwall() if entry.pw_name.startswith(prefix)
    }
    living = (process.pid for process in processes.all_processes() if process.state not in "ZX")
    return {uids[uid] for uid in map(processes.owner, living) if uid in uids}
