"""
A backup of all rows, in a form that is the same for every database: gzip over lines of JSON.

    {"format": "perijove backup", "version": 1, "revision": "0002", "perijove": "0.1.0", "made": "2026-01-02T…"}
    {"table": "users", "columns": ["id", "name", …], "types": ["integer", "text", …]}
    [1, "ada", …]                                      one line a row
    {"end": {"users": 1, …}, "counters": {"users": 1, …}, "sha256": "…"}

The last line counts the rows of each table, says which ids were given last (none is given twice), and has the
SHA-256 of all lines before it, so that a backup that was cut off or altered is known as such.
Law: a reader of version 1 reads every file of version 1; what is added to a line later has a default.

`alembic_version` is the revision; `hubs` and the fact of the oldest code describe the database, not what is in it,
and are left out. The reading side is `restore.py`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Final

from sqlalchemy import JSON, Boolean, Connection, DateTime, Integer, MetaData, Table, func, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from perijove import __version__
from perijove.hub.store.errors import DumpUnusable, StoreUnusable
from perijove.hub.store.outage import translate
from perijove.hub.store.revisions import OLDEST_CODE
from perijove.hub.store.schema import VERSION_TABLE, admin_engine, revision_of
from perijove.hub.store.tables import facts, hubs

FORMAT: Final = "perijove backup"
VERSION: Final = 1
#: tables that describe the database or who uses it, not what is in it
LEFT_OUT: Final = frozenset({VERSION_TABLE, hubs.name})
#: rows that are fetched at once, and between two words about progress
BATCH: Final = 1000
PROGRESS_ROWS: Final = 50_000
#: longest line that is read: a row's options and log have bounds far below
MAX_LINE: Final = 16 * 1024 * 1024

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a backup holds."""

    revision: str
    rows: Mapping[str, int]

    @property
    def words(self) -> str:
        """For people."""
        return ", ".join(f"{count} {name}" for name, count in self.rows.items() if count)


@dataclass(slots=True)
class Head:
    """The first line of a backup."""

    revision: str
    perijove: str
    made: str


@dataclass(slots=True)
class TableLine:
    """A line that begins a table."""

    name: str
    columns: Sequence[str]
    types: Sequence[str]


@dataclass(slots=True)
class EndLine:
    """The last line of a backup."""

    rows: Mapping[str, int]
    counters: Mapping[str, int]


#: What a backup is made of. A list is a row of the table begun last.
Line = Head | TableLine | EndLine | list[Any]


# -- writing ----------------------------------------------------------------------------------------------------


def back_up(db_url: str, file: IO[bytes], *, say: Say) -> Summary:
    """
    Write all rows as they are at one moment. Hubs may go on meanwhile.

    Raises:
        StoreUnusable: there is no database of perijove's.
        DatabaseAway: it does not answer.
    """
    engine = admin_engine(db_url)
    try:
        with engine.connect() as connection:
            # One moment for all tables, which no writer has to wait for.
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            else:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            revision = revision_of(connection)
            if revision is None:
                raise StoreUnusable("There is no database of perijove's there.")
            return _write(connection, revision, file, say)
    except DBAPIError as exc:
        raise translate(exc, db_url) from exc
    finally:
        engine.dispose()


def _write(connection: Connection, revision: str, file: IO[bytes], say: Say) -> Summary:
    metadata = MetaData()
    metadata.reflect(connection)
    tables = [table for table in metadata.sorted_tables if table.name not in LEFT_OUT]
    counts: dict[str, int] = {}
    with gzip.GzipFile(fileobj=file, mode="wb", filename="") as packed:
        out = _Lines(packed)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        out.write({"format": FORMAT, "version": VERSION, "revision": revision, "perijove": __version__, "made": made})
        for table in tables:
            kinds = [_kind(column.type) for column in table.columns]
            out.write({"table": table.name, "columns": table.columns.keys(), "types": kinds})
            counts[table.name] = 0
            for row in _rows(connection, table):
                out.write([_written(value) for value in row])
                counts[table.name] += 1
                if counts[table.name] % PROGRESS_ROWS == 0:
                    say(f"{table.name}: {counts[table.name]} rows …")
        counters = {table.name: last_id(connection, table) for table in tables if gives_ids(table)}
        out.end({"end": counts, "counters": counters})
    return Summary(revision=revision, rows=counts)


class _Lines:
    """Writes lines and remembers their digest."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, value: object) -> None:
        line = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        self._digest.update(line)
        self._file.write(line)

    def end(self, value: Mapping[str, object]) -> None:
        self.write({**value, "sha256": self._digest.hexdigest()})


def _rows(connection: Connection, table: Table) -> Iterator[Sequence[Any]]:
    wanted = select(table).order_by(*table.primary_key.columns)
    if table.name == facts.name:
        wanted = wanted.where(table.c.name != OLDEST_CODE)
    yield from connection.execution_options(yield_per=BATCH).execute(wanted)


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    return value


def _kind(column: TypeEngine[Any]) -> str:
    kinds: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
        (DateTime, "time"),
        (Boolean, "boolean"),
        (Integer, "integer"),
        (JSON, "json"),
    )
    return next((kind for cls, kind in kinds if isinstance(column, cls)), "text")


def gives_ids(table: Table) -> bool:
    """Whether the database gives its rows ids."""
    return list(table.primary_key.columns.keys()) == ["id"] and isinstance(table.c.id.type, Integer)


def last_id(connection: Connection, table: Table) -> int:
    """The id that was given last."""
    if connection.dialect.name == "sqlite":
        if not inspect(connection).has_table("sqlite_sequence"):
            return 0
        found = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
    else:
        words = text("SELECT last_value FROM pg_sequences WHERE schemaname || '.' || sequencename = :name")
        sequence = connection.execute(select(func.pg_get_serial_sequence(table.name, "id"))).scalar_one()
        found = connection.execute(words, {"name": sequence})
    return int(found.scalar_one_or_none() or 0)


# -- reading ----------------------------------------------------------------------------------------------------


def read(file: IO[bytes]) -> Iterator[Line]:
    """
    The lines of a backup, one by one. Only after the last has it been checked whole.

    Raises:
        DumpUnusable: it is no backup, of a newer format, cut off or altered.
    """
    digest = hashlib.sha256()
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as packed:
            for line in iter(lambda: packed.readline(MAX_LINE), b""):
                value = json.loads(line)
                if isinstance(value, dict) and "sha256" in value:
                    if value["sha256"] != digest.hexdigest() or packed.read(1):
                        raise DumpUnusable("The backup was altered: its checksum does not fit.")
                    yield EndLine(value["end"], value["counters"])
                    return
                digest.update(line)
                yield _line(value)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as exc:
        raise DumpUnusable("The file is no backup of perijove, or is damaged.") from exc
    raise DumpUnusable("The backup was cut off: its last line is missing.")


def verify(file: IO[bytes]) -> Summary:
    """Read a backup to its end, and back to its beginning. Raises DumpUnusable."""
    revision, rows = "", {}
    for line in read(file):
        match line:
            case Head():
                revision = line.revision
            case EndLine():
                rows = dict(line.rows)
    file.seek(0)
    return Summary(revision=revision, rows=rows)


def _line(value: Any) -> Line:
    if isinstance(value, list):
        return value
    if "format" in value:
        if value["format"] != FORMAT or value["version"] > VERSION:
            raise DumpUnusable("The backup is of a format that this version does not know: it was made by a newer one.")
        return Head(value["revision"], value["perijove"], value["made"])
    return TableLine(value["table"], value["columns"], value["types"])
