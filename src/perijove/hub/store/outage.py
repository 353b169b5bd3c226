"""
What a driver's complaint means, and whether the database is away at present.

Whoever asked is told in our words; what the driver says is the operator's, once when the database goes away
and once when it is back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from perijove.hub.domain.errors import Conflict, HubError, InvalidRequest, StoreAway
from perijove.hub.store.errors import (
    DatabaseAway,
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseFull,
    DatabaseNotWritable,
    StoreUnusable,
)
from perijove.hub.store.urls import parsed, sqlite_file

log = structlog.get_logger(__name__)

#: what SQLite says → what it is; the first that is found decides
_SQLITE: Final = (
    ("not a database", DatabaseCorrupt),
    ("malformed", DatabaseCorrupt),
    ("is full", DatabaseFull),
    ("locked", DatabaseBusy),
    ("busy", DatabaseBusy),
    ("readonly", DatabaseNotWritable),
    ("unable to open", DatabaseNotWritable),
    ("disk i/o", DatabaseNotWritable),
)
#: classes of PostgreSQL's error codes that waiting may mend: connection, rollback by deadlock or serialization,
#: resources, locks, an operator's intervention, the machine (appendix A of its manual)
_PASSING: Final = frozenset({"08", "40", "53", "55", "57", "58"})
#: what a server says that does not let anybody in right now; other refusals need somebody
_LATER: Final = ("starting up", "shutting down", "recovery", "too many", "connection slots", "not yet accepting")
#: a standby, or a database that was set to read-only while it is looked after
_READ_ONLY: Final = "25006"


class Outage:
    """Translates errors at the store's border, and remembers whether the last unit failed."""

    def __init__(self, db_url: str) -> None:
        self._db_url = db_url
        self._away = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """
        Run a unit.

        Raises:
            Conflict: the database refused what clashes with it.
            InvalidRequest: a value that no column can hold.
            StoreAway: the database does not answer.
        """
        try:
            yield
        except (DBAPIError, PoolTimeout) as exc:
            ours = meaning(exc, self._db_url)
            if ours is None:
                raise
            if isinstance(ours, StoreAway):
                self._went(exc)
            raise ours from exc
        except StoreAway as exc:
            self._went(exc)
            raise
        if self._away:
            self._away = False
            log.info("database.back")

    def _went(self, exc: Exception) -> None:
        if not self._away:
            self._away = True
            log.warning("database.away", why=said(exc))


def meaning(exc: DBAPIError | PoolTimeout, db_url: str) -> HubError | None:
    """Our error for a driver's; None if it is a mistake of ours."""
    if isinstance(exc, PoolTimeout):
        return DatabaseBusy()
    if isinstance(exc, IntegrityError):
        return Conflict()
    if isinstance(exc, DataError):
        return InvalidRequest()
    if parsed(db_url).get_backend_name() == "sqlite":
        return _of_sqlite(exc)
    return _of_server(exc)


def translate(exc: DBAPIError, db_url: str) -> StoreAway:
    """What a complaint means to the administrator who starts perijove or works on the database."""
    file = sqlite_file(db_url)
    if file is None:
        away = isinstance(_of_server(exc), DatabaseAway)
        kind: type[StoreAway] = DatabaseAway if away else StoreUnusable
        return kind(f"{'The database does not answer' if away else 'The database does not work'}: {said(exc)}")
    ours = _of_sqlite(exc)
    if ours is None:
        return StoreUnusable(f"The database does not work ({file}): {said(exc)}")
    detail = "" if isinstance(ours, DatabaseCorrupt) else f" It says: {said(exc)}"
    return type(ours)(f"{type(ours).__doc__} ({file}){detail}")


def said(exc: Exception) -> str:
    """The driver's own words, on one line."""
    words = str(exc.orig if isinstance(exc, DBAPIError) else exc)
    return " ".join(words.split())


def _of_sqlite(exc: DBAPIError) -> StoreAway | None:
    words = said(exc).lower()
    return next((kind() for mark, kind in _SQLITE if mark in words), None)


def _of_server(exc: DBAPIError) -> StoreAway | None:
    code = getattr(exc.orig, "sqlstate", None)
    if code is not None:
        passes = code[:2] in _PASSING or code == _READ_ONLY
        return DatabaseAway() if passes else None
    if isinstance(exc, ProgrammingError):
        return StoreUnusable()
    # The connection failed. A server that answered says so in words alone.
    words = said(exc)
    refused = "FATAL:" in words and not any(mark in words for mark in _LATER)
    return StoreUnusable() if refused else DatabaseAway()
