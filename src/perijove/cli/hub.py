"""
`perijove hub`: the hub alone, as the supervisor or an init system runs it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from perijove.cli.configuration import hub_settings, load
from perijove.cli.hub_user import become_hub
from perijove.config.database import SECRET_VARIABLES
from perijove.config.errors import ConfigError
from perijove.config.sources import process_environment
from perijove.hub.app import HubInputs, run
from perijove.kit import logs
from perijove.kit.process import die_with_parent
from perijove.wire.control import AUTH_TOKEN_VARIABLE
from perijove.wire.supervision import EXIT_UNUSABLE, NOTIFY_FD_VARIABLE, ORPHANED_SIGNAL


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
    logs.configure(process="hub", level=p.log_level, fmt="json" if p.log_format == "json" else "console")
    token = environ.get(AUTH_TOKEN_VARIABLE, "")
    if not token:
        click.echo(f"perijove hub: {AUTH_TOKEN_VARIABLE} is not set; the proxy has the same.", err=True)
        sys.exit(EXIT_UNUSABLE)
    # Root was needed to read a configuration that may be root's secret.
    become_hub(p.hub_user, command="perijove hub")
    if NOTIFY_FD_VARIABLE in environ:
        die_with_parent(ORPHANED_SIGNAL)
    inputs = HubInputs(
        settings=hub_settings(configuration, control_token=token),
        authenticator=type(configuration.authenticator),
        spawner=type(configuration.spawner),
        config=configuration.config,
        environ={name: value for name, value in environ.items() if name not in SECRET_VARIABLES},
    )
    sys.exit(run(inputs))
