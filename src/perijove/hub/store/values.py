"""
Values of rows, made without their `__init__`.

That of a frozen dataclass sets each field in a roundabout way, by name; with the dictionary of names and columns that
it is called with, this was most of what reading a row costs, and lists have thousands of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any, TypeVar

Value = TypeVar("Value")

_NONE: Mapping[str, Callable[[Any], Any]] = MappingProxyType({})


def maker(
    kind: type[Value], columns: Sequence[str], *, readers: Mapping[str, Callable[[Any], Any]] = _NONE
) -> Callable[[Sequence[Any]], Value]:
    """
    What makes a *kind* of a row.

    Args:
        kind: a dataclass with slots.
        columns: the fields that the columns are, from left to right; a row may have more columns behind them.
        readers: by field, what makes its value of that of the column.

    Raises:
        TypeError: *kind* has other fields, or does more than setting them when it is made.
    """
    if sorted(columns) != sorted(field.name for field in fields(kind)):  # type: ignore[arg-type]  # a dataclass
        raise TypeError(f"{kind.__name__} has other fields than {', '.join(columns)}.")
    if hasattr(kind, "__post_init__") or not hasattr(kind, "__slots__"):
        raise TypeError(f"{kind.__name__} is more than its slots.")
    setters = [getattr(kind, name).__set__ for name in columns]
    read = [(columns.index(name), getattr(kind, name).__set__, reader) for name, reader in readers.items()]
    width = len(columns)

    def make(row: Sequence[Any]) -> Value:
        if len(row) < width:
            raise ValueError(f"A row of {kind.__name__} has {width} columns, not {len(row)}.")
        value = object.__new__(kind)
        for set_field, column in zip(setters, row, strict=False):
            set_field(value, column)
        for place, set_field, reader in read:
            set_field(value, reader(row[place]))
        return value

    return make
