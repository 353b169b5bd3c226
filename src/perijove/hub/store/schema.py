"""
Brings a database to the schema that this version needs, at start. Nothing else changes the schema.

A database that is up to date is recognised by one plain query, so that a start does not pay for importing
Alembic. A SQLite file is copied aside before it is migrated.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection, create_engine, inspect, make_url, text
from sqlalchemy.exc import DBAPIError

from perijove.hub.store.errors import DatabaseCorrupt, DatabaseNotWritable, SchemaTooNew, StoreUnusable

log = structlog.get_logger(__name__)

#: newest revision in `migrations/versions`; a test compares
HEAD: Final = "0002"
#: all revisions there
KNOWN: Final = frozenset({"0001", HEAD})
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_VERSION_TABLE: Final = "alembic_version"


def sqlite_file(db_url: str) -> Path | None:
    """The file of a SQLite URL; None for other databases."""
    url = make_url(db_url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def upgrade(db_url: str) -> None:
    """
    Make the tables, or bring them up to date. Blocks: call it from a thread, or before the event loop runs.

    Raises:
        SchemaTooNew: a newer version of perijove wrote this database.
        DatabaseNotWritable: the file or its directory cannot be written.
        DatabaseCorrupt: the file is damaged, or no SQLite database.
        StoreUnusable: it is somebody else's database, or cannot be reached.
    """
    file = sqlite_file(db_url)
    if file is not None:
        _prepare_file(file)
    engine = create_engine(_sync_url(db_url))
    try:
        with engine.connect() as connection:
            version = _version(connection)
            if version == HEAD:
                return
            _check(connection, version)
            if file is not None and version is not None:
                _back_up(file, version)
            _run_alembic(connection)
            connection.commit()
    except DBAPIError as exc:
        raise translate(exc, db_url) from exc
    finally:
        engine.dispose()
    # A new database is no news; one that was changed is.
    (log.info if version else log.debug)("database.migrated", before=version, now=HEAD)


def translate(exc: DBAPIError, db_url: str) -> StoreUnusable:
    """What a driver's complaint means."""
    file = sqlite_file(db_url)
    where = "" if file is None else f" ({file})"
    said = str(exc.orig).lower()
    if "not a database" in said or "malformed" in said:
        return DatabaseCorrupt(f"{DatabaseCorrupt.__doc__}{where}")
    if "readonly" in said or "unable to open" in said or "disk i/o" in said or "full" in said:
        return DatabaseNotWritable(f"{DatabaseNotWritable.__doc__}{where} It says: {exc.orig}")
    return StoreUnusable(f"The database does not work{where}: {exc.orig}")


def _sync_url(db_url: str) -> str:
    url = make_url(db_url)
    if url.get_backend_name() == "sqlite":
        url = url.set(drivername="sqlite")
    return url.render_as_string(hide_password=False)


def _prepare_file(file: Path) -> None:
    """Make directory and file, readable by nobody else: hashes of passwords are in it."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        raise DatabaseNotWritable(f"The database {file} cannot be written: {exc.strerror}.") from exc
    if not os.access(file.parent, os.W_OK):
        raise DatabaseNotWritable(f"The database's directory {file.parent} cannot be written.")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {_VERSION_TABLE}")).scalar_one_or_none()  # noqa: S608  # a constant
    return None if found is None else str(found)


def _check(connection: Connection, version: str | None) -> None:
    if version is not None and version not in KNOWN:
        raise SchemaTooNew(f"{SchemaTooNew.__doc__} (It has revision {version}; this version knows up to {HEAD}.)")
    others = set(inspect(connection).get_table_names()) - {_VERSION_TABLE}
    if version is None and others:
        raise StoreUnusable(f"The database is not perijove's: it has a table {min(others)!r} and no revision.")


def _back_up(file: Path, version: str) -> None:
    copy = file.with_name(f"{file.name}.before-{HEAD}-was-{version}")
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    copy.chmod(0o600)
    log.info("database.backed_up", copy=str(copy))


def _run_alembic(connection: Connection) -> None:
    # Imported here: it takes a third of a second, and almost no start needs it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
