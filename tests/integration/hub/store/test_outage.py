"""
The database goes away and comes back: units say so, nothing half done stays, and the same store goes on.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from perijove.hub.domain.errors import InvalidRequest, StoreAway
from perijove.hub.domain.notices import Kind, Notice
from perijove.hub.store.errors import DatabaseAway, DatabaseBusy, DatabaseFull, StoreUnusable
from perijove.hub.store.outage import meaning
from perijove.hub.store.schema import upgrade
from perijove.hub.store.sql import SqlStore
from perijove.hub.usecases.testing import START
from perijove.kit.tasks import TaskGroup
from tests.support.postgres import Postgres, running_postgres

#: seconds in which anything here is done
PATIENCE = 30


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One of their own, which these tests stop and start again."""
    with running_postgres() as running:
        yield running


@pytest.fixture
def name(server: Postgres) -> str:
    made = server.create()
    upgrade(server.url(made))
    return made


@pytest.fixture
async def store(server: Postgres, name: str) -> AsyncIterator[SqlStore]:
    async with SqlStore(server.url(name)) as opened:
        yield opened


async def add(store: SqlStore, name: str) -> None:
    async with store.unit() as unit:
        await unit.users.add(name=name, admin=False, created=START)


async def names(store: SqlStore) -> list[str]:
    async with store.reading() as unit:
        users, _ = await unit.users.page(offset=0, limit=10)
    return [user.name for user in users]


async def back(store: SqlStore) -> None:
    """Until it answers again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await store.ping()
            except StoreAway:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_stops_and_starts_is_away_and_then_used_again(
    server: Postgres, store: SqlStore, mode: str
) -> None:
    """
    One word when it goes, one when it is back: an outage of a minute must not fill the log.
    """
    await add(store, "ada")

    with capture_logs() as logs:
        await asyncio.to_thread(server.stop, mode)
        for _ in range(3):
            with pytest.raises(StoreAway):
                await add(store, "bob")
        await asyncio.to_thread(server.start)
        await back(store)

    assert await names(store) == ["ada"]
    assert [entry["event"] for entry in logs] == ["database.away", "database.back"]


async def test_a_connection_cut_in_mid_transaction_leaves_nothing_and_the_next_unit_works(
    server: Postgres, store: SqlStore, name: str
) -> None:
    async def add_two() -> None:
        async with store.unit() as unit:
            await unit.users.add(name="ada", admin=False, created=START)
            await asyncio.to_thread(server.terminate, name)
            await unit.users.add(name="bob", admin=False, created=START)

    with pytest.raises(StoreAway):
        await add_two()

    await add(store, "eve")
    assert await names(store) == ["eve"]


async def test_a_commit_whose_answer_is_cut_off_is_not_reported_as_done(
    server: Postgres, store: SqlStore, name: str
) -> None:
    async def add_one() -> None:
        async with store.unit() as unit:
            await unit.users.add(name="ada", admin=False, created=START)
            await asyncio.to_thread(server.terminate, name)

    with pytest.raises(StoreAway):
        await add_one()

    assert await names(store) == []


async def test_every_connection_of_the_pool_may_be_cut_at_once(server: Postgres, store: SqlStore, name: str) -> None:
    """
    Whoever asks next gets a fresh one, not the second, third and tenth broken one.
    """
    await asyncio.gather(*(store.ping() for _ in range(10)))

    assert await asyncio.to_thread(server.terminate, name) > 1
    await asyncio.gather(*(add(store, f"user{number}") for number in range(10)))

    assert len(await names(store)) == 10


async def test_a_server_that_is_there_and_does_not_answer_is_away(
    server: Postgres, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Its machine swaps, or somebody has stopped it: no end of a connection tells.
    """
    await store.ping()
    main = psutil.Process(server.pid)
    processes = [main, *main.children()]
    for process in processes:
        process.suspend()
    try:
        # Only here: a machine that has much to do answers later than that, too.
        with monkeypatch.context() as hasty:
            hasty.setattr("perijove.hub.store.server_database.ANSWER_SECONDS", 0.5)
            with pytest.raises(StoreAway, match="too long"):
                await add(store, "ada")
    finally:
        for process in processes:
            process.resume()

    await back(store)
    assert await names(store) == []


async def test_a_unit_that_is_cancelled_anywhere_ends_and_leaves_a_usable_pool(server: Postgres, name: str) -> None:
    """
    The rows of a visitor who went away, at every moment from the wait for a connection to the commit.
    """
    async with SqlStore(server.url(name)) as store, TaskGroup("visitors") as visitors:
        # With the first connection SQLAlchemy learns of the server; cancelled in that, it leaves closing to Python.
        await store.ping()
        for turns in range(60):
            visit = visitors.start("visit", add(store, f"user{turns}"))
            for _ in range(turns):
                await asyncio.sleep(0)
            visit.cancel()
            await asyncio.wait({visit}, timeout=PATIENCE)

            assert visit.cancelled() or visit.exception() is None
        await asyncio.gather(*(store.ping() for _ in range(10)))


async def test_a_unit_that_finds_no_connection_free_says_so(
    server: Postgres, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perijove.hub.store.server_database.POOL_SIZE", 1)
    monkeypatch.setattr("perijove.hub.store.server_database.WAIT_SECONDS", 0.1)
    async with SqlStore(server.url(name)) as store, store.unit():
        with pytest.raises(DatabaseBusy):
            await store.ping()


async def test_whoever_listens_hears_of_the_gap_and_then_of_everything_again(server: Postgres, store: SqlStore) -> None:
    async with aclosing(store.notices()) as notices, asyncio.timeout(PATIENCE):
        assert await anext(notices) == Notice(Kind.LOST)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await back(store)

        assert await anext(notices) == Notice(Kind.LOST)
        async with store.unit() as unit:
            unit.notify(Notice(Kind.SERVER, 7))
        assert await anext(notices) == Notice(Kind.SERVER, 7)


async def _listening(server: Postgres, name: str) -> int:
    async with await psycopg.AsyncConnection.connect(server.url(name), autocommit=True) as connection:
        found = await connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        row = await found.fetchone()
    assert row is not None
    return int(row[0])


async def test_all_who_want_notices_share_a_connection_while_there_are_any(server: Postgres, name: str) -> None:
    async with SqlStore(server.url(name)) as store, asyncio.timeout(PATIENCE):
        async with aclosing(store.notices()) as one:
            assert await anext(one) == Notice(Kind.LOST)
            async with aclosing(store.notices()) as other:
                # It came later, and may have missed something as well.
                assert await anext(other) == Notice(Kind.LOST)
                assert await _listening(server, name) == 1
                async with store.unit() as unit:
                    unit.notify(Notice(Kind.SERVER, 7))
                assert [await anext(one), await anext(other)] == [Notice(Kind.SERVER, 7)] * 2
            async with store.unit() as unit:
                unit.notify(Notice(Kind.SERVER, 8))
            assert await anext(one) == Notice(Kind.SERVER, 8)
        for _ in range(100):
            if await _listening(server, name):
                # The server has not seen the end of the connection yet.
                await asyncio.sleep(0.05)
        assert await _listening(server, name) == 0
        async with aclosing(store.notices()) as again:
            assert await anext(again) == Notice(Kind.LOST)


async def test_notices_of_one_hub_reach_another_and_those_too_long_are_left_out(server: Postgres, name: str) -> None:
    async with (
        SqlStore(server.url(name)) as one,
        SqlStore(server.url(name)) as other,
        aclosing(other.notices()) as notices,
        asyncio.timeout(PATIENCE),
    ):
        await anext(notices)
        with capture_logs() as logs:
            async with one.unit() as unit:
                unit.notify(Notice(Kind.PROGRESS, 1, "x" * 8000))
                unit.notify(Notice(Kind.PROGRESS, 2, "é" * 3900))

        assert await anext(notices) == Notice(Kind.PROGRESS, 2, "é" * 3900)
    assert [entry["event"] for entry in logs] == ["notice.too_long"]


async def test_what_no_column_can_hold_is_the_askers_mistake_and_no_outage(store: SqlStore) -> None:
    with capture_logs() as logs, pytest.raises(InvalidRequest):
        async with store.unit() as unit:
            await unit.users.add(name="a" * 300, admin=False, created=START)

    assert logs == []


async def test_text_with_a_nul_is_kept_without_it(store: SqlStore) -> None:
    """
    A server's last words may hold anything, and PostgreSQL's texts hold everything but this.
    """
    async with store.unit() as unit:
        user = await unit.users.add(name="ada", admin=False, created=START, display_name="A\0da")
        assert await unit.users.by_name("a\0da") is None

        read = await unit.users.by_id(user.id)
    assert read is not None
    assert read.display_name == "A\ufffdda"


async def test_ids_beyond_every_column_are_nobodys(store: SqlStore) -> None:
    async with store.unit() as unit:
        assert await unit.tokens.get(10**17) is None
        await unit.accounts.delete_invitation(10**17)


def test_a_server_that_lets_nobody_in_is_no_outage(server: Postgres, name: str) -> None:
    """
    Waiting would not help: somebody must create the database, or say who may enter.
    """
    with pytest.raises(StoreUnusable, match='database "nowhere" does not exist'):
        upgrade(server.url("nowhere"))
    with pytest.raises(StoreUnusable, match='role "nobody" does not exist'):
        upgrade(server.url(name).replace("//hub@", "//nobody@"))


def test_a_server_that_is_not_there_yet_is_waited_for() -> None:
    with pytest.raises(DatabaseAway, match="does not answer"):
        upgrade("postgresql://hub:hunter2@127.0.0.1:1/perijove")


@pytest.mark.parametrize(
    "db_url",
    ["postgresql://hub:hunter2@localhost:port/perijove", "postgresql://hub:hunter2@localhost/perijove?colour=blue"],
)
def test_a_url_that_cannot_be_is_a_sentence_without_the_password(db_url: str) -> None:
    with pytest.raises(StoreUnusable) as refused:
        upgrade(db_url)

    assert "hunter2" not in str(refused.value)


def test_a_missing_driver_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("perijove.hub.store.urls.import_module", fail)

    with pytest.raises(StoreUnusable, match=r"pip install 'perijove\[postgresql\]'"):
        upgrade("postgresql://hub@127.0.0.1/perijove")


def test_a_sqlite_file_that_another_process_holds_is_busy(tmp_path: Path) -> None:
    db_url = f"sqlite:///{tmp_path / 'hub.sqlite'}"
    upgrade(db_url)
    engine = create_engine(db_url, connect_args={"timeout": 0})
    with closing(sqlite3.connect(tmp_path / "hub.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with engine.connect() as connection, pytest.raises(DBAPIError) as failed:
            connection.execute(text("DELETE FROM users"))
    engine.dispose()

    assert isinstance(meaning(failed.value, db_url), DatabaseBusy)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 KB."""
    if os.getuid() != 0:
        pytest.skip("mounts a small file system, which needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.root
async def test_a_full_disk_is_told_and_over_when_there_is_room_again(small_disk: Path) -> None:
    db_url = f"sqlite:///{small_disk / 'hub.sqlite'}"
    upgrade(db_url)
    async with SqlStore(db_url) as store:
        await add(store, "ada")
        ballast = small_disk / "ballast"
        _fill(ballast)
        with pytest.raises(DatabaseFull):
            await _many(store)
        # Whatever only looks goes on.
        assert await names(store) == ["ada"]
        ballast.unlink()

        await add(store, "bob")
        assert await names(store) == ["ada", "bob"]


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


async def _many(store: SqlStore) -> None:
    async with store.unit() as unit:
        for number in range(1000):
            await unit.users.add(name=f"user{number}", admin=False, created=START, display_name="x" * 1000)
