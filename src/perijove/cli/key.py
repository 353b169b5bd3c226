"""
`perijove key`: renews the key that identity tokens are signed with, while everything runs and nobody is signed out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from perijove.cli.configuration import Configuration, hub_settings
from perijove.cli.offline import SETTINGS, with_configuration, with_store
from perijove.hub.domain.errors import HubError
from perijove.hub.domain.lifecycle import State
from perijove.hub.gateways.signer import read_keys, write_keys
from perijove.hub.store.sql import SqlStore
from perijove.kit.jws import SigningKey

_COMMAND = "perijove key"

Change = Callable[[Sequence[SigningKey]], Sequence[SigningKey]]


class KeysNotReady(HubError):
    """The keys cannot be changed now."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def key() -> None:
    """Renew the key that the hub signs identity tokens with: `add`, later `use`, later `forget`."""


@key.command("list", context_settings=SETTINGS)
@with_configuration
def list_(*, config: Path | None, traits: Sequence[str]) -> None:
    """Print the keys: which signs, and which are only believed."""
    _change(config, traits, lambda keys: keys)


@key.command(context_settings=SETTINGS)
@with_configuration
def add(*, config: Path | None, traits: Sequence[str]) -> None:
    """Make a key, of which proxies and new servers are told; it does not sign yet."""
    _change(config, traits, lambda keys: [*keys, SigningKey.generate()])


@key.command(context_settings=SETTINGS)
@click.option("--force", is_flag=True, help="Even if servers run that do not know it: they must be restarted.")
@with_configuration
def use(*, config: Path | None, traits: Sequence[str], force: bool) -> None:
    """Have the last key of the list sign from now on; the others are still believed."""
    _change(config, traits, lambda keys: [keys[-1], *keys[:-1]], needs_servers=not force)


@key.command(context_settings=SETTINGS)
@with_configuration
def forget(*, config: Path | None, traits: Sequence[str]) -> None:
    """Remove all keys that do not sign: whoever came in with one must come in anew."""
    _change(config, traits, lambda keys: keys[:1])


def _change(config: Path | None, traits: Sequence[str], change: Change, *, needs_servers: bool = False) -> None:
    async def work(configuration: Configuration, store: SqlStore) -> Sequence[SigningKey]:
        path = hub_settings(configuration, control_token="").paths.signing_key
        before = read_keys(path)
        after = change(before)
        if needs_servers:
            await _must_know(store, since=datetime.fromtimestamp(path.stat().st_mtime, UTC))
        if [each.kid for each in after] != [each.kid for each in before]:
            write_keys(path, after)
        return after

    for number, each in enumerate(with_store(config, traits, work, _COMMAND)):
        click.echo(f"{each.kid}  {'is believed' if number else 'signs'}")


async def _must_know(store: SqlStore, *, since: datetime) -> None:
    """Raises KeysNotReady: servers run that were started before the newest key was there."""
    async with store.reading() as unit:
        running = await unit.servers.in_states([state for state in State if state is not State.STOPPED])
    old = sorted(server.key for server in running if server.started_at is None or server.started_at <= since)
    if old:
        shown = ", ".join(old[:5])
        raise KeysNotReady(
            f"{len(old)} servers were started before the newest key was there and would turn everybody away: {shown}. "
            "Wait until they were restarted, or say --force and restart them."
        )
