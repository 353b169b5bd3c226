"""
Which revisions of the schema there are, and how far a database may be brought while others use it.

Law: a revision is a *pre* half, which only adds and which hubs of the last release do not notice, or a *post*
half, which removes or tightens and comes when no older hub is alive any more. Each says the oldest code that may
run on what it leaves; a code's name is the newest revision that it knows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from perijove import __version__
from perijove.hub.store.errors import OlderHubsAlive, SchemaTooNew

#: the fact that holds the oldest code that may run on a database
OLDEST_CODE: Final = "schema.oldest_code"


class Half(StrEnum):
    """When a revision may be run."""

    #: it only adds: run by the first hub of a new version
    PRE = "pre"
    #: it removes or tightens: run when no hub of an older version is alive
    POST = "post"


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of the schema."""

    #: four digits, growing
    name: str
    half: Half
    #: newest revision that the oldest code knows which may run on the database after this one
    oldest_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What a version of perijove knows of the schema."""

    #: of perijove
    version: str
    #: oldest first
    revisions: tuple[Revision, ...]
    #: where Alembic finds them
    folder: Path

    @property
    def head(self) -> str:
        """The newest revision."""
        return self.revisions[-1].name

    def knows(self, revision: str) -> bool:
        """Whether it can bring a database of *revision* up to date."""
        return any(known.name == revision for known in self.revisions)

    def after(self, revision: str | None) -> Sequence[Revision]:
        """What is to be run on a database of that revision; None is a new one."""
        return [step for step in self.revisions if revision is None or step.name > revision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How far a database may be brought now."""

    #: None: it stays as it is
    target: str | None
    #: post halves that must wait
    waiting: tuple[str, ...] = ()


#: this code; a test compares it with the files in `migrations/versions`
CODE: Final = Code(
    version=__version__,
    revisions=(
        Revision("0001", Half.PRE, "0001"),
        Revision("0002", Half.PRE, "0002"),
        Revision("0003", Half.PRE, "0002"),
        Revision("0004", Half.PRE, "0002"),
    ),
    folder=Path(__file__).parent / "migrations",
)


def plan(code: Code, revision: str | None, *, oldest_code: str | None, older_hubs: Sequence[str]) -> Plan:
    """
    How far a database may be brought by *code*.

    Args:
        code: what would run.
        revision: of the database; None if it is new.
        oldest_code: what the database says may run on it; None if it says nothing.
        older_hubs: names of living hubs of an older version.

    Raises:
        SchemaTooNew: *code* may not run on this database.
        OlderHubsAlive: *code* needs a post half that must wait for *older_hubs* to end.
    """
    if revision is not None and not code.knows(revision):
        if oldest_code is not None and oldest_code <= code.head < revision:
            return Plan(target=None)
        raise SchemaTooNew(
            f"{SchemaTooNew.__doc__} (It has revision {revision}; this version knows up to {code.head}.)"
        )
    steps = code.after(revision)
    target: str | None = None
    for number, step in enumerate(steps):
        if step.half is Half.POST and older_hubs:
            if any(later.half is Half.PRE for later in steps[number:]):
                raise OlderHubsAlive(f"{OlderHubsAlive.__doc__} ({', '.join(older_hubs)})")
            return Plan(target=target, waiting=tuple(later.name for later in steps[number:]))
        target = step.name
    return Plan(target=target)


def is_older(version: str, than: str) -> bool:
    """Whether one version of perijove comes before another; what follows the numbers does not count."""
    return _numbers(version) < _numbers(than)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
