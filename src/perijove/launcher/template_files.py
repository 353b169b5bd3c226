"""
Notices that what is installed is not what a template has imported any more: an administrator has run `pip install`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

#: Seconds between two looks at the disk.
LOOK_EVERY: Final = 3.0

#: folder → when something was last added to it, removed or renamed; in nanoseconds
Times: TypeAlias = Mapping[str, int]


def times_of(folders: Iterable[str]) -> Times:
    """When each of *folders* was last changed; those that are none are left out."""
    found = {}
    for folder in folders:
        try:
            found[folder] = Path(folder).stat().st_mtime_ns
        except OSError:
            continue
    return found


def installed() -> Times:
    """
    The folders that this interpreter imports from. Whatever an installer does changes one of them: each distribution
    has a folder there whose name has its version in it.
    """
    return times_of(sys.path)


class Installed:
    """
    Compares what is installed now with what was, at most every `LOOK_EVERY` seconds.

    Args:
        look: what is installed.
        now: seconds, of a clock that only goes forward.
    """

    def __init__(self, look: Callable[[], Times], now: Callable[[], float]) -> None:
        self._look = look
        self._now = now
        self._known: Times = {}
        self._looked = 0.0

    def remember(self) -> None:
        """What is installed now is what counts: called before a template begins to import."""
        self._known, self._looked = self._look(), self._now()

    def has_changed(self) -> bool:
        """Whether it is not what it was."""
        if self._now() - self._looked < LOOK_EVERY:
            return False
        self._looked = self._now()
        return self._look() != self._known
