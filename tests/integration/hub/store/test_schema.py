from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from perijove.hub.domain.errors import StoreAway
from perijove.hub.store import migrations
from perijove.hub.store.errors import DatabaseCorrupt, DatabaseNotWritable, SchemaTooNew, StoreUnusable
from perijove.hub.store.revisions import CODE
from perijove.hub.store.schema import HEAD, KNOWN, upgrade
from perijove.hub.store.sql import SqlStore
from perijove.hub.store.tables import metadata


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "hub.sqlite"


@pytest.fixture
def made(file: Path) -> Path:
    upgrade(url(file))
    return file


def url(file: Path) -> str:
    return f"sqlite:///{file}"


def version(file: Path) -> str:
    with closing(sqlite3.connect(file)) as database:
        return str(database.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def set_version(file: Path, revision: str, oldest_code: str) -> None:
    """As a newer version would have left it."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        database.execute("UPDATE facts SET value = ? WHERE name = 'schema.oldest_code'", (oldest_code,))


def test_a_new_database_is_made_with_its_directory_for_the_owner_only(made: Path) -> None:
    assert version(made) == HEAD
    assert made.stat().st_mode & 0o777 == 0o600
    assert made.parent.stat().st_mode & 0o777 == 0o700


def test_the_migrations_make_exactly_the_tables_that_the_code_knows(made: Path) -> None:
    engine = create_engine(url(made))
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()

    assert differences == []


def test_the_known_revisions_are_those_in_the_folder() -> None:
    """
    The constants save a start the import of Alembic; they must not lag behind.
    """
    script = ScriptDirectory(str(Path(migrations.__file__).parent))

    assert script.get_heads() == [HEAD]
    assert {revision.revision for revision in script.walk_revisions()} == KNOWN
    named = {Path(revision.path).name[:8] for revision in script.walk_revisions()}
    assert named == {f"{revision.name}_{revision.half.value[:3]}" for revision in CODE.revisions}


def test_a_start_with_a_current_database_does_not_import_alembic(made: Path) -> None:
    code = "; ".join(
        (
            "import sys",
            "from perijove.hub.store.schema import upgrade",
            f"upgrade({url(made)!r})",
            "assert 'alembic' not in sys.modules",
        )
    )

    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env={"PYTHONPATH": "src"}
    )

    assert done.returncode == 0, done.stderr


def test_a_database_from_a_newer_version_is_refused_and_left_alone(made: Path) -> None:
    set_version(made, "9999", oldest_code="9998")
    before = made.read_bytes()

    with pytest.raises(SchemaTooNew, match=f"newer version.*9999.*{HEAD}"):
        upgrade(url(made))

    assert made.read_bytes() == before


def test_a_database_to_which_a_newer_version_only_added_is_accepted_and_left_alone(made: Path) -> None:
    """
    A hub of the last version that is restarted while another is upgraded already.
    """
    set_version(made, "9999", oldest_code=HEAD)
    before = made.read_bytes()

    done = upgrade(url(made))

    assert done.now == "9999"
    assert made.read_bytes() == before


def make_old(file: Path, revision: str) -> None:
    """A database as an older release left it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = create_engine(url(file))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def test_an_older_database_is_copied_aside_and_then_migrated_with_what_is_in_it(file: Path) -> None:
    make_old(file, "0001")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO users VALUES (1, 'ada', 0, '2026-01-02 03:04:05', NULL, 'Ada')")

    upgrade(url(file))

    copy = file.with_name(f"{file.name}.before-{HEAD}-was-0001")
    assert (version(copy), version(file)) == ("0001", HEAD)
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT name, display_name FROM users").fetchall() == [("ada", "Ada")]


def test_a_file_that_is_no_database_is_refused(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("these are not the rows you are looking for" * 100)

    with pytest.raises(DatabaseCorrupt, match=r"damaged.*hub\.sqlite"):
        upgrade(url(file))


def test_somebody_elses_database_is_refused(file: Path) -> None:
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE spawners (id INTEGER)")

    with pytest.raises(StoreUnusable, match=r"not perijove's.*spawners"):
        upgrade(url(file))


def test_a_path_that_cannot_be_written_is_refused_with_a_reason(tmp_path: Path) -> None:
    obstacle = tmp_path / "state"
    obstacle.write_text("a file where a directory should be")

    with pytest.raises(DatabaseNotWritable, match="cannot be written"):
        upgrade(url(obstacle / "hub.sqlite"))


async def test_a_database_that_goes_bad_under_way_is_a_store_that_is_away(made: Path) -> None:
    async with SqlStore(url(made)) as store:
        await store.ping()
    await asyncio.to_thread(made.write_text, "gone bad " * 10_000)

    async with SqlStore(url(made)) as store:
        with pytest.raises(StoreAway):
            await store.ping()
        with pytest.raises(StoreAway):
            async with store.unit() as unit:
                await unit.users.has_admin()


async def test_two_processes_take_turns(made: Path) -> None:
    """
    A command of an administrator's beside the running hub.
    """
    async with SqlStore(url(made)) as one, SqlStore(url(made)) as other:
        for store, name in ((one, "ada"), (other, "bob"), (one, "eve")):
            async with store.unit() as unit:
                await unit.users.add(name=name, admin=False, created=datetime(2026, 1, 2, tzinfo=UTC))
        async with other.unit() as unit:
            _, total = await unit.users.page(offset=0, limit=10)

    assert total == 3
