"""
Statements that are built once and asked all the time, and whether they may be answered on the event loop.

A mark on the statement itself: every database runs it as any other, SQLite's reader (`sqlite_reader.py`) also
keeps its text and how its columns are read.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, TypeVar

from sqlalchemy import Executable, Select

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
