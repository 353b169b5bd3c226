"""
Writes the reference pages that are made from tables in the code: configuration, scopes, a server's life.

    python docs/generate.py

`tests/architecture/test_docs.py` fails when a page is not what this would write.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from perijove.cli.configuration import known_classes
from perijove.config.check import traits_of
from perijove.hub.domain.lifecycle import TRANSITIONS, Effect, Event, State
from perijove.hub.scopes.catalog import CATALOG

DOCS: Final = Path(__file__).parent
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
