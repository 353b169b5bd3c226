"""
PostgreSQL behind the store: a bounded pool, locks by name, notices by LISTEN and NOTIFY.

Transactions run side by side at READ COMMITTED, so that whatever reads and then writes says by `alone`, or by a
compare-and-swap, what it relies on. A unit for reading sees one moment of the database.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import select
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import psycopg
import structlog
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import Executable, event, text
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from perijove.hub.domain.notices import Kind, Notice
from perijove.hub.store.errors import DatabaseAway
from perijove.hub.store.listener import CHANNEL, Listener
from perijove.hub.store.sqlite_thread import Executes, Rows
from perijove.hub.store.urls import STATEMENT_SECONDS, connect_args, driver_url

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

#: Connections of one hub at most, without the one that listens; PostgreSQL itself allows 100 by default.
POOL_SIZE: Final = 10
#: Seconds that a unit waits for a connection.
WAIT_SECONDS: Final = 10
#: Seconds that an answer may take; a server that works ends the statement before (`STATEMENT_SECONDS`).
ANSWER_SECONDS: Final = STATEMENT_SECONDS + 5
#: Seconds after which a connection is replaced by a fresh one.
RECYCLE_SECONDS: Final = 1800
#: Longest payload of a notification, in bytes, less the one that ends it.
MAX_PAYLOAD: Final = 7999
_ALONE: Final = text("SELECT pg_advisory_xact_lock(:key)")
_TELL: Final = text("SELECT pg_notify(:channel, :payload)")


class ServerDatabase:
    """A PostgreSQL server."""

    def __init__(self, db_url: str) -> None:
        self._engine = create_async_engine(
            driver_url(db_url),
            connect_args=connect_args(db_url),
            pool_size=POOL_SIZE,
            max_overflow=0,
            pool_timeout=WAIT_SECONDS,
            pool_recycle=RECYCLE_SECONDS,
            use_native_hstore=False,
        )
        self._listener = Listener(self._connect, notice_of)
        event.listen(self._engine.sync_engine, "connect", _on_connect)
        event.listen(self._engine.sync_engine, "checkout", _on_checkout)

    async def close(self) -> None:
        """Let it go."""
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self, *, reading: bool = False) -> AsyncIterator[Executes]:
        """A transaction on a connection of its own."""
        async with self._engine.connect() as connection:
            if reading:
                await _only_looks(connection)
            try:
                yield _Patient(connection)
                await _in_time(connection.commit())
            except BaseException:
                await _in_time(connection.rollback())
                raise

    async def alone(self, connection: Executes, what: str) -> None:
        """Wait until no other transaction is alone with *what*."""
        await connection.execute(_ALONE, {"key": lock_key(what)})

    async def tell(self, connection: Executes, notices: Sequence[Notice]) -> None:
        """NOTIFY is transactional: nobody hears of what is rolled back."""
        for notice in notices:
            payload = payload_of(notice)
            if payload is None:
                # A notice may be lost, says their law; this one is told by nobody else.
                log.warning("notice.too_long", kind=notice.kind.value, id=notice.id)
                continue
            await connection.execute(_TELL, {"channel": CHANNEL, "payload": payload})

    def committed(self, notices: Sequence[Notice]) -> None:
        """The database tells them, to this process too."""

    def notices(self) -> AsyncGenerator[Notice, None]:
        """What is told from now on; all who want to know share a connection."""
        return self._listener.notices()

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        _, words = self._engine.dialect.create_connect_args(self._engine.url)
        own: dict[str, Any] = {**words, **connect_args(self._engine.url.render_as_string(hide_password=False))}
        return await psycopg.AsyncConnection.connect(**own, autocommit=True)


async def _only_looks(connection: AsyncConnection) -> None:
    """
    Make its transactions see one moment and change nothing, until it goes back to the pool.

    Not by an engine with these options: whoever is cancelled while it sets them has no connection yet to give back.
    """
    try:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    except BaseException:
        # The options may be half set, and the pool would not set them back.
        await connection.invalidate()
        raise


class _Patient:
    """A connection on which nothing is waited for without end: the server may be there and still not answer."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable, parameters: Any = None) -> Rows:
        """Run a statement and read its whole result. Raises DatabaseAway."""
        return await _in_time(self._connection.execute(statement, parameters))


async def _in_time(work: Coroutine[Any, Any, Answer]) -> Answer:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await work
    except TimeoutError as exc:
        raise DatabaseAway("The database takes too long to answer.") from exc


class _TextWithoutNul(StrDumperUnknown):
    """PostgreSQL's texts hold every character but one; SQLite's hold all. A server's last words may be anything."""

    def dump(self, obj: str) -> Any:
        """Write U+FFFD, which stands for what cannot be shown, instead of it."""
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)


def _on_connect(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.driver_connection.adapters.register_dumper(str, _TextWithoutNul)


def _on_checkout(dbapi_connection: Any, _record: object, _proxy: object) -> None:
    """
    Refuse a connection that the server has closed since; the pool then makes a new one, for all that were idle.

    A server that has gone has left an end of file, which costs no round trip to see. SQLAlchemy's `pool_pre_ping`
    asks the server each time, and turns the cancellation of whoever waits for that into an error.
    """
    connection = dbapi_connection.driver_connection
    if connection.closed or _has_news(connection.pgconn.socket):
        raise InvalidatePoolError("The server has closed this connection.")


def _has_news(descriptor: int) -> bool:
    """Whether there is anything to read where nothing was asked: the end, or words that come before it."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def lock_key(what: str) -> int:
    """The 64-bit number that stands for *what* among PostgreSQL's advisory locks."""
    digest = hashlib.blake2b(what.encode(), digest_size=8, person=b"perijove").digest()
    return int.from_bytes(digest, "big", signed=True)


def payload_of(notice: Notice) -> str | None:
    """What is sent for *notice*: a JSON array; None if it is too long."""
    payload = json.dumps([notice.kind.value, notice.id, notice.text], separators=(",", ":"), ensure_ascii=False)
    return payload if len(payload.encode()) <= MAX_PAYLOAD else None


def notice_of(payload: str) -> Notice | None:
    """The notice that was sent; None for what a newer version tells, or what is none."""
    try:
        kind, id_, words = json.loads(payload)
        return Notice(Kind(kind), int(id_), str(words))
    except (ValueError, TypeError):
        return None
