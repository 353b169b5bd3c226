"""
What the kernel knows about processes: identity, ancestry, owner, words, and an environment marker.

A bare pid names nobody for long; pid and start time together do. Linux only (/proc, pidfd).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStat:
    """The fields of /proc/PID/stat that matter here."""

    pid: int
    parent: int
    session: int
    state: str
    start_time: int


def parse_stat(text: str) -> ProcessStat:
    """Read /proc/PID/stat; the command name in parentheses may hold anything, parentheses too."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return ProcessStat(
        pid=int(head.split(" ", 1)[0]),
        state=fields[0],
        parent=int(fields[1]),
        session=int(fields[3]),
        start_time=int(fields[19]),
    )


def stat(pid: int) -> ProcessStat | None:
    """What is known of *pid*, or None if there is no such process."""
    try:
        return parse_stat((_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, IndexError):
        return None


def start_time(pid: int) -> int:
    """Field 22 of /proc/PID/stat, or 0 if there is no such process."""
    found = stat(pid)
    return found.start_time if found else 0


def is_alive(pid: int, started: int) -> bool:
    """Whether that very process still runs (a zombie does not)."""
    found = stat(pid)
    return found is not None and found.start_time == started and found.state not in "ZX"


def all_processes() -> Iterator[ProcessStat]:
    """Every process that is there now."""
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (found := stat(int(entry.name))) is not None:
            yield found


def family(root: int, processes: Iterable[ProcessStat]) -> frozenset[int]:
    """*root*'s descendants, and whoever shares a session with one of them."""
    everyone = list(processes)
    found = {root}
    grown = True
    while grown:
        sessions = {p.session for p in everyone if p.pid in found and p.session == p.pid}
        more = {p.pid for p in everyone if p.parent in found or p.session in sessions} - found
        found |= more
        grown = bool(more)
    return frozenset(found - {root})


def marked(marker: bytes, processes: Iterable[ProcessStat]) -> frozenset[int]:
    """Processes whose environment holds *marker* (`NAME=value`), as far as we may look."""
    return frozenset(p.pid for p in processes if _has_marker(p.pid, marker))


def children(pid: int) -> list[int]:
    """Whom that process has started and not waited for."""
    try:
        text = (_PROC / str(pid) / "task" / str(pid) / "children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]


def words(pid: int) -> list[str]:
    """Its command line; nothing if there is no such process, or if it is none of ours to know."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def owner(pid: int) -> int | None:
    """Its uid, or None if there is no such process."""
    try:
        return (_PROC / str(pid)).stat().st_uid
    except OSError:
        return None


def kill(pid: int, number: signal.Signals) -> bool:
    """Send a signal; whether there was such a process."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _has_marker(pid: int, marker: bytes) -> bool:
    try:
        return marker in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def ending(code: int) -> str:
    """How a process ended, as a sentence: *code* is its exit code, or minus the signal that ended it."""
    if code >= 0:
        return f"It ended with exit code {code}."
    # Of real-time signals only the first and the last have names there.
    name = next((known.name for known in signal.Signals if known == -code), str(-code))
    return f"It was ended by signal {name}."
