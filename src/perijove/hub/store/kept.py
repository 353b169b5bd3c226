"""
Statements that are built once and asked all the time, and whether they may be answered on the event loop.

A mark on the statement itself: every database runs it as any other, SQLite's reader (`sqlite_reader.py`) also
keeps its text and how its columns are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Executable, Integer, Select, bindparam

Statement = TypeVar("Statement", bound=Select[Any])

_OPTION: Final = "perijove_kept"


class Kept(Enum):
    """How much a kept statement reads."""

    #: a row by a unique key, or the few rows of one owner: some pages of the file, whatever the number of users
    BY_KEY = "by key"
    #: more than that
    MANY = "many"


def by_key(statement: Statement) -> Statement:
    """*statement*, which finds its few rows by an index: `EXPLAIN QUERY PLAN` must show no scan (a test looks)."""
    return statement.execution_options(**{_OPTION: Kept.BY_KEY})


def many(statement: Statement) -> Statement:
    """*statement*, which is kept, but may read much."""
    return statement.execution_options(**{_OPTION: Kept.MANY})


def kept(statement: Executable) -> Kept | None:
    """How *statement* was marked."""
    mark: Kept | None = statement.get_execution_options().get(_OPTION)
    return mark


#: for how many ids there are kept statements: one's own, a page of 50, of 200
_SIZES: Final = (1, 50, 200)


@cache
def places(size: int) -> Sequence[str]:
    """Names of the parameters of a statement for *size* ids."""
    return [f"id{number}" for number in range(size)]


def among(column: ColumnElement[int], size: int) -> ColumnElement[bool]:
    """Whether *column* is one of *size* ids, in a statement that can be kept."""
    return column.in_([bindparam(place, type_=Integer) for place in places(size)])


def padded(ids: Sequence[int]) -> Mapping[str, int] | None:
    """Parameters for the smallest kept statement that holds *ids*; None if there is none."""
    size = next((size for size in _SIZES if len(ids) <= size), 0)
    if not ids or not size:
        return None
    # Naming one twice changes nothing.
    return dict(zip(places(size), [*ids, *[ids[0]] * (size - len(ids))], strict=True))


def sized(statement: Statement, size: int) -> Statement:
    """*statement* for *size* ids of an index: a small page's is answered on the event loop."""
    return by_key(statement) if size < _SIZES[-1] else many(statement)
