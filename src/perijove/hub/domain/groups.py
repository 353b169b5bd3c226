"""
Groups of users: what administrators share limits, policies and permissions by. Pure.

`read_groups` checks what the configuration declares (contract j, `load_groups`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from perijove.hub.domain.errors import InvalidName, InvalidRequest
from perijove.hub.domain.users import check, normalise

_KEYS: Final = frozenset({"users", "properties"})
#: as long as the column
MAX_GROUP_NAME: Final = 255
#: bytes of JSON: they are read with every list of groups
MAX_PROPERTIES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group; its members are rows of their own."""

    id: int
    name: str
    #: whatever an administrator keeps with it (contract d)
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDeclaration:
    """A group as the configuration declares it. Members who are no users yet become some when they first come."""

    name: str
    users: frozenset[str] = frozenset()
    properties: Mapping[str, Any] = field(default_factory=dict)


def check_group_name(name: object) -> str:
    """
    *name*, if it can be a group's. Upper and lower case are two groups, as in JupyterHub.

    Raises:
        InvalidRequest: it is empty, too long, no text, or has outer spaces or characters that cannot be printed.
    """
    if not isinstance(name, str) or not name or len(name) > MAX_GROUP_NAME or name != name.strip():
        raise InvalidRequest(f"The group {name!r} needs a name of 1 to {MAX_GROUP_NAME} characters.")
    if not name.isprintable():
        raise InvalidRequest(f"The group {name!r} has a character in its name that cannot be printed.")
    return name


def check_properties(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    *properties*, if they are short enough to be kept with a group.

    Raises:
        InvalidRequest: they are not.
    """
    if len(json.dumps(dict(properties))) > MAX_PROPERTIES:
        raise InvalidRequest(f"The properties of a group must not be longer than {MAX_PROPERTIES} bytes.")
    return properties


def read_groups(declared: Mapping[str, Any]) -> Sequence[GroupDeclaration]:
    """
    The items of `load_groups`: name → list of users, or `{"users": […], "properties": {…}}`.

    Raises:
        InvalidRequest: an item is wrong; the message names it.
    """
    return [_read(name, item) for name, item in declared.items()]


def _read(name: object, item: object) -> GroupDeclaration:
    name = check_group_name(name)
    what = f"The group {name!r}"
    if not isinstance(item, Mapping):
        return GroupDeclaration(name=name, users=_users(item, what))
    unknown = sorted(str(key) for key in item if key not in _KEYS)
    if unknown:
        raise InvalidRequest(f"{what} has an unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}.")
    properties = item.get("properties", {})
    if not isinstance(properties, Mapping):
        raise InvalidRequest(f"{what}: properties must be a dictionary.")
    return GroupDeclaration(name=name, users=_users(item.get("users", ()), what), properties=dict(properties))


def _users(names: object, what: str) -> frozenset[str]:
    if isinstance(names, str) or not isinstance(names, Sequence | set | frozenset):
        raise InvalidRequest(f"{what} needs a list of users' names.")
    if not all(isinstance(name, str) for name in names):
        raise InvalidRequest(f"{what} needs a list of users' names.")
    found = frozenset(normalise(name) for name in names)
    for name in found:
        try:
            check(name)
        except InvalidName:
            raise InvalidRequest(f"{what}: {name!r} can be nobody's name.") from None
    return found
