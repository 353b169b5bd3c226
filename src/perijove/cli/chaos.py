"""
`perijove chaos`: kills parts of a test installation at random under load, and checks that nothing was lost.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from perijove.chaos.parts import NotRunning
from perijove.chaos.run import KINDS, Plan, Report, run, summary
from perijove.cli.configuration import Configuration, load
from perijove.config.errors import ConfigError
from perijove.config.sources import process_environment
from perijove.kit import logs
from perijove.spawners.local import LocalSpawner
from perijove.supervisor.accounts import LOCK
from perijove.wire.supervision import EXIT_UNUSABLE

#: where programs find their token (contract a)
_TOKEN: Final = "JUPYTERHUB_API_TOKEN"  # noqa: S105  # a name, no secret


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]})
@click.option("-f", "--config", "file", type=click.Path(path_type=Path), help="Configuration file of the installation.")
@click.option("--seconds", type=click.FloatRange(min=1), default=60.0, show_default=True, help="How long to kill.")
@click.option("--pause", type=click.FloatRange(min=0.1), default=3.0, show_default=True, help="Between two kills.")
@click.option("--people", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many use it.")
@click.option("--kill", "kinds", multiple=True, type=click.Choice(KINDS), help="May be repeated. Default: all.")
@click.option("--restart-database", default="", help="Command that crashes and restarts the database. Default: none.")
@click.option("--seed", type=int, help="Repeats the choices of an earlier run.")
@click.option("--json", "as_json", is_flag=True, help="The counts as JSON.")
@click.option("--yes", is_flag=True, help="This is a test installation: what runs in it may be lost.")
@click.argument("traits", nargs=-1, type=click.UNPROCESSED, metavar="[--Class.trait=value]...")
def chaos(
    *,
    file: Path | None,
    seconds: float,
    pause: float,
    people: int,
    kinds: Sequence[str],
    restart_database: str,
    seed: int | None,
    as_json: bool,
    yes: bool,
    traits: Sequence[str],
) -> None:
    """
    Kill parts of a test installation at random while people use it, then check that nothing was lost.

    Run it on the installation's machine as the user who started it. A token with the scopes admin:users,
    admin:servers, access:servers and proxy is in the environment, as JUPYTERHUB_API_TOKEN.
    """
    if not yes:
        raise click.UsageError("This kills the processes of a running installation. If it is one for tests, add --yes.")
    if "database" in kinds and not restart_database:
        raise click.UsageError("--kill database needs --restart-database.")
    token = process_environment().get(_TOKEN, "")
    if not token:
        raise click.UsageError(f"There is no token in {_TOKEN}.")
    try:
        configuration = load(file, traits)
    except ConfigError as exc:
        click.echo(f"perijove chaos: {exc}", err=True)
        sys.exit(EXIT_UNUSABLE)
    logs.configure(process="chaos", level="warning", fmt="console")
    chosen = tuple(kinds) or tuple(kind for kind in KINDS if kind != "database" or restart_database)
    plan = _plan(
        configuration,
        token=token,
        seconds=seconds,
        pause=pause,
        people=people,
        kinds=chosen,
        restart_database=restart_database,
        seed=random.randrange(2**32) if seed is None else seed,  # noqa: S311  # no secret
    )
    try:
        report = asyncio.run(run(plan, say=lambda text: click.echo(text, err=True)))
    except NotRunning as exc:
        click.echo(f"perijove chaos: {exc}", err=True)
        sys.exit(1)
    click.echo(json.dumps(summary(report), indent=2) if as_json else _text(report))
    sys.exit(1 if report.faults else 0)


def _plan(
    configuration: Configuration,
    *,
    token: str,
    seconds: float,
    pause: float,
    people: int,
    kinds: tuple[str, ...],
    restart_database: str,
    seed: int,
) -> Plan:
    spawner, bind = configuration.spawner, configuration.bind
    # Only as root everybody has a system user of their own.
    prefix = spawner.system_user_prefix if os.geteuid() == 0 and isinstance(spawner, LocalSpawner) else None
    return Plan(
        url=f"{bind.origin}{bind.base_url}".rstrip("/"),
        token=token,
        lock=configuration.paths.runtime / LOCK,
        launcher_socket=configuration.paths.launcher_socket,
        system_user_prefix=prefix,
        seconds=seconds,
        pause=pause,
        people=people,
        kinds=kinds,
        restart_database=restart_database,
        seed=seed,
    )


def _text(report: Report) -> str:
    kills = ", ".join(f"{name} {count}" for name, count in sorted(report.kills.items()))
    lines = [f"killed: {kills or 'nothing'}", "answers:"]
    lines += [f"  {count:6}  {what}" for what, count in sorted(report.answers.items())]
    lines.append(f"servers in the end: {report.servers}")
    lines += [f"BROKEN: {fault}" for fault in report.faults] or ["Nothing was lost, doubled or left behind."]
    return "\n".join(lines)
