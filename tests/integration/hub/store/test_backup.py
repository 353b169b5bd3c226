"""
Backups: whole, the same for both databases, known when damaged, put back all or not at all.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from perijove.hub.domain.accounts import Account, AccountState, Invitation, InvitationKind
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.sessions import Session
from perijove.hub.store.check import check
from perijove.hub.store.dump import back_up, verify
from perijove.hub.store.errors import DatabaseInUse, DumpUnusable, SchemaTooNew, StoreUnusable
from perijove.hub.store.restore import restore
from perijove.hub.store.schema import HEAD, admin_engine
from perijove.hub.store.sql import SqlStore
from perijove.hub.usecases.testing import START
from tests.integration.hub.store.test_schema import make_old
from tests.support.databases import Databases

KINDS = ("sqlite", "postgresql")


def silent(_: str) -> None:
    """Nobody listens."""


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    with databases.fresh(request.param) as made:
        yield made


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    with databases.fresh(request.param) as made:
        yield made


async def fill(db_url: str) -> None:
    """Something in every table."""
    later = START + timedelta(days=1)
    async with SqlStore(db_url) as store, store.unit() as unit:
        ada = await unit.users.add(name="ada", admin=True, created=START, display_name="Ada \N{SNOWMAN}")
        await unit.users.touch({"ada": later})
        row = await unit.servers.add(user_id=ada.id, name="", created=START)
        await unit.servers.add(user_id=ada.id, name="work", created=START)
        ready: dict[str, Any] = {
            "state": State.READY,
            "target": "http+unix://socket",
            "handle": {"pid": 7, "words": ["a", None]},
        }
        await unit.servers.swap(row, replace(row, **ready))
        session: dict[str, Any] = {
            "id": "s1",
            "user_id": ada.id,
            "secret_hash": "h",
            "created": START,
            "last_seen": START,
        }
        await unit.sessions.add(Session(**session, expires_at=later, address="::1", user_agent="a browser"))
        for prefix in ("one", "two"):
            token = await unit.tokens.add(
                user_id=ada.id, prefix=prefix, token_hash="0" * 64, scopes=["self"], note="", created=START
            )
        # Its id was given, and must not be given again.
        await unit.tokens.delete(token.id)
        await unit.accounts.put(Account(name="ada", password_hash="h", state=AccountState.ACTIVE, created=START))
        await unit.accounts.add_invitation(
            Invitation(id=0, kind=InvitationKind.USER, code_hash="c", name="", created=START, expires_at=later)
        )
        group = await unit.groups.put("students", properties={"room": 3})
        await unit.groups.add_members(group.id, [ada.id])
        await unit.attempts.put({"ada": [START]})
        await unit.facts.put("colour", "blue")


def backup_of(db_url: str) -> io.BytesIO:
    file = io.BytesIO()
    back_up(db_url, file, say=silent)
    file.seek(0)
    return file


def lines_of(file: io.BytesIO) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(file.getvalue()).splitlines()]


def packed(lines: list[bytes]) -> io.BytesIO:
    return io.BytesIO(gzip.compress(b"".join(lines)))


def without_times_of_making(lines: list[Any]) -> list[Any]:
    """What two backups of the same rows agree on: not when they were made, nor stopped servers' generations."""
    kept: list[Any] = []
    servers = False
    for line in lines:
        if isinstance(line, dict):
            servers = line.get("table") == "servers"
            kept.append({key: value for key, value in line.items() if key not in {"made", "sha256"}})
        else:
            kept.append([*line[:4], *line[5:]] if servers else line)
    return kept


async def test_a_backup_of_either_database_put_into_either_is_the_same(source: str, target: str) -> None:
    """
    So it also moves a deployment from one to the other.
    """
    await fill(source)
    file = backup_of(source)

    done = restore(target, file, force=False, say=silent)

    assert without_times_of_making(lines_of(backup_of(target))) == without_times_of_making(lines_of(file))
    assert (done.rows["users"], done.rows["servers"], done.revision) == (1, 2, HEAD)
    assert check(target) == []


async def test_ids_that_were_given_before_the_backup_are_not_given_again(source: str, target: str) -> None:
    await fill(source)
    restore(target, backup_of(source), force=False, say=silent)

    async with SqlStore(target) as store, store.unit() as unit:
        user = await unit.users.by_name("ada")
        assert user is not None
        token = await unit.tokens.add(
            user_id=user.id, prefix="new", token_hash="1" * 64, scopes=[], note="", created=START
        )

    assert token.id == 3


async def test_a_stopped_server_goes_on_from_a_generation_that_nobody_has_seen(source: str, target: str) -> None:
    """
    It may have been started since the backup, and that process may still be there.
    """
    await fill(source)
    before = datetime.now(UTC).timestamp() * 1000 - 1
    restore(target, backup_of(source), force=False, say=silent)

    async with SqlStore(target) as store, store.reading() as unit:
        stopped, ready = await unit.servers.by_key("ada", "work"), await unit.servers.by_key("ada", "")
    assert stopped is not None
    assert ready is not None
    assert stopped.generation > before > ready.generation


class Meddling(io.BytesIO):
    """Somebody writes to the database while it is backed up."""

    def __init__(self, meddle: Callable[[], None]) -> None:
        super().__init__()
        self._meddle = meddle
        self._times = 0

    def write(self, data: Any, /) -> int:
        self._times += 1
        if self._times == 1:
            self._meddle()
        return super().write(data)


async def test_a_backup_shows_one_moment_and_nobody_waits_for_it(source: str) -> None:
    await fill(source)
    engine = admin_engine(source)

    def meddle() -> None:
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM users"))

    file = Meddling(meddle)
    done = back_up(source, file, say=silent)
    engine.dispose()

    assert (done.rows["users"], done.rows["servers"], done.rows["tokens"]) == (1, 2, 1)


async def test_a_backup_tells_how_far_it_is_and_holds_no_living_hub(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perijove.hub.store.dump.PROGRESS_ROWS", 1)
    await fill(source)
    await register(source, START)
    told: list[str] = []

    done = back_up(source, io.BytesIO(), say=told.append)

    assert "servers: 2 rows …" in told
    assert "hubs" not in done.rows


async def register(db_url: str, until: datetime) -> None:
    async with SqlStore(db_url) as store, store.unit() as unit:
        await unit.hubs.register("host-1", version="1", now=START, until=until)


def cut_off(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def altered(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b"ada", b"bob") for line in lines]


def longer(lines: list[bytes]) -> list[bytes]:
    return [*lines, b"{}\n"]


def newer(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b'"version":1', b'"version":2'), *lines[1:]]


@pytest.mark.parametrize("damage", [cut_off, altered, longer, newer])
async def test_a_damaged_backup_is_known_before_anything_is_changed(
    databases: Databases, target: str, damage: Callable[[list[bytes]], list[bytes]]
) -> None:
    with databases.fresh("sqlite") as source:
        await fill(source)
        lines = gzip.decompress(backup_of(source).getvalue()).splitlines(keepends=True)
    await fill(target)
    before = lines_of(backup_of(target))

    with pytest.raises(DumpUnusable):
        restore(target, packed(damage(lines)), force=True, say=silent)

    assert without_times_of_making(lines_of(backup_of(target))) == without_times_of_making(before)


@pytest.mark.parametrize("content", [b"", b"not gzip at all", gzip.compress(b"not json"), gzip.compress(b"[]")[:-4]])
def test_a_file_that_is_no_backup_is_refused(content: bytes) -> None:
    with pytest.raises(DumpUnusable):
        verify(io.BytesIO(content))


async def test_what_is_in_a_database_is_replaced_only_if_one_insists(source: str, target: str) -> None:
    await fill(source)
    async with SqlStore(target) as store, store.unit() as unit:
        await unit.users.add(name="bob", admin=False, created=START)

    with pytest.raises(DatabaseInUse, match=r"users.*--force"):
        restore(target, backup_of(source), force=False, say=silent)
    restore(target, backup_of(source), force=True, say=silent)

    async with SqlStore(target) as store, store.reading() as unit:
        users, _ = await unit.users.page(offset=0, limit=10)
    assert [user.name for user in users] == ["ada"]


async def test_a_database_that_a_hub_uses_is_never_replaced(source: str, target: str) -> None:
    await fill(source)
    await register(target, datetime.now(UTC) + timedelta(hours=1))

    with pytest.raises(DatabaseInUse, match="host-1"):
        restore(target, backup_of(source), force=True, say=silent)


def test_a_damaged_sqlite_file_can_be_replaced_and_is_kept(databases: Databases) -> None:
    with databases.fresh("sqlite") as source, databases.fresh("sqlite") as target:
        file = Path(target.removeprefix("sqlite:///"))
        file.write_bytes(b"damaged " * 1000)

        restore(target, backup_of(source), force=True, say=silent)

        assert file.with_name(f"{file.name}.before-restore").read_bytes() == b"damaged " * 1000
        assert file.stat().st_mode & 0o777 == 0o600
        assert check(target) == []


def test_a_backup_of_an_older_version_is_put_back_and_migrated(target: str, tmp_path: Path) -> None:
    file = tmp_path / "old.sqlite"
    make_old(file, "0001")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO users VALUES (1, 'ada', 0, '2026-01-02 03:04:05', NULL, 'Ada')")

    done = restore(target, backup_of(f"sqlite:///{file}"), force=False, say=silent)

    assert (done.revision, done.rows["users"]) == ("0001", 1)
    assert check(target)[:1] == []


async def test_a_backup_of_a_newer_version_is_refused(target: str, databases: Databases) -> None:
    with databases.fresh("sqlite") as source:
        engine = admin_engine(source)
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        engine.dispose()
        file = backup_of(source)

    with pytest.raises(SchemaTooNew, match="9999"):
        restore(target, file, force=False, say=silent)


def test_where_nothing_is_there_is_nothing_to_back_up_or_check(databases: Databases) -> None:
    url = databases.postgres.url(databases.postgres.create())

    with pytest.raises(StoreUnusable, match="no database of perijove's"):
        back_up(url, io.BytesIO(), say=silent)
    with pytest.raises(StoreUnusable, match="no database of perijove's"):
        check(url)


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        ("UPDATE servers SET target = '' WHERE state = 'ready'", "1 servers run and nobody knows where, for .*'ada/'"),
        ("UPDATE servers SET target = 'x' WHERE state = 'stopped'", "1 servers are stopped and still have an address"),
        ("UPDATE servers SET state = 'confused'", "2 servers are in a state that does not exist"),
        ("UPDATE servers SET lease_holder = 'h' WHERE state = 'ready'", "1 servers are held by a hub"),
        ("UPDATE tokens SET server = 'ada/gone'", "1 tokens belong to servers that do not exist.*'ada/gone'"),
        ("UPDATE tokens SET session_id = 'gone'", "1 tokens belong to sessions that do not exist"),
        ("UPDATE accounts SET state = 'retired'", "1 accounts were given up and have a user"),
        ("UPDATE accounts SET name = 'eve'", "1 accounts may sign in and have no user"),
        ("UPDATE accounts SET state = 'confused'", "1 accounts are in a state that does not exist"),
        ("DROP INDEX ix_servers_lease_holder", "The schema is not what this version made: .*ix_servers_lease_holder"),
        ("UPDATE alembic_version SET version_num = '0001'", "of revision 0001, this version's is 0004: upgrade first"),
    ],
)
async def test_what_contradicts_itself_is_found(source: str, harm: str, sentence: str) -> None:
    await fill(source)
    assert check(source) == []
    engine = admin_engine(source)
    with engine.begin() as connection:
        connection.execute(text(harm))
    engine.dispose()

    found = check(source)

    assert len(found) == 1
    assert re.search(sentence, found[0])


async def test_an_id_that_would_be_given_twice_is_found(databases: Databases) -> None:
    with databases.fresh("postgresql") as db_url:
        await fill(db_url)
        engine = admin_engine(db_url)
        with engine.begin() as connection:
            connection.execute(text("SELECT setval('tokens_id_seq', 1, false)"))
        engine.dispose()

        assert any("tokens would get an id that is taken" in sentence for sentence in check(db_url))


def test_a_damaged_page_of_a_file_is_found(databases: Databases) -> None:
    with databases.fresh("sqlite") as db_url:
        file = Path(db_url.removeprefix("sqlite:///"))
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("PRAGMA writable_schema = ON")
            database.execute("UPDATE sqlite_master SET rootpage = 2 WHERE name = 'ix_servers_state_user_id'")

        assert any("damaged" in sentence for sentence in _check(db_url))


def _check(db_url: str) -> list[str]:
    """What is found, also if the file cannot be read at all."""
    try:
        return check(db_url)
    except StoreUnusable as exc:
        return [exc.message]
