"""
What a client asks for, in the words of the catalogue, for the person who is to agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from perijove.hub.scopes.catalog import CATALOG, Definition
from perijove.hub.scopes.grammar import Filter, FilterKind, parse

_KINDS: Final = {
    FilterKind.USER: "of {value} only",
    FilterKind.GROUP: "in the group {value} only",
    FilterKind.SERVER: "the server {value} only",
    FilterKind.SERVICE: "the service {value} only",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One line of the page."""

    scope: str
    #: a sentence
    text: str
    #: what it is restricted to, in words; empty: nothing
    only: str = ""

    @property
    def sentence(self) -> str:
        """Both."""
        return f"{self.text.removesuffix('.')}: {self.only}." if self.only else self.text


def in_words(scopes: Sequence[str], user: str, custom: Mapping[str, Definition]) -> Sequence[Permission]:
    """*scopes* for *user* to read; *custom* are this deployment's own."""
    return [_permission(scope, user, custom) for scope in scopes]


def _permission(scope: str, user: str, custom: Mapping[str, Definition]) -> Permission:
    parsed = parse(scope)
    definition = CATALOG.get(parsed.name) or custom.get(parsed.name)
    # An older token may name a scope that is declared no longer, and allows nothing.
    text = definition.description if definition else f"{parsed.name}."
    return Permission(scope=scope, text=text, only=_only(parsed.filter, user))


def _only(narrowed: Filter | None, user: str) -> str:
    if narrowed is None:
        return ""
    if narrowed.kind is FilterKind.USER and narrowed.value in {"", user}:
        return "your own only"
    # The default server has no name of its own.
    return _KINDS[narrowed.kind].format(value=narrowed.value.rstrip("/"))
