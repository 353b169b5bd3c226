"""
The store over SQL: SQLite by default, PostgreSQL (`server_database.py`) when hubs share one.

One unit is one transaction. SQLite has one writer: a lock keeps units in line here, and other processes wait
in `busy_timeout`. The rows of each noun are in `sql_<noun>.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from sqlalchemy import func, select, text

from perijove.hub.domain.errors import StoreAway
from perijove.hub.domain.notices import Notice
from perijove.hub.ports import Unit
from perijove.hub.store.notices import Board
from perijove.hub.store.outage import Outage
from perijove.hub.store.sql_accounts import SqlAccounts
from perijove.hub.store.sql_audit import SqlAudit
from perijove.hub.store.sql_groups import SqlGroups
from perijove.hub.store.sql_permissions import SqlAuthStates, SqlOAuthCodes, SqlRuntimeServices
from perijove.hub.store.sql_servers import SqlServers
from perijove.hub.store.sql_sessions import SqlSessions
from perijove.hub.store.sql_shared import SqlAttempts, SqlFacts, SqlHubs
from perijove.hub.store.sql_shares import SqlShareCodes, SqlShares
from perijove.hub.store.sql_tokens import SqlTokens
from perijove.hub.store.sql_users import SqlUsers
from perijove.hub.store.sqlite_reader import SqliteReader
from perijove.hub.store.sqlite_thread import Executes, SqliteThread
from perijove.hub.store.tables import sessions, tokens, users
from perijove.hub.store.urls import sqlite_file

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

    def transaction(self, *, reading: bool = False) -> AbstractAsyncContextManager[Executes]:
        """Committed when it ends well, rolled back when it does not; *reading*: it changes nothing."""
        ...

    async def alone(self, connection: Executes, what: str) -> None:
        """Wait until no other transaction is alone with *what*."""
        ...

    async def tell(self, connection: Executes, notices: Sequence[Notice]) -> None:
        """Make telling them a part of the transaction."""
        ...

    def committed(self, notices: Sequence[Notice]) -> None:
        """The transaction that was to tell them is committed."""
        ...

    def notices(self) -> AsyncGenerator[Notice, None]:
        """What is told from now on."""
        ...

    async def close(self) -> None:
        """Let it go."""
        ...


class SqlStore:
    """`hub.ports.Store` over a database that `schema.upgrade` has prepared."""

    def __init__(self, db_url: str) -> None:
        self._database = open_database(db_url)
        self._outage = Outage(db_url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let the database go."""
        await self._database.close()

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """
        A transaction: committed when it ends well, rolled back when it does not.

        Raises:
            Conflict: it clashes with what is stored.
            InvalidRequest: a value that no column can hold.
            StoreAway: the database does not answer. If that was to the commit, nobody knows what came of it.
        """
        with self._outage.watched():
            async with self._database.transaction() as connection:
                unit = SqlUnit(connection, self._database)
                yield unit
                await self._database.tell(connection, unit.told)
        self._database.committed(unit.told)

    def reading(self) -> AbstractAsyncContextManager[Unit]:
        """A unit for looking only: each statement sees what was committed when it began. Raises StoreAway."""
        return _Reading(self._database, self._outage)

    def notices(self) -> AsyncGenerator[Notice, None]:
        """What units tell from now on."""
        return self._database.notices()

    async def ping(self) -> None:
        """Raises StoreAway if the database does not answer."""
        with self._outage.watched():
            async with self._database.transaction() as connection:
                await connection.execute(text("SELECT 1"))


class _Reading:
    """A unit for looking only. A class: `asynccontextmanager` costs as much as the look-up that it is opened for."""

    __slots__ = ("_database", "_outage", "_transaction")

    def __init__(self, database: Database, outage: Outage) -> None:
        self._database = database
        self._outage = outage
        self._transaction = database.transaction(reading=True)

    async def __aenter__(self) -> Unit:
        with self._outage.watched():
            return SqlUnit(await self._transaction.__aenter__(), self._database)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._outage.watched():
            await self._transaction.__aexit__(kind, error, trace)
            if error is not None:
                raise error


class SqlUnit:
    """One transaction."""

    def __init__(self, connection: Executes, database: Database) -> None:
        self.users = SqlUsers(connection)
        self.servers = SqlServers(connection)
        self.sessions = SqlSessions(connection)
        self.tokens = SqlTokens(connection)
        self.accounts = SqlAccounts(connection)
        self.groups = SqlGroups(connection)
        self.hubs = SqlHubs(connection)
        self.attempts = SqlAttempts(connection)
        self.facts = SqlFacts(connection)
        self.shares = SqlShares(connection)
        self.share_codes = SqlShareCodes(connection)
        self.oauth_codes = SqlOAuthCodes(connection)
        self.services = SqlRuntimeServices(connection)
        self.auth_states = SqlAuthStates(connection)
        self.audit = SqlAudit(connection)
        #: to be told after the commit
        self.told: list[Notice] = []
        self._connection = connection
        self._database = database

    async def alone(self, what: str) -> None:
        """Go on when no other unit is alone with *what*."""
        await self._database.alone(self._connection, what)

    def notify(self, notice: Notice) -> None:
        """Tell it with the commit."""
        self.told.append(notice)

    async def newest(self) -> datetime | None:
        """The latest time at which anything is recorded to have happened."""
        rows = await self._connection.execute(_NEWEST)
        return max((at for row in rows for at in row if at is not None), default=None)


class SqliteDatabase:
    """One connection that transactions take in turn, and a reader that waits for none of them."""

    def __init__(self, db_url: str, file: Path) -> None:
        self._sqlite = SqliteThread(db_url)
        self._reader = SqliteReader(file)
        self._turn = asyncio.Lock()
        self._board = Board()

    async def close(self) -> None:
        """Let it go."""
        await self._reader.close()
        await self._sqlite.close()

    def transaction(self, *, reading: bool = False) -> AbstractAsyncContextManager[Executes]:
        """The next transaction, once it is its turn; or the reader, which is always there and never in use."""
        return nullcontext(self._reader) if reading else self._in_turn()

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[Executes]:
        """Raises StoreAway if it takes too long."""
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

    async def alone(self, connection: Executes, what: str) -> None:
        """There is one writer, so that every unit is alone."""

    async def tell(self, connection: Executes, notices: Sequence[Notice]) -> None:
        """Only this process is there to hear them, after the commit."""

    def committed(self, notices: Sequence[Notice]) -> None:
        """Tell the readers in this process."""
        self._board.post(notices)

    def notices(self) -> AsyncGenerator[Notice, None]:
        """What is told from now on."""
        return self._board.read()


def open_database(db_url: str) -> Database:
    """The database that *db_url* names. Connects when it is used."""
    file = sqlite_file(db_url)
    if file is not None:
        return SqliteDatabase(db_url, file)
    # Imported here: whoever has SQLite need not have, or load, the driver of a server.
    from perijove.hub.store.server_database import ServerDatabase  # noqa: PLC0415

    return ServerDatabase(db_url)
