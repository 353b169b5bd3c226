"""
Scopes that an administrator declares for services of theirs (contract f): `custom:grades:read`. Pure.

The hub decides nothing by them; whoever asks it who somebody is finds them among what that person may do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from perijove.hub.scopes.catalog import Definition
from perijove.hub.scopes.errors import BadScope

#: contract f
_NAME: Final = re.compile(r"custom:[a-z0-9][a-z0-9_\-*:]+[a-z0-9_*]")
_KEYS: Final = frozenset({"description", "subscopes"})


def is_custom(name: str) -> bool:
    """Whether *name* can be that of a scope that somebody declares."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, eq=False)
class CustomScopes:
    """Those of one deployment."""

    definitions: Mapping[str, Definition] = field(default_factory=dict)

    def check(self, scopes: Iterable[str]) -> None:
        """
        Refuse what is not declared; the other scopes are the catalogue's to judge.

        Raises:
            BadScope: a custom scope is not declared.
        """
        for text in scopes:
            name = text.partition("!")[0]
            if is_custom(name) and name not in self.definitions:
                raise BadScope(f"There is no scope {name!r}.")

    def widen(self, scopes: frozenset[str]) -> frozenset[str]:
        """Expanded *scopes* with what the custom ones among them bring along, under the same filter."""
        if not self.definitions:
            return scopes
        found, new = set(scopes), set(scopes)
        while new:
            new = {f"{child}{rest}" for text in new for child, rest in self._children(text)} - found
            found |= new
        return frozenset(found)

    def _children(self, text: str) -> Iterable[tuple[str, str]]:
        name, bang, rest = text.partition("!")
        definition = self.definitions.get(name)
        return [] if definition is None else [(child, f"{bang}{rest}") for child in definition.implies]


NO_CUSTOM_SCOPES: Final = CustomScopes()


def read_custom_scopes(declared: Mapping[str, Any]) -> CustomScopes:
    """
    What the configuration declares: name → `{"description": …, "subscopes": […]}`.

    Raises:
        BadScope: an item is wrong; the message names it.
    """
    for name, item in declared.items():
        what = f"The custom scope {name!r}"
        if not is_custom(str(name)):
            raise BadScope(f"{what} must begin with custom: and have lower-case letters, digits and - _ * : behind it.")
        if not isinstance(item, Mapping) or not isinstance(item.get("description"), str) or not item["description"]:
            raise BadScope(f"{what} needs a description.")
        unknown = sorted(str(key) for key in item if key not in _KEYS)
        if unknown:
            raise BadScope(f"{what} has an unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}.")
        children = item.get("subscopes", ())
        if isinstance(children, str) or not isinstance(children, list | tuple | set | frozenset):
            raise BadScope(f"{what}: subscopes must be a list.")
        missing = sorted(str(child) for child in children if child not in declared)
        if missing:
            raise BadScope(f"{what} has the subscope {missing[0]!r}, which is no custom scope that is declared.")
    return CustomScopes(
        {name: Definition(item["description"], tuple(item.get("subscopes", ()))) for name, item in declared.items()}
    )
