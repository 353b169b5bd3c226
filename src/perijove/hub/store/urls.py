"""
What a database's URL names, and how the drivers are told.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from perijove.hub.store.errors import StoreUnusable

#: What PostgreSQL is told about this program; shown in `pg_stat_activity`.
APPLICATION: Final = "perijove"
#: Seconds for a new connection.
CONNECT_SECONDS: Final = 5
#: Seconds that one statement may take, and that it waits for a lock.
STATEMENT_SECONDS: Final = 15
LOCK_SECONDS: Final = 10
#: Seconds that a transaction may do nothing. A hub that hangs in one keeps its locks for as long: less than the part
#: of a lease after which the others take its work over.
IDLE_SECONDS: Final = 5
#: A server that vanished without a word is noticed within `idle + interval * count` seconds.
KEEPALIVES: Final = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 3, "keepalives_count": 3}
#: Milliseconds that something sent may go without an acknowledgement.
TCP_USER_TIMEOUT: Final = 15_000


def sqlite_file(db_url: str) -> Path | None:
    """The file of a SQLite URL; None for other databases. Raises StoreUnusable."""
    url = parsed(db_url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def parsed(db_url: str) -> URL:
    """
    The parts of *db_url*.

    Raises:
        StoreUnusable: it is none. The message does not show it: there may be a password in it.
    """
    try:
        return make_url(db_url)
    except (ArgumentError, ValueError):
        raise StoreUnusable("c.Perijove.db_url is not of the form postgresql://user@host/database.") from None


def driver_url(db_url: str) -> URL:
    """
    The URL that SQLAlchemy gets: with our driver, whatever driver was named.

    Raises:
        StoreUnusable: it is no URL, or the driver is not installed.
    """
    url = parsed(db_url)
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite")
    try:
        import_module("psycopg")
    except ImportError as exc:
        raise StoreUnusable(
            "PostgreSQL needs the driver psycopg, which is not installed: pip install 'perijove[postgresql]'."
        ) from exc
    return url.set(drivername="postgresql+psycopg")


def connect_args(
    db_url: str, *, statement_seconds: int = STATEMENT_SECONDS, idle_seconds: int = IDLE_SECONDS
) -> dict[str, Any]:
    """What every connection to a server is made with; what the URL itself states wins."""
    url = parsed(db_url)
    if url.get_backend_name() == "sqlite":
        return {}
    limits = (
        f"-c statement_timeout={statement_seconds}s -c lock_timeout={LOCK_SECONDS}s "
        f"-c idle_in_transaction_session_timeout={idle_seconds}s"
    )
    stated = url.query.get("options", "")
    ours: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": APPLICATION,
        "tcp_user_timeout": TCP_USER_TIMEOUT,
        **KEEPALIVES,
    }
    free = {name: value for name, value in ours.items() if name not in url.query}
    return {**free, "options": f"{limits} {stated}".strip()}
