"""
What is written for many rows at once is what SQLAlchemy would have written.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import DBAPIError

from perijove.hub.store.schema import upgrade
from perijove.hub.store.sqlite_thread import SqliteThread
from perijove.hub.store.tables import users

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
TIMES = (
    NOW,
    NOW.replace(microsecond=0),
    NOW.replace(year=987),
    NOW.astimezone(timezone(timedelta(hours=-9, minutes=-30))),
    None,
)
_CHANGE = (
    update(users)
    .where(users.c.name == bindparam("who"), users.c.admin.is_(False), users.c.display_name == "none")
    .values(last_activity=bindparam("at"), display_name="some")
)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteThread]:
    url = f"sqlite:///{tmp_path / 'hub.sqlite'}"
    upgrade(url)
    thread = SqliteThread(url)
    for number in range(len(TIMES)):
        row = {"name": f"u{number}", "admin": False, "created": NOW, "display_name": "none"}
        await thread.execute(users.insert().values(row))
    await thread.commit()
    yield thread
    await thread.close()


async def _rows(database: SqliteThread) -> list[Any]:
    """
    As they are stored: times as text.
    """
    rows = await database.execute(
        select(users.c.name, users.c.display_name, users.c.last_activity.cast(users.c.name.type))
    )
    return [tuple(row) for row in rows]


async def test_many_rows_are_written_as_one_after_the_other(database: SqliteThread) -> None:
    changes = [{"who": f"u{number}", "at": at} for number, at in enumerate(TIMES)]
    for change in changes:
        await database.execute(_CHANGE, change)
    one_by_one = await _rows(database)
    await database.rollback()

    done = await database.execute(_CHANGE, changes)

    assert done.rowcount == len(TIMES)
    assert await _rows(database) == one_by_one
    assert one_by_one[0] == ("u0", "some", "2026-05-06 07:08:09.123456")


async def test_a_row_without_a_value_is_refused_and_nothing_is_kept(database: SqliteThread) -> None:
    before = await _rows(database)
    with pytest.raises(DBAPIError):
        await database.execute(_CHANGE, [{"who": "u0", "at": NOW}, {"who": "u1"}])
    await database.rollback()

    assert await _rows(database) == before
