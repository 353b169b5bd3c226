"""
Finds an authenticator's class by what the configuration gives: a name that comes with perijove, the name of an entry
point in the group `perijove.authenticators`, `package.module.Class`, or the class itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Final

from perijove.authenticators.base import Authenticator
from perijove.authenticators.dummy import DummyAuthenticator
from perijove.authenticators.errors import UnknownAuthenticator
from perijove.authenticators.native import NativeAuthenticator

ENTRY_POINT_GROUP: Final = "perijove.authenticators"
BUILT_IN: Final[Mapping[str, type[Authenticator]]] = MappingProxyType(
    {"default": NativeAuthenticator, "native": NativeAuthenticator, "dummy": DummyAuthenticator}
)


def find(name: str | type) -> type[Authenticator]:
    """
    The class called *name*, which may be the class.

    Raises:
        UnknownAuthenticator: nothing has that name, or what has it is no authenticator.
    """
    if isinstance(name, type):
        return _checked(name.__qualname__, name)
    if name in BUILT_IN:
        return BUILT_IN[name]
    plugins = entry_points(group=ENTRY_POINT_GROUP)
    if name in plugins.names:
        return _checked(name, plugins[name].load())
    if "." in name:
        return _checked(name, _imported(name))
    known = ", ".join(sorted({*BUILT_IN, *plugins.names}))
    raise UnknownAuthenticator(f"There is no authenticator {name!r}; known are {known}, or package.module.Class.")


def _imported(path: str) -> object:
    module, _, attribute = path.rpartition(".")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as exc:
        raise UnknownAuthenticator(f"The authenticator {path!r} cannot be imported: {exc}") from exc


def _checked(name: str, found: object) -> type[Authenticator]:
    if isinstance(found, type) and issubclass(found, Authenticator):
        return found
    raise UnknownAuthenticator(f"{name!r} is no subclass of perijove.authenticators.base.Authenticator.")
