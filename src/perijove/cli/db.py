"""
`perijove db`: the database, looked after by an administrator.

Exit status: 0 done, 1 something was found or could not be done, 78 the configuration cannot be used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import click

from perijove.cli.configuration import Configuration, load
from perijove.cli.hub_user import become_hub
from perijove.config.errors import ConfigError
from perijove.hub.domain.errors import StoreAway
from perijove.hub.store.check import check as find_faults
from perijove.hub.store.dump import back_up
from perijove.hub.store.errors import DatabaseInUse, StoreUnusable
from perijove.hub.store.restore import restore as put_back
from perijove.hub.store.schema import upgrade as bring_up_to_date
from perijove.hub.store.urls import sqlite_file
from perijove.kit import logs
from perijove.supervisor.accounts import LOCK, lock
from perijove.supervisor.errors import AlreadyRunning
from perijove.wire.supervision import EXIT_UNUSABLE

Command = TypeVar("Command", bound=Callable[..., Any])
_SETTINGS: Final = {"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]}
_FAILED: Final = 1


def _with_configuration(command: Command) -> Command:
    """The options that say which database."""
    traits = click.argument("traits", nargs=-1, type=click.UNPROCESSED, metavar="[--Class.trait=value]...")
    file = click.option(
        "-f", "--config", "config", type=click.Path(path_type=Path), help="Configuration file (Python)."
    )
    return file(traits(command))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def db() -> None:
    """Upgrade, back up, restore or check the database. It is the one that the configuration names."""


@db.command(context_settings=_SETTINGS)
@click.option("--post", is_flag=True, help="Also what must wait until no hub of an older version is alive.")
@_with_configuration
def upgrade(*, config: Path | None, traits: Sequence[str], post: bool) -> None:
    """Bring the database to the schema of this version. `perijove` does that by itself when it starts."""
    configuration = _configuration(config, traits)
    _become(configuration)
    with _told():
        done = bring_up_to_date(configuration.db_url, insist=post)
        if done.before == done.now:
            click.echo(f"The database is up to date (revision {done.now}).")
        elif done.before is None:
            click.echo(f"The database was made (revision {done.now}).")
        else:
            click.echo(f"The database was upgraded from revision {done.before} to {done.now}.")
        if done.waiting:
            click.echo(f"Revisions that wait for hubs of an older version to end: {', '.join(done.waiting)}.")


@db.command(context_settings=_SETTINGS)
@click.argument("file", type=click.Path(path_type=Path))
@_with_configuration
def backup(*, file: Path, config: Path | None, traits: Sequence[str]) -> None:
    """Write everything in the database to FILE (gzip), which must not exist. perijove may go on meanwhile."""
    configuration = _configuration(config, traits)
    # Opened before giving up root: the folder of backups is root's, and the database the hub's.
    with _told(), _new(file) as out:
        _become(configuration)
        _must_exist(configuration)
        done = back_up(configuration.db_url, out, say=click.echo)
        click.echo(f"{file}: {done.words or 'no rows'} (revision {done.revision}).")


@db.command(context_settings=_SETTINGS)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Also if there is something in the database; it is replaced.")
@_with_configuration
def restore(*, file: Path, force: bool, config: Path | None, traits: Sequence[str]) -> None:
    """Put a backup into an empty database, of either kind. perijove must be stopped."""
    configuration = _configuration(config, traits)
    with _told():
        try:
            held = file.open("rb")
        except OSError as exc:
            raise StoreUnusable(f"{file} cannot be read: {exc.strerror}.") from exc
        with held, _stopped(configuration):
            _become(configuration)
            done = put_back(configuration.db_url, held, force=force, say=click.echo)
        click.echo(f"Restored: {done.words or 'no rows'}.")


@db.command(context_settings=_SETTINGS)
@_with_configuration
def check(*, config: Path | None, traits: Sequence[str]) -> None:
    """Look for damage: the file, the schema, and rows that contradict each other. Changes nothing."""
    configuration = _configuration(config, traits)
    _become(configuration)
    with _told():
        _must_exist(configuration)
        found = find_faults(configuration.db_url)
    for sentence in found:
        click.echo(sentence)
    if found:
        sys.exit(_FAILED)
    click.echo("Nothing is wrong.")


def _configuration(config: Path | None, traits: Sequence[str]) -> Configuration:
    try:
        configuration = load(config, traits)
    except ConfigError as exc:
        click.echo(f"perijove db: {exc}", err=True)
        sys.exit(EXIT_UNUSABLE)
    p = configuration.perijove
    logs.configure(process="db", level=p.log_level, fmt="json" if p.log_format == "json" else "console")
    return configuration


def _become(configuration: Configuration) -> None:
    """Root's files beside the database would shut the hub out."""
    become_hub(configuration.perijove.hub_user, command="perijove db")


@contextmanager
def _told() -> Iterator[None]:
    """What cannot be done is a sentence and an exit status."""
    try:
        yield
    except StoreAway as exc:
        click.echo(f"perijove db: {exc.message}", err=True)
        sys.exit(_FAILED)


def _must_exist(configuration: Configuration) -> None:
    """Raises StoreUnusable, rather than making an empty file by looking."""
    file = sqlite_file(configuration.db_url)
    if file is not None and not file.exists():
        raise StoreUnusable(f"There is no database at {file}.")


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
