"""
Whether a database is sound: its file, its schema, and rows that contradict each other.

Looks only. What it finds are sentences for the administrator; each kind is told with how many there are and one
example.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, MetaData, Select, exists, func, select
from sqlalchemy.exc import DBAPIError

from perijove.hub.domain.accounts import AccountState
from perijove.hub.domain.lifecycle import UNDRIVEN, State
from perijove.hub.store.dump import gives_ids, last_id
from perijove.hub.store.errors import StoreUnusable
from perijove.hub.store.outage import translate
from perijove.hub.store.revisions import CODE
from perijove.hub.store.schema import admin_engine, revision_of
from perijove.hub.store.tables import accounts, metadata, servers, sessions, tokens, users
from perijove.hub.store.urls import sqlite_file

_OWNER: Final = users.c.name
_KEY: Final = users.c.name + "/" + servers.c.name
#: what is wrong with the rows that a statement finds → the statement; its first column is the example
_CONTRADICTIONS: Final[tuple[tuple[str, Select[tuple[str]]], ...]] = (
    (
        "servers are in a state that does not exist",
        select(_KEY).join_from(servers, users).where(servers.c.state.not_in([state.value for state in State])),
    ),
    (
        "servers run and nobody knows where",
        select(_KEY).join_from(servers, users).where(servers.c.state == State.READY.value, servers.c.target == ""),
    ),
    (
        "servers are stopped and still have an address",
        select(_KEY).join_from(servers, users).where(servers.c.state == State.STOPPED.value, servers.c.target != ""),
    ),
    (
        "servers are held by a hub that has nothing to do with them",
        select(_KEY)
        .join_from(servers, users)
        .where(servers.c.state.in_([state.value for state in UNDRIVEN]), servers.c.lease_holder != ""),
    ),
    (
        "tokens belong to servers that do not exist",
        select(tokens.c.server)
        .join_from(tokens, users)
        .where(tokens.c.server != "", ~exists().where(servers.c.user_id == users.c.id, tokens.c.server == _KEY)),
    ),
    (
        "tokens belong to sessions that do not exist",
        select(_OWNER)
        .join_from(tokens, users)
        .where(tokens.c.session_id != "", ~exists().where(sessions.c.id == tokens.c.session_id)),
    ),
    (
        "accounts were given up and have a user",
        select(accounts.c.name).where(
            accounts.c.state == AccountState.RETIRED.value, exists().where(users.c.name == accounts.c.name)
        ),
    ),
    (
        "accounts may sign in and have no user",
        select(accounts.c.name).where(
            accounts.c.state == AccountState.ACTIVE.value, ~exists().where(users.c.name == accounts.c.name)
        ),
    ),
    (
        "accounts are in a state that does not exist",
        select(accounts.c.name).where(accounts.c.state.not_in([state.value for state in AccountState])),
    ),
)


def check(db_url: str) -> list[str]:
    """
    What is wrong, as sentences; empty if nothing is.

    Raises:
        StoreUnusable: there is no database of perijove's, or it cannot be read at all.
        DatabaseAway: it does not answer.
    """
    engine = admin_engine(db_url)
    try:
        with engine.connect() as connection:
            revision = revision_of(connection)
            if revision is None:
                raise StoreUnusable("There is no database of perijove's there.")
            found = list(_file(connection) if sqlite_file(db_url) is not None else ())
            if revision != CODE.head:
                return [*found, f"The schema is of revision {revision}, this version's is {CODE.head}: upgrade first."]
            schema = list(_schema(connection))
            # Rows are looked at by columns, which must be there.
            return [*found, *schema, *(() if schema else _rows(connection))]
    except DBAPIError as exc:
        raise translate(exc, db_url) from exc
    finally:
        engine.dispose()


def _file(connection: Connection) -> Iterator[str]:
    for row in connection.exec_driver_sql("PRAGMA integrity_check"):
        if row[0] != "ok":
            yield f"The file is damaged: {row[0]}."
    for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"A row of {row[0]} (number {row[1]}) belongs to a row of {row[2]} that does not exist."


def _schema(connection: Connection) -> Iterator[str]:
    # Imported here: only this needs it, and it is slow to load.
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415
    from alembic.migration import MigrationContext  # noqa: PLC0415

    for difference in compare_metadata(MigrationContext.configure(connection), metadata):
        # A column's changes come as a list of their own.
        words = difference[0] if isinstance(difference, list) else difference
        yield f"The schema is not what this version made: {' '.join(str(word) for word in words[:4])}."


def _rows(connection: Connection) -> Iterator[str]:
    for words, statement in _CONTRADICTIONS:
        count = connection.execute(select(func.count()).select_from(statement.subquery())).scalar_one()
        if count:
            example = connection.execute(statement.limit(1)).scalar_one()
            yield f"{count} {words}, for instance {example!r}."
    reflected = MetaData()
    reflected.reflect(connection)
    for table in filter(gives_ids, reflected.tables.values()):
        highest = connection.execute(select(func.max(table.c.id))).scalar_one() or 0
        if highest > last_id(connection, table):
            yield f"The next row of {table.name} would get an id that is taken: {highest}."
