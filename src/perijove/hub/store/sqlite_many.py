"""
One change of many rows, as SQLite's driver takes it.

SQLAlchemy prepares the parameters of each row anew; for the notes of activity, thousands of rows a minute, that took
four times what the database does with them. Here their names and types are looked at once for each statement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Update
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeEngine

from perijove.hub.store.tables import UtcDateTime

_DIALECT: Final = sqlite.dialect(paramstyle="named")
#: of `2026-01-02 03:04:05.000006`
_LENGTH: Final = 26


class ManyRows:
    """A statement's text, and what makes the driver's values of ours."""

    def __init__(self, statement: Update) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.text = str(compiled)
        self._writers = {name: _writer_of(bind.type) for bind, name in compiled.bind_names.items()}
        #: values that are part of the statement
        self._constants = {
            name: self._written(name, bind.effective_value)
            for bind, name in compiled.bind_names.items()
            if not bind.required
        }

    def rows(self, given: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """The parameters of each row."""
        return [self._constants | {name: self._written(name, value) for name, value in row.items()} for row in given]

    def _written(self, name: str, value: Any) -> Any:
        write = self._writers[name]
        return value if write is None or value is None else write(value)


def _writer_of(kind: TypeEngine[Any]) -> Callable[[Any], Any] | None:
    """How a value that is not NULL is written."""
    if isinstance(kind, UtcDateTime):
        return _utc
    writer: Callable[[Any], Any] | None = kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    return writer


def _utc(at: datetime) -> str:
    # As SQLAlchemy writes it, without the offset.
    return at.astimezone(UTC).isoformat(" ", "microseconds")[:_LENGTH]
