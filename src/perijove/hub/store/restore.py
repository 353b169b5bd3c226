"""
Puts a backup back: into an empty database, or, if one insists, in place of what is in one that nobody uses.

All or nothing. SQLite gets a new file, which takes the place of the old one when it is whole; PostgreSQL does it
in one transaction.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import structlog
from sqlalchemy import Connection, MetaData, Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import first_generation
from perijove.hub.store.dump import BATCH, PROGRESS_ROWS, EndLine, Head, Line, Say, Summary, TableLine, read, verify
from perijove.hub.store.errors import DatabaseInUse, DumpUnusable, SchemaTooNew
from perijove.hub.store.outage import translate
from perijove.hub.store.revisions import CODE, OLDEST_CODE, Code
from perijove.hub.store.schema import VERSION_TABLE, admin_engine, living_hubs, run_alembic, tables_of, upgrade
from perijove.hub.store.tables import facts, servers
from perijove.hub.store.urls import sqlite_file

log = structlog.get_logger(__name__)

CONTRADICTION: Final = "The rows of the backup contradict each other: it was not made by perijove."
#: the file that is made beside the database, and what the one before is kept as
_NEW: Final = ".restoring"
_OLD: Final = ".before-restore"


def restore(db_url: str, file: IO[bytes], *, force: bool, say: Say, code: Code = CODE) -> Summary:
    """
    Check *file*, then put everything in it into the database, and bring that up to date.

    Args:
        db_url: where to.
        file: a backup, that can be read twice.
        force: also if there is something in the database, which is lost.
        say: told how far it is.
        code: whose schema is wanted.

    Raises:
        DumpUnusable: the backup is damaged, or its rows contradict each other.
        SchemaTooNew: the backup is of a newer version of perijove.
        DatabaseInUse: the database is not empty, or a hub uses it.
    """
    held = verify(file)
    if not code.knows(held.revision):
        raise SchemaTooNew(
            f"The backup is of a newer version of perijove (revision {held.revision}): install that one."
        )
    target = sqlite_file(db_url)
    if target is None:
        _fill(db_url, file, force=force, say=say, code=code)
    else:
        _replace_file(db_url, target, file, force=force, say=say, code=code)
    upgrade(db_url, code=code)
    return held


def _replace_file(db_url: str, target: Path, file: IO[bytes], *, force: bool, say: Say, code: Code) -> None:
    if target.exists() and target.stat().st_size:
        _look(db_url, force=force)
    new = target.with_name(target.name + _NEW)
    _remove(new)
    new.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        _fill(f"sqlite:///{new}", file, force=False, say=say, code=code)
        if target.exists() and target.stat().st_size:
            old = target.with_name(target.name + _OLD)
            _remove(old)
            target.rename(old)
            say(f"What was there before is kept in {old}.")
        # What belongs to the file before must not be taken for the new one's.
        _remove(target)
        new.rename(target)
    finally:
        _remove(new)


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def _look(db_url: str, *, force: bool) -> None:
    engine = admin_engine(db_url)
    try:
        with engine.connect() as connection:
            _check_free(connection, force=force)
    except DBAPIError as exc:
        if not force:
            raise translate(exc, db_url) from exc
        # It is damaged: that is what backups are for. It is kept beside the new one.
        log.warning("database.unreadable", why=translate(exc, db_url).message)
    finally:
        engine.dispose()


def _check_free(connection: Connection, *, force: bool) -> None:
    """Raises DatabaseInUse."""
    alive = [name for name, _ in living_hubs(connection, datetime.now(UTC))]
    if alive:
        raise DatabaseInUse(f"A hub uses this database ({', '.join(alive)}): stop perijove first.")
    if force:
        return
    names = [name for name in tables_of(connection) if name != facts.name]
    metadata = MetaData()
    metadata.reflect(connection, only=names)
    full = [table.name for table in metadata.tables.values() if connection.execute(select(table).limit(1)).first()]
    if full:
        raise DatabaseInUse(f"The database is not empty: there is something in {min(full)!r}. --force replaces it all.")


def _fill(db_url: str, file: IO[bytes], *, force: bool, say: Say, code: Code) -> None:
    engine = admin_engine(db_url)
    try:
        with engine.begin() as connection:
            _check_free(connection, force=force)
            _drop_all(connection)
            _Filler(connection, say, code).run(read(file))
    except IntegrityError as exc:
        raise DumpUnusable(CONTRADICTION) from exc
    except DBAPIError as exc:
        raise translate(exc, db_url) from exc
    finally:
        engine.dispose()


def _drop_all(connection: Connection) -> None:
    metadata = MetaData()
    metadata.reflect(connection, only=[*tables_of(connection)])
    metadata.drop_all(connection)
    connection.execute(text(f"DROP TABLE IF EXISTS {VERSION_TABLE}"))


class _Filler:
    """Takes the lines of a backup, in order."""

    def __init__(self, connection: Connection, say: Say, code: Code) -> None:
        self._connection = connection
        self._say = say
        self._code = code
        self._metadata = MetaData()
        self._now = datetime.now(UTC)
        self._is_sqlite = connection.dialect.name == "sqlite"

    def run(self, lines: Iterator[Line]) -> None:
        """All of them."""
        begun: TableLine | None = None
        waiting: list[Mapping[str, Any]] = []
        done = 0
        for line in lines:
            if begun is not None and (not isinstance(line, list) or len(waiting) >= BATCH):
                done = self._put(begun, waiting, done)
                waiting = []
            match line:
                case Head():
                    self._make_tables(line.revision)
                case TableLine():
                    begun, done = line, 0
                case EndLine():
                    self._count_on(line.counters)
                case _ if begun is not None:
                    waiting.append(dict(zip(begun.columns, self._values(begun.types, line), strict=True)))
        if self._is_sqlite and self._connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
            raise DumpUnusable(CONTRADICTION)

    def _make_tables(self, revision: str) -> None:
        run_alembic(self._connection, self._code, revision)
        self._metadata.reflect(self._connection)

    def _put(self, begun: TableLine, rows: list[Mapping[str, Any]], done: int) -> int:
        table = self._table(begun.name)
        if begun.name == servers.name:
            rows = [self._with_fresh_generation(row) for row in rows]
        if begun.name == facts.name:
            rows = [row for row in rows if row["name"] != OLDEST_CODE]
        if rows:
            self._connection.execute(insert(table), rows)
        before, done = done, done + len(rows)
        if done // PROGRESS_ROWS > before // PROGRESS_ROWS:
            self._say(f"{begun.name}: {done} rows …")
        return done

    def _with_fresh_generation(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """
        A stopped server goes on from a generation that was never used.

        It may have been started since the backup was made: whoever guards against old generations must not take
        that process for the next one's.
        """
        if row["state"] != State.STOPPED.value:
            return row
        return {**row, "generation": max(row["generation"], first_generation(self._now))}

    def _count_on(self, counters: Mapping[str, int]) -> None:
        for name, last in counters.items():
            table = self._table(name)
            given = max(last, self._connection.execute(select(func.max(table.c.id))).scalar_one() or 0)
            if not given:
                continue
            if self._is_sqlite:
                self._connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": name})
                words = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :given)")
                self._connection.execute(words, {"name": name, "given": given})
            else:
                sequence = func.pg_get_serial_sequence(name, "id")
                self._connection.execute(select(func.setval(sequence, given)))

    def _table(self, name: str) -> Table:
        found = self._metadata.tables.get(name)
        if found is None:
            raise DumpUnusable(f"The backup has a table {name!r} that its revision has not.")
        return found

    def _values(self, types: Sequence[str], row: Sequence[Any]) -> Iterator[Any]:
        for kind, value in zip(types, row, strict=True):
            if kind == "time" and value is not None:
                yield datetime.fromisoformat(value)
            elif kind == "text" and isinstance(value, str) and not self._is_sqlite:
                # The one character that PostgreSQL's texts cannot hold; the store writes the same instead.
                yield value.replace("\0", "\ufffd")
            else:
                yield value
