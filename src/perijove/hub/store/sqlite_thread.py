"""
SQLite on a thread of its own: one connection, one statement per hop.

Measured against `aiosqlite` below SQLAlchemy's async engine, which hops for every cursor, execute, fetch and
close: a unit with one look-up takes a third of the time. Results are read whole on the thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, CursorResult, Engine, Executable, Update, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound

from perijove.hub.store.sqlite_many import ManyRows

Answer = TypeVar("Answer")

#: milliseconds that a statement waits for another process that writes
BUSY_MILLISECONDS: Final = 10_000
#: WAL lets readers read while somebody writes; NORMAL is durable over crashes of the program, and over those of
#: the machine loses at most the last moments; foreign keys are off by default
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_MILLISECONDS}",
)


class Rows(Protocol):
    """
    A result that was read whole: the part of SQLAlchemy's that is used here.

    Rows are SQLAlchemy's; those of a kept statement (`kept.py`) may be plain sequences.
    """

    @property
    def rowcount(self) -> int:
        """How many rows a statement without a result changed."""
        ...

    def __iter__(self) -> Iterator[Any]: ...
    def first(self) -> Any:
        """The first row, if there is any."""
        ...

    def one_or_none(self) -> Any:
        """The only row, or None if there is none."""
        ...

    def scalar_one(self) -> Any:
        """The first column of the only row."""
        ...

    def scalar_one_or_none(self) -> Any:
        """The first column of the only row, or None if there is none."""
        ...


class Executes(Protocol):
    """The one thing that rows need of a connection."""

    async def execute(self, statement: Executable, parameters: Any = None) -> Rows:
        """Run a statement and read its whole result."""
        ...


class FetchedRows:
    """Rows in memory."""

    def __init__(self, rows: Sequence[Sequence[Any]], rowcount: int = -1) -> None:
        self.rowcount = rowcount
        self._rows = rows

    def __iter__(self) -> Iterator[Sequence[Any]]:
        return iter(self._rows)

    def first(self) -> Sequence[Any] | None:
        """The first row, if there is any."""
        return self._rows[0] if self._rows else None

    def one_or_none(self) -> Sequence[Any] | None:
        """The only row, or None if there is none."""
        if len(self._rows) > 1:
            raise MultipleResultsFound("A statement for one row found several.")
        return self.first()

    def scalar_one(self) -> Any:
        """The first column of the only row."""
        row = self.one_or_none()
        if row is None:
            raise NoResultFound("A statement for one row found none.")
        return row[0]

    def scalar_one_or_none(self) -> Any:
        """The first column of the only row, or None if there is none."""
        row = self.one_or_none()
        return None if row is None else row[0]


class ReadRows(FetchedRows):
    """A result read whole. SQLAlchemy's own way of keeping one (`freeze`) costs more than the look-up itself."""

    def __init__(self, result: CursorResult[Any]) -> None:
        super().__init__(result.all() if result.returns_rows else (), result.rowcount)


class SqliteThread:
    """Owns the connection; whoever uses it must see to it that transactions do not overlap."""

    def __init__(self, db_url: str) -> None:
        self._engine = _engine(db_url)
        self._connection: Connection | None = None
        #: as long as somebody has the statement
        self._many: WeakKeyDictionary[Update, ManyRows] = WeakKeyDictionary()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")

    async def close(self) -> None:
        """Close the connection and end the thread."""
        await self._run(self._disconnect)
        self._thread.shutdown()
        self._engine.dispose()

    async def execute(self, statement: Executable, parameters: Any = None) -> Rows:
        """Run a statement, in a new transaction if there is none."""
        return await self._run(lambda: self._execute(statement, parameters))

    async def commit(self) -> None:
        """Keep what the transaction did."""
        await self._run(self._commit)

    async def rollback(self) -> None:
        """
        Undo what the transaction did. Being cancelled does not stop it.

        It comes after whatever the thread is still doing for somebody who was cancelled.
        """
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, self._rollback))

    async def _run(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # -- on the thread ----------------------------------------------------------------------------------------

    def _execute(self, statement: Executable, parameters: Any) -> Rows:
        if self._connection is None:
            self._connection = self._engine.connect()
        if isinstance(statement, Update) and isinstance(parameters, list) and parameters:
            many = self._many.get(statement)
            if many is None:
                many = self._many[statement] = ManyRows(statement)
            return ReadRows(self._connection.exec_driver_sql(many.text, many.rows(parameters)))
        return ReadRows(self._connection.execute(statement, parameters))

    def _commit(self) -> None:
        if self._connection is not None:
            self._connection.commit()

    def _rollback(self) -> None:
        if self._connection is None:
            return
        try:
            self._connection.rollback()
        except DBAPIError:
            # The file is gone or damaged: a new connection will say so, or find it mended.
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _engine(db_url: str) -> Engine:
    # Every transaction ends with a commit or a rollback, so there is nothing left for the pool to reset.
    engine = create_engine(make_url(db_url).set(drivername="sqlite"), pool_reset_on_return=None)
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(dbapi_connection: Any, _record: object) -> None:
    # The driver's own idea of transactions begins them late and lets reads drift; ours is stated below.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _on_begin(connection: Connection) -> None:
    # IMMEDIATE: a transaction that read first and writes later could otherwise fail without waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
