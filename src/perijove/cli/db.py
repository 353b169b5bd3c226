"""
`perijove db`: the database, looked after by an administrator.

Exit status: 0 done, 1 something was found or could not be done, 78 the configuration cannot be used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import click

from perijove.cli.configuration import Configuration
from perijove.cli.offline import FAILED, SETTINGS, become, configured, must_exist, told, with_configuration
from perijove.hub.domain.errors import StoreAway
from perijove.hub.store.check import check as find_faults
from perijove.hub.store.dump import back_up
from perijove.hub.store.errors import DatabaseInUse, StoreUnusable
from perijove.hub.store.restore import restore as put_back
from perijove.hub.store.schema import upgrade as bring_up_to_date
from perijove.supervisor.accounts import LOCK, lock
from perijove.supervisor.errors import AlreadyRunning

_COMMAND: Final = "perijove db"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def db() -> None:
    """Upgrade, back up, restore or check the database. It is the one that the configuration names."""


@db.command(context_settings=SETTINGS)
@click.option("--post", is_flag=True, help="Also what must wait until no hub of an older version is alive.")
@with_configuration
def upgrade(*, config: Path | None, traits: Sequence[str], post: bool) -> None:
    """Bring the database to the schema of this version. `perijove` does that by itself when it starts."""
    configuration = _configuration(config, traits)
    _become(configuration)
    with told(_COMMAND):
        done = bring_up_to_date(configuration.db_url, insist=post)
        if done.before == done.now:
            click.echo(f"The database is up to date (revision {done.now}).")
        elif done.before is None:
            click.echo(f"The database was made (revision {done.now}).")
        else:
            click.echo(f"The database was upgraded from revision {done.before} to {done.now}.")
        if done.waiting:
            click.echo(f"Revisions that wait for hubs of an older version to end: {', '.join(done.waiting)}.")


@db.command(context_settings=SETTINGS)
@click.argument("file", type=click.Path(path_type=Path))
@with_configuration
def backup(*, file: Path, config: Path | None, traits: Sequence[str]) -> None:
    """Write everything in the database to FILE (gzip), which must not exist. perijove may go on meanwhile."""
    configuration = _configuration(config, traits)
    # Opened before giving up root: the folder of backups is root's, and the database the hub's.
    with told(_COMMAND), _new(file) as out:
        _become(configuration)
        must_exist(configuration)
        done = back_up(configuration.db_url, out, say=click.echo)
        click.echo(f"{file}: {done.words or 'no rows'} (revision {done.revision}).")


@db.command(context_settings=SETTINGS)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Also if there is something in the database; it is replaced.")
@with_configuration
def restore(*, file: Path, force: bool, config: Path | None, traits: Sequence[str]) -> None:
    """Put a backup into an empty database, of either kind. perijove must be stopped."""
    configuration = _configuration(config, traits)
    with told(_COMMAND):
        try:
            held = file.open("rb")
        except OSError as exc:
            raise StoreUnusable(f"{file} cannot be read: {exc.strerror}.") from exc
        with held, _stopped(configuration):
            _become(configuration)
            done = put_back(configuration.db_url, held, force=force, say=click.echo)
        click.echo(f"Restored: {done.words or 'no rows'}.")


@db.command(context_settings=SETTINGS)
@with_configuration
def check(*, config: Path | None, traits: Sequence[str]) -> None:
    """Look for damage: the file, the schema, and rows that contradict each other. Changes nothing."""
    configuration = _configuration(config, traits)
    _become(configuration)
    with told(_COMMAND):
        must_exist(configuration)
        found = find_faults(configuration.db_url)
    for sentence in found:
        click.echo(sentence)
    if found:
        sys.exit(FAILED)
    click.echo("Nothing is wrong.")


def _configuration(config: Path | None, traits: Sequence[str]) -> Configuration:
    return configured(config, traits, command=_COMMAND)


def _become(configuration: Configuration) -> None:
    become(configuration, command=_COMMAND)


@contextmanager
def _new(file: Path) -> Iterator[BinaryIO]:
    """A file that only its owner may read; empty, or gone, if what is to stand in it fails. Raises StoreUnusable."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StoreUnusable(f"{file} cannot be made: {exc.strerror}.") from exc
    with os.fdopen(descriptor, "wb") as out:
        try:
            yield out
            out.flush()
            os.fsync(out.fileno())
        except OSError as exc:
            raise StoreUnusable(f"{file} cannot be written: {exc.strerror}.") from exc
        except StoreAway:
            out.truncate(0)
            with suppress(OSError):
                file.unlink()
            raise


@contextmanager
def _stopped(configuration: Configuration) -> Iterator[None]:
    """Nobody may start perijove meanwhile. Raises DatabaseInUse if it runs."""
    path = configuration.paths.runtime / LOCK
    if not path.parent.is_dir():
        yield
        return
    try:
        held = lock(path)
    except AlreadyRunning as exc:
        raise DatabaseInUse(f"{exc} Stop it first.") from exc
    with held:
        yield
