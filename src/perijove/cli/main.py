"""
The command `perijove`. Without a subcommand it runs everything in the foreground (`serve.py`).

A part's command is imported only when it is asked for, so that each process loads its own part alone.
"""

from __future__ import annotations

import gc
import importlib
from typing import Final

import click

from perijove import __version__
from perijove.cli.chp import is_chp

#: subcommand → module with a click command of that name
COMMANDS: Final = {
    "serve": "perijove.cli.serve",
    "hub": "perijove.cli.hub",
    "proxy": "perijove.cli.proxy",
    "launcher": "perijove.cli.launcher",
    "acme": "perijove.cli.acme",
    "db": "perijove.cli.db",
    "audit": "perijove.cli.audit",
    "token": "perijove.cli.token",
    "key": "perijove.cli.key",
    "chaos": "perijove.cli.chaos",
}
_DEFAULT: Final = "serve"


class _PartsGroup(click.Group):
    """Finds subcommands by name; words that are none of them belong to `serve`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        if name not in COMMANDS:
            return None
        # What is imported stays: there is nothing to collect, and looking takes a fifth of the time.
        gc.disable()
        try:
            module = importlib.import_module(COMMANDS[name])
        finally:
            gc.freeze()
            gc.enable()
        command: click.Command = getattr(module, name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if is_chp():
            args = ["proxy", *args]
        elif not args or (args[0] not in COMMANDS and args[0] not in {"--help", "-h", "--version"}):
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


@click.group(cls=_PartsGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="perijove")
def main() -> None:
    """
    Multi-user notebooks: people sign in and are in JupyterLab, in a server of their own.

    Without a command, `perijove` runs everything in the foreground; `perijove serve --help` has its options.
    """
