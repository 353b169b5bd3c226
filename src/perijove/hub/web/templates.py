"""
Renders the pages' templates. Knows where they are and what all of them may use; nothing about requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from perijove.hub.web.static_files import StaticFiles

FOLDER: Final = Path(__file__).parent / "templates"


class Templates:
    """All templates; escaping is on for every one of them."""

    def __init__(self, *, hub_prefix: str, static: StaticFiles) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            # A misspelt name is a fault, no empty place on a page.
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(hub=hub_prefix, static=static.url)

    def names(self) -> Sequence[str]:
        """All templates."""
        return self._environment.list_templates()

    def compile(self, name: str) -> None:
        """Now rather than while the first person waits."""
        self._environment.get_template(name)

    def render(self, name: str, /, **context: Any) -> str:
        """The page that template *name* makes of *context*."""
        return self._environment.get_template(name).render(**context)
