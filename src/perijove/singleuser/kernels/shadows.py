"""
Whether what a user has installed in their own site-packages wins over what is imported already.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Final

#: Imported by every interpreter that finds them when it starts.
_AT_START: Final = frozenset({"sitecustomize", "usercustomize"})


def own_names(folders: Iterable[str]) -> frozenset[str]:
    """Top-level names that can be imported from *folders*; those that cannot be read have none."""
    names: set[str] = set()
    for folder in folders:
        try:
            names.update(name.partition(".")[0] for name in os.listdir(folder))  # noqa: PTH208  # names
        except OSError:
            continue
    return frozenset(names)


def shadowed(own: frozenset[str], imported: Iterable[str]) -> frozenset[str]:
    """Which of the names that the user has another interpreter would not find as they are *imported* here."""
    return own & ({name.partition(".")[0] for name in imported} | _AT_START)


def in_order(path: Sequence[str], own: Sequence[str]) -> list[str]:
    """*path* with the folders *own* where an interpreter that starts puts them: before those of the system."""
    rest = [folder for folder in path if folder not in own]
    first = next((n for n, folder in enumerate(rest) if PurePath(folder).name.endswith("-packages")), len(rest))
    return [*rest[:first], *own, *rest[first:]]
