"""
The store over SQL: SQLite by default, and anything else that SQLAlchemy's async engine speaks.

One unit is one transaction. SQLite has one writer: a lock keeps units in line here, and other processes wait
in `busy_timeout`. The rows of each noun are in `sql_<noun>.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from sqlalchemy import func, make_url, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine

from perijove.hub.domain.errors import Conflict, StoreAway
from perijove.hub.domain.notices import Notice
from perijove.hub.ports import Unit
from perijove.hub.store.notices import Board
from perijove.hub.store.schema import sqlite_file, translate
from perijove.hub.store.sql_accounts import SqlAccounts
from perijove.hub.store.sql_groups import SqlGroups
from perijove.hub.store.sql_servers import SqlServers
from perijove.hub.store.sql_sessions import SqlSessions
from perijove.hub.store.sql_shared import SqlAttempts, SqlFacts, SqlHubs
from perijove.hub.store.sql_tokens import SqlTokens
from perijove.hub.store.sql_users import SqlUsers
from perijove.hub.store.sqlite_reader import SqliteReader
from perijove.hub.store.sqlite_thread import Executes, SqliteThread
from perijove.hub.store.tables import sessions, tokens, users

_NEWEST: Final = select(
    *(
        select(func.max(column)).scalar_subquery()
        for column in (users.c.created, users.c.last_activity, sessions.c.last_seen, tokens.c.created)
    )
)
#: seconds that a unit waits for its turn
WAIT_SECONDS: Final = 10.0


class Database(Protocol):
    """Where transactions come from."""

    def transaction(self) -> AbstractAsyncContextManager[Executes]:
        """Committed when it ends well, rolled back when it does not."""
        ...

    def reader(self) -> AbstractAsyncContextManager[Executes]:
        """For statements that change nothing: each sees what was committed when it began."""
        ...

    async def close(self) -> None:
        """Let it go."""
        ...


class SqlStore:
    """`hub.ports.Store` over a database that `schema.upgrade` has prepared."""

    def __init__(self, db_url: str) -> None:
        self._db_url = db_url
        is_sqlite = make_url(db_url).get_backend_name() == "sqlite"
        self._board = Board()
        self._database: Database = SqliteDatabase(db_url) if is_sqlite else ServerDatabase(db_url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let the database go."""
        await self._database.close()

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """A transaction: committed when it ends well, rolled back when it does not. Raises StoreAway."""
        try:
            async with self._database.transaction() as connection:
                unit = SqlUnit(connection)
                yield unit
        except IntegrityError as exc:
            raise Conflict from exc
        except DBAPIError as exc:
            raise translate(exc, self._db_url) from exc
        except PoolTimeout as exc:
            raise StoreAway from exc
        self._board.post(unit.told)

    def reading(self) -> AbstractAsyncContextManager[Unit]:
        """A unit for looking only: each statement sees what was committed when it began. Raises StoreAway."""
        return _Reading(self._database, self._db_url)

    def notices(self) -> AsyncGenerator[Notice, None]:
        """What units tell from now on."""
        return self._board.read()

    async def ping(self) -> None:
        """Raises StoreAway if the database does not answer."""
        try:
            async with self._database.transaction() as connection:
                await connection.execute(text("SELECT 1"))
        except (DBAPIError, PoolTimeout) as exc:
            raise StoreAway from exc


class _Reading:
    """Opens a reader and translates its errors. A class, because `asynccontextmanager` costs as much as a look-up."""

    __slots__ = ("_db_url", "_reader")

    def __init__(self, database: Database, db_url: str) -> None:
        self._reader = database.reader()
        self._db_url = db_url

    async def __aenter__(self) -> Unit:
        try:
            return SqlUnit(await self._reader.__aenter__())
        except PoolTimeout as exc:
            raise StoreAway from exc
        except DBAPIError as exc:
            raise translate(exc, self._db_url) from exc

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._reader.__aexit__(kind, error, trace)
        if isinstance(error, DBAPIError):
            raise translate(error, self._db_url) from error


class SqlUnit:
    """One transaction."""

    def __init__(self, connection: Executes) -> None:
        self.users = SqlUsers(connection)
        self.servers = SqlServers(connection)
        self.sessions = SqlSessions(connection)
        self.tokens = SqlTokens(connection)
        self.accounts = SqlAccounts(connection)
        self.groups = SqlGroups(connection)
        self.hubs = SqlHubs(connection)
        self.attempts = SqlAttempts(connection)
        self.facts = SqlFacts(connection)
        #: to be told after the commit
        self.told: list[Notice] = []
        self._connection = connection

    async def alone(self, what: str) -> None:
        """SQLite has one writer, so that every unit is alone."""

    def notify(self, notice: Notice) -> None:
        """Tell it after the commit."""
        self.told.append(notice)

    async def newest(self) -> datetime | None:
        """The latest time at which anything is recorded to have happened."""
        rows = await self._connection.execute(_NEWEST)
        return max((at for row in rows for at in row if at is not None), default=None)


class SqliteDatabase:
    """One connection that transactions take in turn, and those of the reader."""

    def __init__(self, db_url: str) -> None:
        self._sqlite = SqliteThread(db_url)
        self._turn = asyncio.Lock()
        self._reader = SqliteReader(sqlite_file(db_url) or Path())

    async def close(self) -> None:
        """Let it go."""
        await self._reader.close()
        await self._sqlite.close()

    def reader(self) -> AbstractAsyncContextManager[Executes]:
        """The reader, which is always there and never in use."""
        return nullcontext(self._reader)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Executes]:
        """The next transaction, once it is its turn. Raises StoreAway if that takes too long."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError as exc:
            raise StoreAway("The database is too busy.") from exc
        try:
            yield self._sqlite
            await self._sqlite.commit()
        except BaseException:
            await self._sqlite.rollback()
            raise
        finally:
            self._turn.release()


class ServerDatabase:
    """A database server with a pool of connections."""

    def __init__(self, db_url: str) -> None:
        self._engine = create_async_engine(db_url, pool_pre_ping=True)

    async def close(self) -> None:
        """Let it go."""
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Executes]:
        """A transaction on a connection of its own."""
        async with self._engine.begin() as connection:
            yield connection

    def reader(self) -> AbstractAsyncContextManager[Executes]:
        """The same: nobody waits for anybody here."""
        return self.transaction()
