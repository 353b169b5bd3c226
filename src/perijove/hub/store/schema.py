"""
Brings a database to the schema that this version needs, at start. Nothing else changes the schema.

A database that is up to date is recognised by one plain query, so that a start does not pay for importing
Alembic. A SQLite file is copied aside before it is migrated. How far one may go is `revisions.py`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine, create_engine, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from perijove.hub.domain.errors import StoreAway
from perijove.hub.store.errors import DatabaseAway, DatabaseNotWritable, OlderHubsAlive, StoreUnusable
from perijove.hub.store.outage import translate
from perijove.hub.store.revisions import CODE, OLDEST_CODE, Code, is_older, plan
from perijove.hub.store.tables import facts, hubs
from perijove.hub.store.urls import connect_args, driver_url, parsed, sqlite_file

log = structlog.get_logger(__name__)

#: newest revision that this version knows
HEAD: Final = CODE.head
#: all that it knows
KNOWN: Final = frozenset(revision.name for revision in CODE.revisions)
VERSION_TABLE: Final = "alembic_version"
#: seconds that one statement of a migration may take, and that another hub's migration is waited for
MIGRATION_SECONDS: Final = 3600
#: seconds between looks for a database that is away when the hub starts, and between words about it
AWAIT_SECONDS: Final = 0.5
WORD_SECONDS: Final = 30.0
#: seconds between tries to run post halves that wait
POST_SECONDS: Final = 30.0
#: a hub whose clock is behind may believe that it is alive this much longer
_SKEW: Final = timedelta(minutes=1)
#: the advisory lock of whoever migrates; any number that is nobody else's
_MIGRATION_LOCK: Final = 0x7065_7269_6A6F_7665


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """What came of an upgrade."""

    #: revision of the database before; None if it was new
    before: str | None
    #: and now
    now: str
    #: post halves that wait for hubs of an older version to end
    waiting: tuple[str, ...] = ()


def upgrade(db_url: str, *, code: Code = CODE, insist: bool = False) -> Upgraded:
    """
    Make the tables, or bring them up to date. Blocks: call it from a thread, or before the event loop runs.

    Args:
        db_url: the database.
        code: whose schema is wanted.
        insist: post halves must not wait.

    Raises:
        SchemaTooNew: a newer version of perijove has changed this database for good.
        OlderHubsAlive: a post half is needed, and hubs of an older version are alive.
        DatabaseNotWritable: the file or its directory cannot be written.
        DatabaseCorrupt: the file is damaged, or no SQLite database.
        DatabaseAway: it does not answer.
        StoreUnusable: it is somebody else's database, or lets nobody in.
    """
    file = sqlite_file(db_url)
    if file is not None:
        _prepare_file(file)
    engine = admin_engine(db_url)
    try:
        with engine.connect() as connection:
            done = _upgrade(connection, file, code, insist=insist)
            connection.commit()
    except DBAPIError as exc:
        raise translate(exc, db_url) from exc
    finally:
        engine.dispose()
    if done.before is not None and done.before != done.now:
        # A new database is no news; one that was changed is.
        log.info("database.migrated", before=done.before, now=done.now)
    if done.waiting:
        log.info("database.halves_wait", revisions=done.waiting, why="hubs of an older version are alive")
    return done


def upgrade_when_there(db_url: str) -> Upgraded:
    """
    Upgrade a database as soon as it answers: a hub that is restarted must not give up because its database is too.

    Raises:
        StoreUnusable: waiting would not help.
    """
    next_word = 0.0
    while True:
        try:
            return upgrade(db_url)
        except DatabaseAway as exc:
            if time.monotonic() >= next_word:
                log.warning("database.awaited", why=exc.message)
                next_word = time.monotonic() + WORD_SECONDS
        time.sleep(AWAIT_SECONDS)


async def finish_upgrade(db_url: str, *, code: Code = CODE) -> None:
    """Run the post halves that wait, as soon as the last hub of an older version is gone."""
    while True:
        await asyncio.sleep(POST_SECONDS)
        try:
            if not (await asyncio.to_thread(upgrade, db_url, code=code)).waiting:
                return
        except StoreAway as exc:
            log.warning("database.halves_delayed", why=exc.message)


def admin_engine(db_url: str) -> Engine:
    """An engine for long work on a whole database. Raises StoreUnusable."""
    if parsed(db_url).get_backend_name() not in {"sqlite", "postgresql", "postgres"}:
        raise StoreUnusable("perijove keeps its database in SQLite or in PostgreSQL.")
    words = connect_args(db_url, statement_seconds=MIGRATION_SECONDS, idle_seconds=MIGRATION_SECONDS)
    return create_engine(driver_url(db_url), connect_args=words, poolclass=NullPool, **_dialect_words(db_url))


def revision_of(connection: Connection) -> str | None:
    """The revision of the schema; None if there is none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()  # noqa: S608  # a constant
    return None if found is None else str(found)


def tables_of(connection: Connection) -> list[str]:
    """All tables but the one that holds the revision."""
    return sorted(set(inspect(connection).get_table_names()) - {VERSION_TABLE})


def living_hubs(connection: Connection, now: datetime) -> list[tuple[str, str]]:
    """Name and version of every hub that may still be alive."""
    if not inspect(connection).has_table(hubs.name):
        return []
    rows = connection.execute(select(hubs.c.name, hubs.c.version).where(hubs.c.alive_until > now - _SKEW))
    return [(row.name, row.version) for row in rows]


def run_alembic(connection: Connection, code: Code, target: str) -> None:
    """Run every revision up to *target*; each records the oldest code that may run on what it leaves."""
    # Imported here: it takes a third of a second, and almost no start needs it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(code.folder))
    config.attributes["connection"] = connection
    command.upgrade(config, target)
    oldest = next(revision.oldest_code for revision in code.revisions if revision.name == target)
    if inspect(connection).has_table(facts.name):
        connection.execute(facts.delete().where(facts.c.name == OLDEST_CODE))
        connection.execute(facts.insert().values(name=OLDEST_CODE, value=oldest))


def _dialect_words(db_url: str) -> dict[str, Any]:
    return {} if sqlite_file(db_url) is not None else {"use_native_hstore": False}


def _upgrade(connection: Connection, file: Path | None, code: Code, *, insist: bool) -> Upgraded:
    before = revision_of(connection)
    if before == code.head:
        return Upgraded(before=before, now=before)
    if file is None:
        before = _alone(connection)
    if before is None and tables_of(connection):
        raise StoreUnusable(
            f"The database is not perijove's: it has a table {tables_of(connection)[0]!r} and no revision."
        )
    older = _older_hubs(connection, code) if file is None else []
    planned = plan(code, before, oldest_code=_oldest_code(connection), older_hubs=older)
    if insist and planned.waiting:
        raise OlderHubsAlive(f"{OlderHubsAlive.__doc__} ({', '.join(older)})")
    if planned.target is not None:
        if file is not None and before is not None:
            _back_up(file, before, planned.target)
        run_alembic(connection, code, planned.target)
    return Upgraded(before=before, now=planned.target or before or code.head, waiting=planned.waiting)


def _alone(connection: Connection) -> str | None:
    """Wait for whoever else migrates this database, and look again."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{MIGRATION_SECONDS}s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    # A table is locked to be changed; while we waited long for that, everybody else would wait behind us.
    connection.execute(text("SET LOCAL lock_timeout = '10s'"))
    return revision_of(connection)


def _older_hubs(connection: Connection, code: Code) -> list[str]:
    alive = living_hubs(connection, datetime.now(UTC))
    return [f"{name}, {version}" for name, version in alive if is_older(version, code.version)]


def _oldest_code(connection: Connection) -> str | None:
    if not inspect(connection).has_table(facts.name):
        return None
    found: str | None = connection.execute(
        select(facts.c.value).where(facts.c.name == OLDEST_CODE)
    ).scalar_one_or_none()
    return found


def _prepare_file(file: Path) -> None:
    """Make directory and file, readable by nobody else: hashes of passwords are in it."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        raise DatabaseNotWritable(f"The database {file} cannot be written: {exc.strerror}.") from exc
    if not os.access(file.parent, os.W_OK):
        raise DatabaseNotWritable(f"The database's directory {file.parent} cannot be written.")


def _back_up(file: Path, version: str, target: str) -> None:
    copy = file.with_name(f"{file.name}.before-{target}-was-{version}")
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as end:
        source.backup(end)
    copy.chmod(0o600)
    log.info("database.backed_up", copy=str(copy))
