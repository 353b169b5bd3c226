"""
Reads a SQLite file without waiting for whoever writes it: connections of its own, which cannot write.

In WAL mode a reader never waits for a writer nor the other way round, and every statement sees what was committed
when it began; so there is no transaction around them, and none to begin or to end.

Look-ups by key are answered on the event loop itself. They take some ten microseconds; handing them to a thread and
back takes several times that, and as much from every other request (docs/decisions/0015). All else runs on a thread.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from sqlalchemy import JSON, Engine, Executable, Select, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.types import TypeEngine

from perijove.hub.store.kept import Kept, kept
from perijove.hub.store.sqlite_thread import BUSY_MILLISECONDS, FetchedRows, ReadRows, Rows
from perijove.hub.store.tables import UtcDateTime

Answer = TypeVar("Answer")
Reader = Callable[[Any], Any]

#: rows that may be read on the event loop; who has more has its look-up done on the thread
MAX_ON_LOOP: Final = 100
_DIALECT: Final = sqlite.dialect(paramstyle="named")


class _Prepared:
    """A kept statement as SQLite wants it, and how each column of its result is read."""

    def __init__(self, statement: Select[Any]) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.text = str(compiled)
        #: values that are part of the statement, such as the states that it names
        self.constants = {name: value for name, value in compiled.params.items() if value is not None}
        readers = [_reader_of(column.type) for column in statement.selected_columns]
        self._readers = tuple((place, reader) for place, reader in enumerate(readers) if reader is not None)

    def row(self, raw: Sequence[Any]) -> Sequence[Any]:
        """A row with Python's types."""
        row = list(raw)
        for place, reader in self._readers:
            value = row[place]
            if value is not None:
                row[place] = reader(value)
        return row


def _reader_of(kind: TypeEngine[Any]) -> Reader | None:
    """How a value that is not NULL is read."""
    if isinstance(kind, UtcDateTime):
        return _utc
    if isinstance(kind, JSON):
        return _json
    reader: Reader | None = kind.dialect_impl(_DIALECT).result_processor(_DIALECT, None)
    return reader


def _json(text: str) -> Any:
    # Most are empty, and need no parser.
    if text == "{}":
        return {}
    return [] if text == "[]" else json.loads(text)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text + "+00:00")


class SqliteReader:
    """Runs statements that change nothing. Used from one event loop."""

    def __init__(self, file: Path) -> None:
        self._address = f"file:{quote(str(file))}?mode=ro"
        self._engine = _engine(self._address)
        self._prepared: dict[Executable, _Prepared] = {}
        self._on_loop: sqlite3.Connection | None = None
        self._on_thread: Connection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-reader")

    async def close(self) -> None:
        """Close the connections and end the thread."""
        self._leave_loop()
        await self._run(self._leave_thread)
        self._thread.shutdown()
        self._engine.dispose()

    async def execute(self, statement: Executable, parameters: Any = None) -> Rows:
        """Run a statement and read its whole result."""
        mark = kept(statement)
        if mark is None or not isinstance(statement, Select):
            return await self._run(lambda: self._execute(statement, parameters))
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = _Prepared(statement)
        wanted = prepared.constants | dict(parameters or {})
        if mark is Kept.BY_KEY:
            found = self._look_up(prepared, wanted)
            if found is not None:
                return found
        return await self._run(lambda: self._execute_prepared(prepared, wanted))

    # -- on the event loop ------------------------------------------------------------------------------------

    def _look_up(self, prepared: _Prepared, wanted: Mapping[str, Any]) -> Rows | None:
        """None if it cannot be told without waiting, or if there is more than belongs here."""
        try:
            if self._on_loop is None:
                self._on_loop = _connect(self._address, wait=0)
            cursor = self._on_loop.execute(prepared.text, wanted)
            found = cursor.fetchmany(MAX_ON_LOOP + 1)
            cursor.close()
        except (UnicodeError, OverflowError):
            # No column can hold such a key, so there is no such row.
            return FetchedRows([])
        except sqlite3.Error:
            # Locked for a moment, or worse: the thread may wait, and knows what to say about it.
            self._leave_loop()
            return None
        return None if len(found) > MAX_ON_LOOP else FetchedRows([prepared.row(raw) for raw in found])

    def _leave_loop(self) -> None:
        connection, self._on_loop = self._on_loop, None
        if connection is not None:
            connection.close()

    # -- on the thread ----------------------------------------------------------------------------------------

    async def _run(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _execute(self, statement: Executable, parameters: Any) -> Rows:
        try:
            return ReadRows(self._connection().execute(statement, parameters))
        except BaseException:
            self._leave_thread()
            raise

    def _execute_prepared(self, prepared: _Prepared, wanted: Mapping[str, Any]) -> Rows:
        try:
            found = self._connection().exec_driver_sql(prepared.text, dict(wanted)).all()
        except BaseException:
            self._leave_thread()
            raise
        return FetchedRows([prepared.row(raw) for raw in found])

    def _connection(self) -> Connection:
        if self._on_thread is None:
            self._on_thread = self._engine.connect()
        return self._on_thread

    def _leave_thread(self) -> None:
        connection, self._on_thread = self._on_thread, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _connect(address: str, *, wait: int) -> sqlite3.Connection:
    # Without `isolation_level` the driver begins no transactions: every statement is one of its own.
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=wait / 1000)
    connection.execute("PRAGMA query_only=ON")
    return connection


def _engine(address: str) -> Engine:
    def connect() -> sqlite3.Connection:
        return _connect(address, wait=BUSY_MILLISECONDS)

    engine = create_engine("sqlite://", creator=connect, pool_reset_on_return=None)
    # SQLAlchemy believes in one long transaction; the driver knows of none, so there is nothing to end.
    event.listen(engine, "begin", _nothing)
    return engine


def _nothing(_connection: Connection) -> None:
    """Nothing begins."""
