"""
The rows of a correlated subquery as one JSON value, so that a row comes with what belongs to it in one statement.

Both databases can, each in its own words.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class gathered(FunctionElement[Any]):  # noqa: N801  # a function of SQL
    """A list of lists, one a row, with the given columns in each; null or empty if there is no row."""

    type = JSON()
    inherit_cache = True

    def __init__(self, *columns: ColumnElement[Any]) -> None:
        super().__init__(*columns)


@compiles(gathered, "sqlite")
def _for_sqlite(element: gathered, compiler: SQLCompiler, **words: Any) -> str:
    # A column of JSON is text there, and would be quoted as such.
    columns = [
        f"json({text})" if isinstance(column.type, JSON) else text
        for column, text in ((column, compiler.process(column, **words)) for column in element.clauses)
    ]
    return f"json_group_array(json_array({', '.join(columns)}))"


@compiles(gathered, "postgresql")
def _for_postgresql(element: gathered, compiler: SQLCompiler, **words: Any) -> str:
    columns = [compiler.process(column, **words) for column in element.clauses]
    return f"json_agg(json_build_array({', '.join(columns)}))"
