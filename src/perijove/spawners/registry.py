"""
Finds a spawner class by what an administrator wrote: a short name, `package.module.Class`, or the class itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Final

from perijove.spawners.base import Spawner
from perijove.spawners.errors import UnknownSpawner
from perijove.spawners.local import LocalSpawner

#: Other distributions announce their spawners in this entry point group.
ENTRY_POINT_GROUP: Final = "perijove.spawners"

#: Those that come with perijove, JupyterHub's names for them included.
BUILT_IN: Final[Mapping[str, type[Spawner]]] = {
    "local": LocalSpawner,
    "localprocess": LocalSpawner,
    "default": LocalSpawner,
}


def spawners() -> dict[str, type[Spawner]]:
    """
    Every spawner with a short name; a plug-in cannot take the name of one that comes with perijove.

    Raises:
        UnknownSpawner: a plug-in announces something that is no spawner.
    """
    announced = {entry.name: _checked(entry.load(), entry.value) for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return {**announced, **BUILT_IN}


def find_spawner(name: str | type) -> type[Spawner]:
    """
    The class called *name*, which may be the class.

    Raises:
        UnknownSpawner: with the names there are.
    """
    if isinstance(name, type):
        return _checked(name, name.__qualname__)
    if name in BUILT_IN:
        return BUILT_IN[name]
    # Looking what is announced means reading the description of everything that is installed.
    return _checked(_imported(name) if "." in name else spawners().get(name), name)


def _checked(found: object, name: str) -> type[Spawner]:
    if isinstance(found, type) and issubclass(found, Spawner):
        return found
    raise UnknownSpawner(f"there is no spawner {name!r}; there are {', '.join(sorted(BUILT_IN))} and import paths")


def _imported(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute, None)
    except ImportError as exc:
        raise UnknownSpawner(f"the spawner {name!r} cannot be imported: {exc}") from exc
