"""
One scope as text: `name`, `name!kind=value`, or `name!kind` that refers to whoever holds it (contract f).

Reading and writing only; what a scope implies is `expansion.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from perijove.hub.scopes.catalog import CATALOG, METASCOPES
from perijove.hub.scopes.custom import is_custom
from perijove.hub.scopes.errors import BadScope


class FilterKind(Enum):
    """What a filter restricts a scope to."""

    USER = "user"  #: one user and all of their servers
    GROUP = "group"  #: users in a group and their servers
    SERVER = "server"  #: one server, `owner/name`
    SERVICE = "service"  #: one service


#: kinds that may stand without a value and then mean the holder's own
SELF_REFERRING = frozenset({FilterKind.USER, FilterKind.SERVER, FilterKind.SERVICE})


@dataclass(frozen=True, slots=True)
class Filter:
    """The part behind the `!`. An empty value refers to the holder."""

    kind: FilterKind
    value: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value}={self.value}" if self.value else self.kind.value

    @property
    def owner(self) -> str:
        """User whose things a user or server filter lets through; empty for the other kinds."""
        if self.kind is FilterKind.USER:
            return self.value
        return self.value.partition("/")[0] if self.kind is FilterKind.SERVER else ""


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope, read."""

    name: str
    filter: Filter | None = None

    def __str__(self) -> str:
        return self.name if self.filter is None else f"{self.name}!{self.filter}"


def parse(text: str) -> Scope:
    """
    Read one scope. Whether a custom one is declared is `CustomScopes.check`'s to say.

    Raises:
        BadScope: no such scope, no such filter, or a filter without what it needs.
    """
    name, bang, rest = text.partition("!")
    if name not in CATALOG and not is_custom(name):
        raise BadScope(f"There is no scope {name!r}.")
    if not bang:
        return Scope(name)
    if name in METASCOPES:
        raise BadScope(f"The scope {name!r} takes no filter.")
    return Scope(name, _parse_filter(text, rest))


def _parse_filter(text: str, rest: str) -> Filter:
    word, equals, value = rest.partition("=")
    try:
        kind = FilterKind(word)
    except ValueError:
        raise BadScope(f"The scope {text!r} has an unknown filter {word!r}.") from None
    if equals and not value:
        raise BadScope(f"The filter of {text!r} has no value.")
    if not equals and kind not in SELF_REFERRING:
        raise BadScope(f"The filter of {text!r} needs a value.")
    owner, slash, _ = value.partition("/")
    if value and kind is FilterKind.SERVER and not (owner and slash):
        # The default server is `owner/`: a bare name would be read as neither.
        raise BadScope(f"The filter of {text!r} must be owner/server.")
    return Filter(kind, value)
