"""
Renders the pages' templates. Knows where they are and what all of them may use; nothing about requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from perijove.hub.web.static_files import StaticFiles

FOLDER: Final = Path(__file__).parent / "templates"


class Templates:
    """All templates; escaping is on for every one of them."""

    def __init__(self, *, hub_prefix: str, static: StaticFiles) -> None:
        self._globals = {"hub": hub_prefix, "static": static.url}

    @cached_property
    def _environment(self) -> Any:
        # Not before: loading it is a good part of the hub's start, and programs' first questions need no page.
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

        environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            # A misspelt name is a fault, no empty place on a page.
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.globals.update(self._globals)
        return environment

    def names(self) -> Sequence[str]:
        """All templates."""
        names: list[str] = self._environment.list_templates()
        return names

    def compile(self, name: str) -> None:
        """Now rather than while the first person waits."""
        self._environment.get_template(name)

    def render(self, name: str, /, **context: Any) -> str:
        """The page that template *name* makes of *context*."""
        page: str = self._environment.get_template(name).render(**context)
        return page
