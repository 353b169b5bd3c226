"""
What the commands share that work on the database of a configuration, whether or not perijove runs: which database it
is, becoming the user whose it is, and how a failure is told.

Exit status: 0 done, 1 something was found or could not be done, 78 the configuration cannot be used.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from perijove.cli.configuration import Configuration, load
from perijove.cli.hub_user import become_hub
from perijove.config.errors import ConfigError
from perijove.hub.domain.errors import HubError
from perijove.hub.store.errors import StoreUnusable
from perijove.hub.store.sql import SqlStore
from perijove.hub.store.urls import sqlite_file
from perijove.kit import logs
from perijove.wire.supervision import EXIT_UNUSABLE

Command = TypeVar("Command", bound=Callable[..., Any])
Answer = TypeVar("Answer")
SETTINGS: Final = {"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]}
FAILED: Final = 1


def with_configuration(command: Command) -> Command:
    """The options that say which database."""
    traits = click.argument("traits", nargs=-1, type=click.UNPROCESSED, metavar="[--Class.trait=value]...")
    file = click.option(
        "-f", "--config", "config", type=click.Path(path_type=Path), help="Configuration file (Python)."
    )
    return file(traits(command))


def configured(config: Path | None, traits: Sequence[str], *, command: str) -> Configuration:
    """The configuration; one that is wrong ends the process."""
    try:
        configuration = load(config, traits)
    except ConfigError as exc:
        click.echo(f"{command}: {exc}", err=True)
        sys.exit(EXIT_UNUSABLE)
    p = configuration.perijove
    logs.configure(
        process=command.rsplit(maxsplit=1)[-1], level=p.log_level, fmt="json" if p.log_format == "json" else "console"
    )
    return configuration


def become(configuration: Configuration, *, command: str) -> None:
    """Root's files beside the database would shut the hub out."""
    become_hub(configuration.perijove.hub_user, command=command)


@contextmanager
def told(command: str) -> Iterator[None]:
    """What cannot be done is a sentence and an exit status."""
    try:
        yield
    except HubError as exc:
        click.echo(f"{command}: {exc.message}", err=True)
        sys.exit(FAILED)


def must_exist(configuration: Configuration) -> None:
    """Raises StoreUnusable, rather than making an empty file by looking."""
    file = sqlite_file(configuration.db_url)
    if file is not None and not file.exists():
        raise StoreUnusable(f"There is no database at {file}.")


def with_store(
    config: Path | None,
    traits: Sequence[str],
    work: Callable[[Configuration, SqlStore], Awaitable[Answer]],
    command: str,
) -> Answer:
    """Do *work* on the database, as the hub's user; what cannot be done ends the process."""
    configuration = configured(config, traits, command=command)
    become(configuration, command=command)

    async def open_and_work() -> Answer:
        async with SqlStore(configuration.db_url) as store:
            return await work(configuration, store)

    with told(command):
        must_exist(configuration)
        return asyncio.run(open_and_work())
