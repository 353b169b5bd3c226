"""
Writes the reference pages that are made from the code: configuration, command line, REST API, scopes, a server's life.

    python docs/generate.py

`tests/architecture/test_docs.py` fails when a page is not what this would write.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from perijove.cli.configuration import known_classes
from perijove.cli.main import COMMANDS
from perijove.config.check import traits_of
from perijove.hub.domain.lifecycle import TRANSITIONS, Effect, Event, State
from perijove.hub.scopes.catalog import CATALOG
from perijove.hub.web.access import Access, Caller, Page, Scrape
from perijove.hub.web.api import audit, authorizations, groups, hub, servers, services, sessions, shares, tokens, users
from perijove.hub.web.declared import Declared
from perijove.hub.web.oauth import authorize as oauth_authorize
from perijove.hub.web.oauth import token as oauth_token

DOCS: Final = Path(__file__).parent
#: other spellings of calls that are listed already
_ALIASES: Final = ("/servers/", "/servers/progress")
_MADE: Final = "<!-- Made by docs/generate.py; change the code, not this page. -->\n"


def configuration() -> str:
    """Every trait of every class."""
    lines = [
        _MADE,
        "# Configuration\n",
        "A configuration file is Python, read at start: `perijove -f perijove_config.py`.",
        "Any trait can also be set on the command line: `--Class.trait=value`.",
        "`c.JupyterHub` is another name for `c.Perijove`.",
        "An unknown name or a value of the wrong type stops the start.\n",
    ]
    shown: set[str] = set()
    known = known_classes()
    for section, cls in known.items():
        names = [name for name in traits_of(cls) if not any(f"{base.__name__}.{name}" in shown for base in cls.__mro__)]
        shown |= {f"{section}.{name}" for name in names}
        if not names:
            continue
        lines += [f"## `c.{section}`\n", "| trait | default | what it does |", "|---|---|---|"]
        for name in names:
            trait = cls.class_traits()[name]
            default = trait.default_value_repr().replace("|", "\\|")
            lines.append(f"| `{name}` | `{default}` | {trait.help.replace('|', '&#124;')} |")
        lines.append("")
    return "\n".join(lines)


def scopes() -> str:
    """Every scope, what it allows, and what comes with it."""
    rows = [
        f"| `{name}` | {row.description} | {', '.join(f'`{implied}`' for implied in row.implies)} |"
        for name, row in CATALOG.items()
    ]
    return "\n".join(
        [
            _MADE,
            "# Scopes\n",
            "A scope says what a user, a service or a token may do.",
            "`scope!user=ada`, `scope!server=ada/` and `scope!service=name` narrow it to one of these.\n",
            "| scope | allows | brings with it |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


_API = {
    "Users": [users],
    "Groups": [groups],
    "Servers": [servers],
    "Services": [services],
    "Tokens": [tokens],
    "Shares": [shares],
    "OAuth 2": [oauth_authorize, oauth_token],
    "Sessions": [sessions],
    "Audit log": [audit],
    "The hub": [hub],
    "Deprecated": [authorizations],
}


def rest_api() -> str:
    """Every call, what it does and which scope it needs."""
    lines = [
        _MADE,
        "# REST API\n",
        "The API is JupyterHub's, below `/hub/api`; its clients work as they are.",
        "A caller sends `Authorization: token <token>`: a user's own (made on the page *Tokens* or by the API),",
        "or that of a service from the configuration.",
        "Any one of the scopes in a row suffices; [scopes](scopes.md) says what each allows.",
        "`GET /hub/api/openapi.json` describes the same for programs.\n",
    ]
    for title, modules in _API.items():
        lines += [f"## {title}\n", "| call | scope | what it does |", "|---|---|---|"]
        lines += dict.fromkeys(row for module in modules for route in module.router.declared if (row := _call(route)))
        lines.append("")
    return "\n".join(lines)


def _call(route: Declared) -> str:
    if not route.path or route.path.endswith(_ALIASES):
        return ""
    answered = set(route.methods) - {"HEAD"}
    if "OPTIONS" in answered:
        return ""
    methods = ", ".join(sorted(answered))
    says = (route.endpoint.__doc__ or "").strip().splitlines()[0]
    path = (
        route.path.replace("{user_name}", "{user}")
        .replace("{server_name}", "{server}")
        .replace("{group_name}", "{group}")
    )
    return f"| `{methods} {path}` | {_needs(route.access)} | {says} |"


def _needs(access: Access) -> str:
    if isinstance(access, Scrape):
        return "`read:metrics`, unless `c.Perijove.authenticate_prometheus` is false"
    if isinstance(access, Caller):
        return ", ".join(f"`{scope}`" for scope in access.scopes) or "any token"
    return "a browser in which somebody is signed in" if isinstance(access, Page) else "none"


def command_line() -> str:
    """Every command and option."""
    lines = [
        _MADE,
        "# Command line\n",
        "`perijove` without a command is `perijove serve`: everything, in the foreground.",
        "The other commands run one part each, for deployments that keep them apart.",
        "Every trait of the [configuration](configuration.md) can also be given to `serve`, `hub`, `db`, `audit`",
        "and `token`, as `--Class.trait=value`.\n",
    ]
    for name, module in COMMANDS.items():
        lines += _command(f"perijove {name}", getattr(importlib.import_module(module), name))
    return "\n".join(lines)


def _command(name: str, command: click.Command) -> Iterator[str]:
    yield f"## `{name}`\n"
    yield " ".join((command.help or "").split()) + "\n"
    if isinstance(command, click.Group):
        for part, below in command.commands.items():
            yield from _command(" ".join([name, part, *_arguments(below)]), below)
        return
    yield from ("| option | what it does |", "|---|---|", *_options(command), "")


def _arguments(command: click.Command) -> Iterator[str]:
    """What must be named, as in `backup FILE`; the traits, which every command takes, are said once."""
    return (word.name.upper() for word in command.params if isinstance(word, click.Argument) and word.nargs == 1)


def _options(command: click.Command) -> Iterator[str]:
    for option in command.params:
        if isinstance(option, click.Option):
            names = ", ".join(f"`{name}`" for name in option.opts)
            yield f"| {names} | {_text(option.help or '')} |"


def _text(help_: str) -> str:
    return help_.replace("|", "&#124;").replace("<", "&lt;")


def lifecycle() -> str:
    """The states of a server, and the table that leads from one to the next."""
    arrows = [
        f"    {state.name} --> {after.name}: {event.value}"
        for state in State
        for event, (after, _) in TRANSITIONS[state].items()
    ]
    rows = [
        f"| {state.value} | {event.value} | {after.value} | {_listed(effects)} |"
        for state in State
        for event, (after, effects) in _row(state).items()
    ]
    return "\n".join(
        [
            _MADE,
            "# A server's life\n",
            "Every change of a server's state is a row of one table; nothing else assigns a state.",
            "The state is in the database. A hub that is killed and comes back goes on from the recorded state.\n",
            "```mermaid",
            "stateDiagram-v2",
            "    [*] --> STOPPED",
            *arrows,
            "```\n",
            "| state | what happens | next state | what is done |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _row(state: State) -> dict[Event, tuple[State, tuple[Effect, ...]]]:
    return dict(TRANSITIONS[state])


def _listed(effects: tuple[Effect, ...]) -> str:
    return ", then ".join(effect.value for effect in effects)


PAGES: Final = {
    DOCS / "reference" / "configuration.md": configuration,
    DOCS / "reference" / "command-line.md": command_line,
    DOCS / "reference" / "rest-api.md": rest_api,
    DOCS / "reference" / "scopes.md": scopes,
    DOCS / "explanation" / "server-lifecycle.md": lifecycle,
}


def main() -> None:
    """Write all pages."""
    for path, make in PAGES.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
