"""
`perijove token`: API tokens of a user, made, listed and revoked by an administrator at the machine. For the first
script of all, and for when nobody can sign in. perijove may run meanwhile, or not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import click

from perijove.cli.configuration import Configuration, hub_settings
from perijove.cli.offline import SETTINGS, with_configuration, with_store
from perijove.hub.domain.errors import NoSuchUser
from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.domain.tokens import ApiToken
from perijove.hub.domain.users import User, normalise
from perijove.hub.store.sql import SqlStore
from perijove.hub.usecases.load_roles import load_roles
from perijove.hub.usecases.sign_out import Revocations
from perijove.hub.usecases.tokens import Tokens
from perijove.kit.clock import SystemClock, SystemRandomness

_COMMAND: Final = "perijove token"
#: whom the audit log names; no service can have a space in its name
_SELF: Final = Principal(kind=Kind.SERVICE, name=_COMMAND, scopes=frozenset())

Work = Callable[[Tokens, User], Awaitable[list[str]]]


@click.command(context_settings=SETTINGS)
@click.argument("user")
@click.option("--list", "listed", is_flag=True, help="Print which tokens the user has instead.")
@click.option("--revoke", metavar="ID", help="End the token of this id instead.")
@click.option("--note", default="", help="What the token is for.")
@click.option("--expires-in", type=click.IntRange(min=1), metavar="SECONDS", help="How long it is good for.")
@click.option("--scope", "scopes", multiple=True, help="What it may do; several times for several. Default: all.")
@with_configuration
def token(
    *,
    user: str,
    listed: bool,
    revoke: str | None,
    note: str,
    expires_in: int | None,
    scopes: Sequence[str],
    config: Path | None,
    traits: Sequence[str],
) -> None:
    """Make an API token for a user, and print it: this once."""

    async def make(tokens: Tokens, owner: User) -> list[str]:
        wanted = list(scopes) or None
        _, text = await tokens.create(
            user=owner, maker=_SELF, note=note or f"Made by {_COMMAND}", expires_in=expires_in, scopes=wanted
        )
        return [text]

    async def show(tokens: Tokens, owner: User) -> list[str]:
        return [_words(row) for row in await tokens.list(owner)]

    async def end(tokens: Tokens, owner: User) -> list[str]:
        await tokens.revoke(owner, revoke or "", by=_SELF)
        return []

    work = _one_of(make, (show, listed), (end, revoke is not None))
    for line in _run(user, work, config, traits):
        click.echo(line)


def _one_of(make: Work, *others: tuple[Work, bool]) -> Work:
    asked = [work for work, is_asked in others if is_asked]
    if len(asked) > 1:
        raise click.UsageError("--list and --revoke exclude each other.")
    return asked[0] if asked else make


def _run(name: str, work: Work, config: Path | None, traits: Sequence[str]) -> list[str]:
    async def find_and_work(configuration: Configuration, store: SqlStore) -> list[str]:
        owner = await _user(store, name)
        return await work(_tokens(configuration, store), owner)

    return with_store(config, traits, find_and_work, _COMMAND)


async def _user(store: SqlStore, name: str) -> User:
    async with store.reading() as unit:
        found = await unit.users.by_name(normalise(name))
    if found is None:
        raise NoSuchUser(f"There is no user {name!r}: they must have signed in, or been added, before.")
    return found


def _tokens(configuration: Configuration, store: SqlStore) -> Tokens:
    settings, clock = hub_settings(configuration, control_token=""), SystemClock()
    roles = load_roles(
        roles=settings.load_roles,
        services=settings.services,
        custom_scopes=settings.custom_scopes,
        extra_user_scopes=settings.extra_user_scopes,
    )
    return Tokens(
        store=store,
        clock=clock,
        randomness=SystemRandomness(),
        roles=roles,
        # The proxy finds out by itself: it asks about each token in use every minute.
        revocations=Revocations(outboxes=[], clock=clock),
        max_seconds=settings.token_expires_in_max_seconds,
    )


def _words(row: ApiToken) -> str:
    ends = f"ends {row.expires_at:%Y-%m-%d %H:%M}" if row.expires_at else "never ends"
    note = "".join(letter if letter.isprintable() else "?" for letter in row.note)
    return f"{row.public_id}  made {row.created:%Y-%m-%d %H:%M}  {ends}  {note}"
