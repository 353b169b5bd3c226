"""
Two versions over one database: what the first half of an upgrade adds, the older one does not notice; what the second
half removes comes when the older one is gone.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import JSON, Boolean, Column, DateTime, Integer, MetaData, String, Table, insert, select, text

from perijove import __version__
from perijove.hub.store.errors import OlderHubsAlive, SchemaTooNew
from perijove.hub.store.revisions import CODE, Code, Half, Plan, Revision, is_older, plan
from perijove.hub.store.schema import HEAD, admin_engine, finish_upgrade, upgrade
from perijove.hub.store.sql import SqlStore
from perijove.hub.usecases.testing import START
from tests.support.databases import Databases

#: The tables of the last release, as it knew them; never to be changed.
RELEASE_0001 = MetaData()
for name, columns in {
    "users": [("name", String), ("admin", Boolean), ("created", DateTime), ("display_name", String)],
    "servers": [
        *[("user_id", Integer), ("name", String), ("state", String), ("generation", Integer), ("created", DateTime)],
        *[("display_name", String), ("handle", JSON), ("target", String), ("user_options", JSON)],
        *[("failure", String), ("failure_log", JSON), ("lease_holder", String)],
    ],
    "sessions": [
        *[("id", String), ("user_id", Integer), ("secret_hash", String), ("created", DateTime)],
        *[("last_seen", DateTime), ("expires_at", DateTime), ("address", String), ("user_agent", String)],
    ],
    "tokens": [
        *[("user_id", Integer), ("prefix", String), ("token_hash", String), ("scopes", JSON), ("note", String)],
        *[("created", DateTime), ("session_id", String), ("server", String)],
    ],
    "accounts": [("name", String), ("password_hash", String), ("state", String), ("created", DateTime)],
    "invitations": [
        *[("kind", String), ("code_hash", String), ("name", String), ("created", DateTime)],
        *[("expires_at", DateTime), ("created_by", String)],
    ],
}.items():
    Table(name, RELEASE_0001, *(Column(column, kind) for column, kind in columns))

#: a version after this one, in two halves
NEXT_PRE = """
import sqlalchemy as sa
from alembic import op
revision = "9001"
down_revision = {head!r}
def upgrade():
    op.add_column("users", sa.Column("nickname", sa.Text))
"""
NEXT_POST = """
from alembic import op
revision = "9002"
down_revision = "9001"
def upgrade():
    with op.batch_alter_table("users") as users:
        users.drop_column("display_name")
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def db_url(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """A database as this version leaves it."""
    with databases.fresh(request.param) as made:
        yield made


@pytest.fixture
def on_postgresql(databases: Databases) -> Iterator[str]:
    with databases.fresh("postgresql") as made:
        yield made


@pytest.fixture
def following(tmp_path: Path) -> Code:
    """The next version's code."""
    folder = tmp_path / "migrations"
    shutil.copytree(CODE.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "9001_pre_nickname.py").write_text(NEXT_PRE.format(head=HEAD))
    (folder / "versions" / "9002_post_display_name.py").write_text(NEXT_POST)
    halves = (Revision("9001", Half.PRE, HEAD), Revision("9002", Half.POST, "9002"))
    return Code(version="900.0", revisions=(*CODE.revisions, *halves), folder=folder)


def sample(column: Column[Any]) -> Any:
    kinds: dict[type, Any] = {Integer: 1, Boolean: False, DateTime: datetime(2026, 1, 2), JSON: {}, String: "x"}  # noqa: DTZ001
    return kinds[type(column.type)]


def test_every_statement_of_the_last_release_works_on_this_schema(db_url: str) -> None:
    """
    It writes the columns that it knows, and no others; what has been added since must not mind.
    """
    engine = admin_engine(db_url)
    with engine.begin() as connection:
        for table in RELEASE_0001.tables.values():
            values = {column.name: sample(column) for column in table.columns}
            connection.execute(insert(table).values(values))
            connection.execute(table.update().values(values))
            read = connection.execute(select(table)).one()._asdict()
            # One database answers times with a time zone, the other without.
            assert {name: read[name] for name in values if not isinstance(values[name], datetime)} == {
                name: value for name, value in values.items() if not isinstance(value, datetime)
            }
        for table in reversed(list(RELEASE_0001.tables.values())):
            connection.execute(table.delete())
    engine.dispose()


async def use(db_url: str, name: str) -> str:
    """What a hub of this version does."""
    async with SqlStore(db_url) as store:
        async with store.unit() as unit:
            user = await unit.users.add(name=name, admin=False, created=START, display_name=name.title())
        async with store.reading() as unit:
            found = await unit.users.by_id(user.id)
    assert found is not None
    return found.display_name


async def register(db_url: str, *, version: str = __version__, seconds: float = 3600) -> None:
    async with SqlStore(db_url) as store, store.unit() as unit:
        now = datetime.now(UTC)
        await unit.hubs.register("host-1", version=version, now=now, until=now + timedelta(seconds=seconds))


async def test_two_versions_run_side_by_side_until_the_older_one_has_gone(on_postgresql: str, following: Code) -> None:
    await register(on_postgresql)

    first = await asyncio.to_thread(upgrade, on_postgresql, code=following)
    restarted = await asyncio.to_thread(upgrade, on_postgresql)

    assert (first.now, first.waiting) == ("9001", ("9002",))
    assert restarted.now == "9001"
    assert await use(on_postgresql, "ada") == "Ada"
    engine = admin_engine(on_postgresql)
    with engine.begin() as connection:
        connection.execute(text("UPDATE users SET nickname = 'countess'"))
    engine.dispose()
    with pytest.raises(OlderHubsAlive, match="host-1"):
        await asyncio.to_thread(upgrade, on_postgresql, code=following, insist=True)

    await register(on_postgresql, seconds=-3600)
    second = await asyncio.to_thread(upgrade, on_postgresql, code=following)

    assert (second.before, second.now, second.waiting) == ("9001", "9002", ())
    with pytest.raises(SchemaTooNew, match=f"revision 9002; this version knows up to {HEAD}"):
        await asyncio.to_thread(upgrade, on_postgresql)


async def test_hubs_of_the_same_version_hold_nothing_up(on_postgresql: str, following: Code) -> None:
    await register(on_postgresql, version=following.version)

    assert (await asyncio.to_thread(upgrade, on_postgresql, code=following)).now == "9002"


def test_over_sqlite_there_is_one_hub_and_both_halves_run_at_once(databases: Databases, following: Code) -> None:
    with databases.fresh("sqlite") as db_url:
        done = upgrade(db_url, code=following)

        assert (done.before, done.now, done.waiting) == (HEAD, "9002", ())
        with pytest.raises(SchemaTooNew):
            upgrade(db_url)


async def test_a_half_that_waits_is_run_by_the_hubs_themselves(
    on_postgresql: str, following: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(on_postgresql)
    await asyncio.to_thread(upgrade, on_postgresql, code=following)
    monkeypatch.setattr("perijove.hub.store.schema.POST_SECONDS", 0.01)
    waiting = asyncio.timeout(30)

    async with waiting:
        await register(on_postgresql, seconds=-3600)
        await finish_upgrade(on_postgresql, code=following)

    assert (await asyncio.to_thread(upgrade, on_postgresql, code=following)).before == "9002"


async def test_two_hubs_that_start_at_once_migrate_once(databases: Databases, following: Code) -> None:
    with databases.fresh("postgresql") as db_url:
        done = await asyncio.gather(*(asyncio.to_thread(upgrade, db_url, code=following) for _ in range(3)))

    assert sorted((one.before or "", one.now) for one in done) == [(HEAD, "9002"), ("9002", "9002"), ("9002", "9002")]


PRE, POST = Half.PRE, Half.POST
STEPS = (Revision("1", PRE, "1"), Revision("2", PRE, "1"), Revision("3", POST, "3"), Revision("4", PRE, "3"))
NEWEST = Code(version="4", revisions=STEPS, folder=Path())
OLDER = Code(version="3", revisions=STEPS[:3], folder=Path())


@pytest.mark.parametrize(
    ("code", "revision", "older_hubs", "planned"),
    [
        (NEWEST, None, (), Plan(target="4")),
        (NEWEST, "1", (), Plan(target="4")),
        (NEWEST, "4", ("h",), Plan(target=None)),
        (NEWEST, "3", ("h",), Plan(target="4")),
        (OLDER, "1", ("h",), Plan(target="2", waiting=("3",))),
        (OLDER, "2", ("h",), Plan(target=None, waiting=("3",))),
    ],
)
def test_a_plan_goes_as_far_as_the_older_hubs_allow(
    code: Code, revision: str | None, older_hubs: tuple[str, ...], planned: Plan
) -> None:
    assert plan(code, revision, oldest_code=None, older_hubs=older_hubs) == planned


def test_a_version_that_needs_a_half_that_must_wait_is_refused() -> None:
    """
    Two versions may run side by side, three may not.
    """
    with pytest.raises(OlderHubsAlive):
        plan(NEWEST, "2", oldest_code=None, older_hubs=("h",))


@pytest.mark.parametrize("oldest_code", [None, "4"])
def test_a_database_that_does_not_allow_this_code_is_refused(oldest_code: str | None) -> None:
    with pytest.raises(SchemaTooNew):
        plan(OLDER, "4", oldest_code=oldest_code, older_hubs=())


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [("0.1.0", "0.2.0", True), ("0.9.0", "0.10.0", True), ("1.0", "1.0", False), ("2.0", "1.9.9", False)],
)
def test_versions_are_compared_by_their_numbers(version: str, than: str, *, older: bool) -> None:
    assert is_older(version, than) is older


def test_an_interrupted_migration_leaves_the_database_as_it_was(on_postgresql: str, following: Code) -> None:
    """
    A hub that is killed in the middle of one finds the same database when it is back.
    """
    file = following.folder / "versions" / "9001_pre_nickname.py"
    file.write_text(file.read_text() + "    raise RuntimeError('the machine went down')\n")

    with pytest.raises(RuntimeError):
        upgrade(on_postgresql, code=following)

    assert upgrade(on_postgresql).now == HEAD


def test_the_command_line_of_alembic_still_works(databases: Databases) -> None:
    """
    Whoever writes a revision uses it.
    """
    config = Config()
    config.set_main_option("script_location", str(CODE.folder))
    with databases.fresh("sqlite") as db_url:
        config.set_main_option("sqlalchemy.url", db_url)
        command.check(config)
