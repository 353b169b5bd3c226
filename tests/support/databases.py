"""
Databases for tests, empty and with all tables: made once and copied, since migrating for each would be most of the
time.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path

from perijove.hub.store.schema import upgrade
from tests.support.postgres import Postgres, running_postgres


class Databases:
    """Makes them as they are asked for; the server starts with the first that needs it."""

    def __init__(self, folder: Path, held: ExitStack) -> None:
        self._folder = folder
        self._held = held
        self._numbers = count(1)

    @cached_property
    def postgres(self) -> Postgres:
        """The server."""
        return self._held.enter_context(running_postgres())

    @contextmanager
    def fresh(self, kind: str) -> Iterator[str]:
        """The URL of a new one."""
        if kind == "sqlite":
            file = self._folder / f"{next(self._numbers)}.sqlite"
            shutil.copy(self._sqlite_template, file)
            yield f"sqlite:///{file}"
            file.unlink()
            return
        name = self.postgres.create(template=self._postgres_template)
        try:
            yield self.postgres.url(name)
        finally:
            self.postgres.drop(name)

    @cached_property
    def _sqlite_template(self) -> Path:
        file = self._folder / "empty.sqlite"
        upgrade(f"sqlite:///{file}")
        return file

    @cached_property
    def _postgres_template(self) -> str:
        name = self.postgres.create()
        upgrade(self.postgres.url(name))
        return name
