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
from perijove.hub.store.errors import DatabaseBusy, DatabaseCorrupt, DatabaseFull, DatabaseNotWritable, StoreUnusable
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


def translate(exc: DBAPIError, db_url: str) -> StoreUnusable:
    """What a complaint means to the administrator who starts perijove or works on the database."""
    file = sqlite_file(db_url)
    where = "" if file is None else f" ({file})"
    ours = _of_sqlite(exc) if file is not None else None
    if ours is None:
        return StoreUnusable(f"The database does not work{where}: {said(exc)}")
    detail = "" if isinstance(ours, DatabaseCorrupt) else f" It says: {said(exc)}"
    return type(ours)(f"{type(ours).__doc__}{where}{detail}")


def said(exc: Exception) -> str:
    """The driver's own words, on one line."""
    words = str(exc.orig if isinstance(exc, DBAPIError) else exc)
    return " ".join(words.split())


def _of_sqlite(exc: DBAPIError) -> StoreUnusable | None:
    words = said(exc).lower()
    return next((kind() for mark, kind in _SQLITE if mark in words), None)


def _of_server(exc: DBAPIError) -> StoreAway | None:
    code = getattr(exc.orig, "sqlstate", None) or ""
    # Without a code the connection itself failed.
    passes = not code or code[:2] in _PASSING or code == _READ_ONLY
    if isinstance(exc, ProgrammingError) or not passes:
        return StoreUnusable() if code[:2] in {"28", "3D", "42"} else None
    return StoreAway()
