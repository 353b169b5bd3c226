"""
Reading beside a writer: nobody waits, nothing old is seen, and nothing can be changed.
"""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Select, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from perijove.hub.domain.errors import StoreAway
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.store import sql_groups, sql_servers, sql_sessions, sql_tokens, sql_users
from perijove.hub.store.kept import Kept, kept
from perijove.hub.store.schema import upgrade
from perijove.hub.store.sql import SqlStore
from perijove.hub.store.sqlite_reader import MAX_ON_LOOP, SqliteReader
from perijove.hub.store.tables import users
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.identify import Identify
from perijove.hub.usecases.load_roles import load_roles
from perijove.kit.clock import SystemClock

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
TOKEN = "0123456789abcdef" * 2


@pytest.fixture
def file(tmp_path: Path) -> Path:
    upgrade(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    return tmp_path / "hub.sqlite"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[SqlStore]:
    async with SqlStore(f"sqlite:///{file}") as opened:
        yield opened


async def names(store: SqlStore) -> list[str]:
    async with store.reading() as unit:
        found, _ = await unit.users.page(offset=0, limit=100)
    return [user.name for user in found]


async def test_what_is_committed_is_seen_at_once_and_nothing_before(store: SqlStore) -> None:
    async with store.unit() as unit:
        await unit.users.add(name="ada", admin=False, created=NOW)
        async with store.reading() as reading:
            during = await reading.users.by_name("ada")
        listed = await names(store)

    async with store.reading() as reading:
        after = await reading.users.by_name("ada")
    assert (during, listed) == (None, [])
    assert after is not None
    assert after.created == NOW


async def test_a_reader_who_came_first_sees_what_is_written_later(store: SqlStore) -> None:
    """
    Of a database that nobody else has open there is no shared memory yet, and a reader makes none.
    """
    async with store.reading() as unit:
        before = await unit.users.by_name("ada")
    listed = await names(store)
    async with store.unit() as unit:
        await unit.users.add(name="ada", admin=False, created=NOW)

    assert (before, listed) == (None, [])
    assert await _by_name(store, "ada") == "ada"
    assert await names(store) == ["ada"]


async def test_reading_waits_for_no_writer(store: SqlStore) -> None:
    """
    A unit that is never finished keeps all other units waiting, but nobody who reads.
    """
    async with store.unit() as unit:
        await unit.users.add(name="ada", admin=False, created=NOW)
        async with asyncio.timeout(5), store.reading() as reading:
            assert await reading.users.by_id(1) is None
            assert await reading.users.page(offset=0, limit=10) == ([], 0)


async def test_nothing_can_be_changed_by_reading(store: SqlStore) -> None:
    with pytest.raises(StoreAway):
        async with store.reading() as unit:
            await unit.users.add(name="ada", admin=False, created=NOW)

    assert await names(store) == []


async def test_another_process_is_believed_with_the_next_look(file: Path, store: SqlStore) -> None:
    """
    Nothing is remembered from one look to the next: a token that one hub revokes is nobody's in all others.
    """
    clock = SystemClock()
    identify = Identify(
        store=store, clock=clock, roles=load_roles(roles=[], services=[]), activity=Activity(store=store, clock=clock)
    )
    async with SqlStore(f"sqlite:///{file}") as other:
        async with other.unit() as unit:
            user = await unit.users.add(name="ada", admin=False, created=NOW)
            row = await unit.tokens.add(
                user_id=user.id, prefix=TOKEN[:8], token_hash=hash_secret(TOKEN), scopes=["self"], note="", created=NOW
            )
        before = await identify.by_token(TOKEN)
        async with other.unit() as unit:
            await unit.users.set_admin(user.id, admin=True)
        raised = await identify.by_token(TOKEN)
        async with other.unit() as unit:
            await unit.tokens.delete(row.id)
        after = await identify.by_token(TOKEN)

    assert before is not None
    assert raised is not None
    assert (before.admin, raised.admin, after) == (False, True, None)


async def test_a_locked_file_is_waited_for_without_the_event_loop(file: Path) -> None:
    """
    Nobody locks a WAL database for good, but recovery after a crash and the last one to leave do for a moment.
    """
    async with SqlStore(f"sqlite:///{file}") as store, store.unit() as unit:
        await unit.users.add(name="ada", admin=False, created=NOW)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        async with SqlStore(f"sqlite:///{file}") as waiting:
            looking = asyncio.ensure_future(_by_name(waiting, "ada"))  # noqa: TID251  # a test's own
            turns = 0
            while turns < 20 and not looking.done():
                await asyncio.sleep(0.01)
                turns += 1
            other.execute("COMMIT")
            found = await looking

    assert turns == 20
    assert found == "ada"


async def _by_name(store: SqlStore, name: str) -> str:
    async with store.reading() as unit:
        user = await unit.users.by_name(name)
    return "" if user is None else user.name


async def test_a_key_that_no_column_can_hold_is_nobodys(store: SqlStore) -> None:
    async with store.reading() as unit:
        assert await unit.users.by_name("\udcff") is None
        assert await unit.users.by_id(2**70) is None


async def test_more_rows_than_belong_on_the_loop_are_read_on_the_thread(store: SqlStore) -> None:
    async with store.unit() as unit:
        user = await unit.users.add(name="ada", admin=False, created=NOW)
        for number in range(MAX_ON_LOOP + 1):
            await unit.servers.add(user_id=user.id, name=f"s{number}", created=NOW)

    async with store.reading() as unit:
        assert len(await unit.servers.of_users([user.id])) == MAX_ON_LOOP + 1


async def test_a_page_has_the_servers_of_all_its_users(store: SqlStore) -> None:
    async with store.unit() as unit:
        ids = [(await unit.users.add(name=f"u{number}", admin=False, created=NOW)).id for number in range(260)]
        for user_id in ids:
            await unit.servers.add(user_id=user_id, name="", created=NOW)

    async with store.reading() as unit:
        for count in (0, 1, 2, 50, 51, 200, 260):
            found = await unit.servers.of_users(ids[:count])
            assert [server.user_id for server in found] == ids[:count]


async def test_a_reader_refuses_to_write_whoever_asks(file: Path) -> None:
    reader = SqliteReader(file)
    with pytest.raises(DBAPIError, match="readonly"):
        await reader.execute(insert(users).values(name="ada", admin=False, created=NOW, display_name=""))
    rows = await reader.execute(select(users))
    await reader.close()

    assert list(rows) == []


def _kept_by_key(module: ModuleType) -> Iterator[tuple[str, Select[Any]]]:
    for name, value in inspect.getmembers(module):
        if isinstance(value, Select) and kept(value) is Kept.BY_KEY:
            yield f"{module.__name__}.{name}", value


def test_what_is_answered_on_the_event_loop_finds_its_rows_by_an_index(file: Path) -> None:
    """
    A scan would stop every other request for as long as it takes.
    """
    modules = (sql_servers, sql_sessions, sql_tokens, sql_users)
    statements = dict(pair for module in modules for pair in _kept_by_key(module))
    for size in (1, 50):
        statements[f"servers of {size}"] = sql_servers._of_several(size)
        statements[f"groups of {size}"] = sql_groups._of_several(size)
    plans = {}
    with closing(sqlite3.connect(file)) as database:
        for name, statement in statements.items():
            compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"))
            rows = database.execute(f"EXPLAIN QUERY PLAN {compiled}", compiled.params)
            plans[name] = [detail for *_, detail in rows]

    assert len(plans) >= 8
    assert {name: plan for name, plan in plans.items() if any("SCAN" in step for step in plan)} == {}
