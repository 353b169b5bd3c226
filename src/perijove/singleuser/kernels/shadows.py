"""
Whether what a user has installed in their own site-packages wins over what is imported already.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from types import ModuleType
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


def found_in(modules: Mapping[str, ModuleType]) -> Mapping[str, str]:
    """Top-level name of each of *modules* that comes from a file → the folder that it was found in."""
    folders = {}
    for name, module in modules.items():
        origin = getattr(getattr(module, "__spec__", None), "origin", None) or getattr(module, "__file__", None)
        if "." not in name and origin and PurePath(origin).is_absolute():
            file = PurePath(origin)
            folders[name] = str(file.parent.parent if file.name == "__init__.py" else file.parent)
    return folders


def shadowed(own: frozenset[str], imported: Mapping[str, str], ahead: Collection[str]) -> frozenset[str]:
    """
    Which of the names that the user has another interpreter would not find as they are imported here.

    Args:
        own: names in the user's folders.
        imported: name → the folder that it was found in.
        ahead: folders that are looked into before the user's.
    """
    behind = {name for name, folder in imported.items() if folder not in ahead}
    return own & (behind | _AT_START)


def in_order(path: Sequence[str], own: Sequence[str], *, system: Collection[str]) -> list[str]:
    """*path* with the folders *own* where an interpreter that starts puts them: before those of the *system*."""
    rest = [folder for folder in path if folder not in own]
    first = next((n for n, folder in enumerate(rest) if folder in system), len(rest))
    return [*rest[:first], *own, *rest[first:]]
