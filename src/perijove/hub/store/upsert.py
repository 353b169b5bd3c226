"""
Adding a row or replacing it, in one statement that both databases know: of two who come at once, none fails.

SQLAlchemy has this only in its dialects; loading that of PostgreSQL would cost every hub over SQLite megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Table, TextClause, bindparam, text


def upsert(table: Table, names: Iterable[str], *, key: str, counted: str = "", returning: str = "") -> TextClause:
    """
    A statement with a parameter for each of *names*.

    Args:
        table: where.
        names: columns that are written.
        key: the one among them that says which row.
        counted: a column that grows by one with each replacement instead.
        returning: a column of the row to answer.
    """
    written = list(names)
    changes = [f'"{name}" = excluded."{name}"' for name in written if name not in {key, counted}]
    if counted:
        changes.append(f'"{counted}" = "{table.name}"."{counted}" + 1')
    end = f' RETURNING "{returning}"' if returning else ""
    return _insert(table, written, f'ON CONFLICT ("{key}") DO UPDATE SET {", ".join(changes)}{end}')


def insert_missing(table: Table, names: Iterable[str]) -> TextClause:
    """A statement with a parameter for each of *names*, which does nothing if the row is there."""
    return _insert(table, list(names), "ON CONFLICT DO NOTHING")


def _insert(table: Table, names: list[str], end: str) -> TextClause:
    columns = ", ".join(f'"{name}"' for name in names)
    places = ", ".join(f":{name}" for name in names)
    words = f'INSERT INTO "{table.name}" ({columns}) VALUES ({places}) {end}'  # noqa: S608  # names of our own tables
    return text(words).bindparams(*(bindparam(name, type_=table.c[name].type) for name in names))
