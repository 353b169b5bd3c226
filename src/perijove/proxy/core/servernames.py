"""
Which certificate answers to which name (SNI, RFC 6066 section 3): exact names first, then wildcards.

A wildcard stands for exactly one label (RFC 6125 section 6.4.3) and only for the whole leftmost one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class ServerNames(Generic[T]):
    """A table from the names in certificates to whatever answers to them."""

    def __init__(self) -> None:
        self._exact: dict[str, T] = {}
        #: what stands behind `*.`
        self._wild: dict[str, T] = {}

    def add(self, names: Iterable[str], value: T) -> None:
        """Let *value* answer to *names*; a name that is taken stays with whoever came first."""
        for name in names:
            plain = name.lower().rstrip(".")
            table, key = (self._wild, plain[2:]) if plain.startswith("*.") else (self._exact, plain)
            # `*` elsewhere is no wildcard that browsers accept.
            if key and "*" not in key:
                table.setdefault(key, value)

    def find(self, name: str | None) -> T | None:
        """Who answers to *name*; None if nobody does, or the client named nobody."""
        plain = (name or "").lower().rstrip(".")
        found = self._exact.get(plain)
        if found is not None:
            return found
        label, _, rest = plain.partition(".")
        return self._wild.get(rest) if label else None
