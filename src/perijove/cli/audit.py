"""
`perijove audit`: the audit log, for an administrator at the machine; perijove may run meanwhile.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from perijove.cli.configuration import Configuration
from perijove.cli.offline import FAILED, SETTINGS, told, with_configuration, with_store
from perijove.hub.domain.audit import Action, AuditEntry
from perijove.hub.domain.audit_chain import Link, Verifier
from perijove.hub.gateways.audit_file import line_of
from perijove.hub.store.sql import SqlStore
from perijove.hub.usecases.activity import parse_time
from perijove.hub.usecases.audit import AuditLog, Wanted
from perijove.hub.usecases.audit_chain import BATCH
from perijove.hub.usecases.audit_chain import verify as look_at_chain
from perijove.kit.clock import SystemClock

_COMMAND = "perijove audit"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def audit() -> None:
    """Read the audit log, verify it, or write it out. It is in the database that the configuration names."""


@audit.command("list", context_settings=SETTINGS)
@click.option("--actor", default="", help="What this user or service did.")
@click.option("--target", default="", help="What was done to this user.")
@click.option("--action", type=click.Choice([action.value for action in Action]), help="Entries of this kind.")
@click.option("--since", default="", help="From this time on (ISO 8601; UTC if it does not say).")
@click.option("--until", default="", help="Before this time.")
@click.option("-n", "--limit", default=50, type=click.IntRange(1, 10_000), help="Most entries; 50 if not stated.")
@with_configuration
def list_(*, config: Path | None, traits: Sequence[str], limit: int, action: str | None, **filters: str) -> None:
    """Print entries, the newest last."""

    async def read(_: Configuration, store: SqlStore) -> Sequence[AuditEntry]:
        wanted = Wanted(
            actor=filters["actor"],
            target=filters["target"],
            action=Action(action) if action else None,
            since=parse_time(filters["since"]) if filters["since"] else None,
            until=parse_time(filters["until"]) if filters["until"] else None,
        )
        return await AuditLog(store=store, clock=SystemClock()).page(wanted, limit=limit)

    for entry in reversed(with_store(config, traits, read, _COMMAND)):
        click.echo(words_of(entry))


@audit.command(context_settings=SETTINGS)
@click.option("--known", default="", metavar="SEQUENCE:HASH", help="A link that was kept elsewhere, to compare with.")
@with_configuration
def verify(*, config: Path | None, traits: Sequence[str], known: str) -> None:
    """Look whether entries were changed, removed or swapped since they were sealed; status 1 if so."""
    with told(_COMMAND):
        link = Link.from_words(known) if known else None

    async def look(_: Configuration, store: SqlStore) -> Verifier:
        return await look_at_chain(store, known=link)

    verifier = with_store(config, traits, look, _COMMAND)
    faults = verifier.faults()
    for sentence in faults:
        click.echo(sentence)
    if faults:
        sys.exit(FAILED)
    click.echo(
        f"{verifier.count} entries are as they were sealed. The last link, to be kept elsewhere: {verifier.last}"
    )


@audit.command(context_settings=SETTINGS)
@with_configuration
def export(*, config: Path | None, traits: Sequence[str]) -> None:
    """Print all sealed entries, oldest first, a line of JSON each, as c.Perijove.audit_file has them."""

    async def write(_: Configuration, store: SqlStore) -> None:
        reached = 0
        while True:
            async with store.reading() as unit:
                rows = await unit.audit.sealed(after=reached, limit=BATCH)
            if not rows:
                return
            reached = rows[-1].sequence
            for row in rows:
                click.echo(line_of(row))

    with_store(config, traits, write, _COMMAND)


def words_of(entry: AuditEntry) -> str:
    """An entry as a line for people. Browsers' names and more are strangers' words: nothing in it moves a cursor."""
    actor = entry.actor or "(nobody known)" if entry.actor or entry.address else "(perijove)"
    who = f"service {actor}" if entry.actor_kind == "service" else actor
    whom = f" → {entry.target}" if entry.target and entry.target != entry.actor else ""
    detail = "".join(f"  {name}={_shown(value)}" for name, value in entry.detail.items() if value != "")
    where = f"  [{entry.address}]" if entry.address else ""
    return _harmless(f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.action.value}  {who}{whom}{where}{detail}")


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _harmless(text: str) -> str:
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
