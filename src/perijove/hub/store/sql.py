"""
The store over SQL: SQLite by default, and anything else that SQLAlchemy's async engine speaks.

One unit is one transaction. SQLite has one writer: a lock keeps units in line here, and other processes wait
in `busy_timeout`. The rows of each noun are in `sql_<noun>.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Final, Self

from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from perijove.hub.domain.errors import Conflict, StoreAway
from perijove.hub.ports import Unit
from perijove.hub.store.schema import translate
from perijove.hub.store.sql_accounts import SqlAccounts
from perijove.hub.store.sql_servers import SqlServers
from perijove.hub.store.sql_sessions import SqlSessions
from perijove.hub.store.sql_tokens import SqlTokens
from perijove.hub.store.sql_users import SqlUsers

#: seconds that a unit waits for its turn, or for another process that writes
WAIT_SECONDS: Final = 10.0
#: WAL lets readers read while somebody writes; NORMAL is durable over crashes of the program, and over those of
#: the machine loses at most the last moments; foreign keys are off by default
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={int(WAIT_SECONDS * 1000)}",
)


class SqlStore:
    """`hub.ports.Store` over a database that `schema.upgrade` has prepared."""

    def __init__(self, db_url: str) -> None:
        self._db_url = db_url
        self._is_sqlite = make_url(db_url).get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(db_url) if self._is_sqlite else create_async_engine(db_url, pool_pre_ping=True)
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let the database go."""
        await self._engine.dispose()

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """A transaction: committed when it ends well, rolled back when it does not. Raises StoreAway."""
        try:
            # The connection is given back before the turn: whoever comes next finds it free.
            async with self._my_turn(), self._engine.connect() as connection, connection.begin():
                yield SqlUnit(connection)
        except IntegrityError as exc:
            raise Conflict from exc
        except DBAPIError as exc:
            raise translate(exc, self._db_url) from exc
        except (PoolTimeout, OSError) as exc:
            raise StoreAway from exc

    async def ping(self) -> None:
        """Raises StoreAway if the database does not answer."""
        try:
            async with self._my_turn(), self._engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (DBAPIError, PoolTimeout, OSError) as exc:
            raise StoreAway from exc

    def _my_turn(self) -> AbstractAsyncContextManager[None]:
        return self._take_turn() if self._is_sqlite else nullcontext()

    @asynccontextmanager
    async def _take_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError as exc:
            raise StoreAway("The database is too busy.") from exc
        try:
            yield
        finally:
            self._turn.release()


class SqlUnit:
    """One transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.users = SqlUsers(connection)
        self.servers = SqlServers(connection)
        self.sessions = SqlSessions(connection)
        self.tokens = SqlTokens(connection)
        self.accounts = SqlAccounts(connection)


def _sqlite_engine(db_url: str) -> AsyncEngine:
    url = make_url(db_url).set(drivername="sqlite+aiosqlite")
    # Every unit ends with a commit or a rollback, so there is nothing left for the pool to reset.
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_reset_on_return=None)
    event.listen(engine.sync_engine, "connect", _on_connect)
    event.listen(engine.sync_engine, "begin", _on_begin)
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
