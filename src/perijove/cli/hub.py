"""
`perijove hub`: the hub alone, as the supervisor or an init system runs it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from logging import Handler
from pathlib import Path

import click
from traitlets.config import Configurable

from perijove.cli.configuration import Configuration, hub_settings, load
from perijove.cli.hub_user import become_hub
from perijove.config.database import SECRET_VARIABLES
from perijove.config.errors import ConfigError
from perijove.config.reload import differing, settings_after
from perijove.config.settings import HubSettings
from perijove.config.sources import process_environment
from perijove.hub.ground import HubInputs
from perijove.hub.life import run
from perijove.hub.usecases.reload import Reading
from perijove.kit import logs
from perijove.kit.process import die_with_parent
from perijove.wire.control import AUTH_TOKEN_VARIABLE
from perijove.wire.supervision import EXIT_UNUSABLE, HUB_NUMBER_VARIABLE, NOTIFY_FD_VARIABLE, ORPHANED_SIGNAL


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]})
@click.option("-f", "--config", "file", type=click.Path(path_type=Path), help="Configuration file (Python).")
@click.argument("traits", nargs=-1, type=click.UNPROCESSED, metavar="[--Class.trait=value]...")
def hub(*, file: Path | None, traits: Sequence[str]) -> None:
    """Run the hub alone. Its proxy's control token is in the environment, as CONFIGPROXY_AUTH_TOKEN."""
    environ = process_environment()
    try:
        configuration = load(file, traits)
    except ConfigError as exc:
        click.echo(f"perijove hub: {exc}", err=True)
        sys.exit(EXIT_UNUSABLE)
    p = configuration.perijove
    logs.configure(
        process="hub",
        level=p.log_level,
        fmt="json" if p.log_format == "json" else "console",
        also=p.extra_log_handlers,
    )
    token = environ.get(AUTH_TOKEN_VARIABLE, "")
    if not token:
        click.echo(f"perijove hub: {AUTH_TOKEN_VARIABLE} is not set; the proxy has the same.", err=True)
        sys.exit(EXIT_UNUSABLE)
    # Root was needed to read a configuration that may be root's secret.
    become_hub(p.hub_user, command="perijove hub")
    if NOTIFY_FD_VARIABLE in environ:
        die_with_parent(ORPHANED_SIGNAL)
    number = int(environ.get(HUB_NUMBER_VARIABLE, "1"))
    sys.exit(run(_Configured(file, traits, configuration, token=token, number=number, environ=environ).inputs))


class _Configured:
    """What the hub is told, and told anew when the configuration is read again."""

    def __init__(
        self,
        file: Path | None,
        flags: Sequence[str],
        configuration: Configuration,
        *,
        token: str,
        number: int,
        environ: Mapping[str, str],
    ) -> None:
        self._file = file
        self._flags = flags
        self._first = self._last = configuration
        self._token = token
        self._number = number
        self.inputs = HubInputs(
            settings=self._settings(configuration),
            authenticator=type(configuration.authenticator),
            spawner=type(configuration.spawner),
            config=configuration.config,
            environ={name: value for name, value in environ.items() if name not in SECRET_VARIABLES},
            read_again=self.read_again,
            event_handlers=configuration.event_logger.handlers,
            log_level=configuration.perijove.log_level,
        )

    def read_again(self) -> Reading[HubInputs]:
        """
        The same file and flags, as they are now.

        Raises:
            ConfigError: they are wrong, or cannot be read any more.
        """
        new = load(self._file, self._flags)
        before, self._last = self._last, new
        for handler in _handlers(new):
            # The file made it anew, and it may have opened one of its own; lines go to those of the start.
            if handler not in _handlers(self._first):
                handler.close()
        inputs = replace(
            self.inputs,
            settings=settings_after(self.inputs.settings, self._settings(new)),
            config=new.config,
            log_level=new.perijove.log_level,
        )
        return Reading(
            inputs=inputs,
            changed=differing(_owners(before), _owners(new), reloaded=True),
            needs_restart=differing(_owners(self._first), _owners(new), reloaded=False),
        )

    def _settings(self, configuration: Configuration) -> HubSettings:
        return hub_settings(configuration, control_token=self._token, number=self._number)


def _handlers(configuration: Configuration) -> list[Handler]:
    return [*configuration.perijove.extra_log_handlers, *configuration.event_logger.handlers]


def _owners(configuration: Configuration) -> tuple[Configurable, ...]:
    return (
        configuration.perijove,
        configuration.launcher,
        configuration.event_logger,
        configuration.crypt_keeper,
        configuration.authenticator,
        configuration.spawner,
    )
