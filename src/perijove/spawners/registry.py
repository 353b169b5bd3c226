"""
Finds a spawner class by the name an administrator wrote: a short name, or `package.module.Class`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Final

from perijove.spawners.base import Spawner
from perijove.spawners.errors import UnknownSpawner
from perijove.spawners.local import LocalSpawner
from perijove.spawners.testing import FakeSpawner

#: Other distributions announce their spawners in this entry point group.
ENTRY_POINT_GROUP: Final = "perijove.spawners"

#: Those that come with perijove, JupyterHub's names for them included.
BUILT_IN: Final[Mapping[str, type[Spawner]]] = {
    "local": LocalSpawner,
    "localprocess": LocalSpawner,
    "default": LocalSpawner,
    "fake": FakeSpawner,
}


def spawner_class(name: str) -> type[Spawner]:
    """
    The class called *name*.

    Raises:
        UnknownSpawner: with the names there are.
    """
    found: object = BUILT_IN.get(name)
    if found is None:
        found = _announced(name) or _imported(name)
    if not (isinstance(found, type) and issubclass(found, Spawner)):
        raise UnknownSpawner(f"there is no spawner {name!r}; there are {', '.join(known_names())}")
    return found


def known_names() -> list[str]:
    """Short names that `spawner_class` accepts."""
    return sorted({*BUILT_IN, *(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP))})


def _announced(name: str) -> object:
    for entry in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return entry.load()
    return None


def _imported(name: str) -> object:
    module, dot, attribute = name.rpartition(".")
    if not dot:
        return None
    try:
        return getattr(importlib.import_module(module), attribute, None)
    except ImportError as exc:
        raise UnknownSpawner(f"the spawner {name!r} cannot be imported: {exc}") from exc
