"""
What a template imports besides its application: modules that an administrator names, one by one, each judged.

Runs in the template, as root. A module that starts a thread, or leaves a file or a socket open, would be in every
child: it is refused with its name, and the template goes on without it.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What of a process a fork would copy badly."""

    threads: int
    #: descriptor → what it is: a path, or such as `socket:[123]`
    descriptors: dict[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preloaded:
    """What came of it."""

    #: module → why it is refused
    refused: dict[str, str]
    #: the last of them has left something behind: the template must begin again without it
    spoiled: bool = False


def preload(names: Sequence[str], look: Callable[[], Look]) -> Preloaded:
    """Import *names* one by one, until one of them leaves something behind that a copy must not have."""
    refused: dict[str, str] = {}
    before = look()
    for name in names:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as exc:  # noqa: BLE001  # whatever a stranger's module raises when it is imported
            refused[name] = f"it cannot be imported: {type(exc).__name__}: {exc}"
        if why := worse(look(), before):
            refused[name] = f"when it is imported, it {why}"
            return Preloaded(refused=refused, spoiled=True)
    return Preloaded(refused=refused)


def worse(now: Look, before: Look) -> str:
    """What makes *now* unfit to be copied where *before* was not; empty: nothing."""
    if now.threads > max(before.threads, 1):
        return "starts a thread, which a copy would not have"
    opened = [what for number, what in now.descriptors.items() if before.descriptors.get(number) != what]
    return f"leaves {', '.join(sorted(opened))} open" if opened else ""


def unfit(now: Look, own: Collection[int]) -> str:
    """Why a process like this must not be forked; empty: it may. *own*: descriptors that belong to it."""
    if now.threads != 1:
        return f"it has {now.threads} threads"
    others = [what for number, what in now.descriptors.items() if number not in own]
    return f"it has {', '.join(sorted(others))} open" if others else ""


def look() -> Look:
    """This process now."""
    descriptors = {}
    for number in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208  # numbers, not paths
        # The listing's own descriptor is closed by now.
        with suppress(OSError):
            descriptors[number] = str(Path(f"/proc/self/fd/{number}").readlink())
    threads = max(len(list(Path("/proc/self/task").iterdir())), threading.active_count())
    return Look(threads=threads, descriptors=descriptors)
