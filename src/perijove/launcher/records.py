"""
What survives the launcher: one file per running server, one per last exit.

Written whole or not at all (rename), readable by the launcher only. A restarted launcher reads them
to find its servers again and to know the newest generation of each.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from perijove.launcher.plan import ChildPlan
from perijove.wire.launcher import ExitReport, Launched

log = structlog.get_logger(__name__)

#: File of a server that runs.
RUNNING: Final = "server.json"
#: File of how the last run ended.
EXITED: Final = "exit.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A running server, as it is found again."""

    launched: Launched
    #: value of the environment marker that all its processes carry
    marker: str
    #: what its kernels share with it; None: a launcher that forked no kernels started it
    standing: ChildPlan | None = None
    #: home of whose server it is
    home: str = ""


class Records:
    """
    The files below `<runtime>/servers`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write_running(self, directory: Path, record: Record) -> None:
        """Put *record* on disk: the server may run now."""
        _write(directory / RUNNING, asdict(record))

    def write_exit(self, directory: Path, report: ExitReport) -> None:
        """The server ended: keep why, forget the rest."""
        _write(directory / EXITED, asdict(report))
        with contextlib.suppress(FileNotFoundError):
            (directory / RUNNING).unlink()

    def running(self) -> Iterator[Record]:
        """Every server that was running when its launcher last knew."""
        for data in self._read_all(RUNNING):
            try:
                standing = ChildPlan.from_json(data["standing"]) if data.get("standing") else None
                yield Record(
                    launched=Launched(**data["launched"]),
                    marker=data["marker"],
                    standing=standing,
                    home=str(data.get("home", "")),
                )
            except (TypeError, KeyError) as exc:
                log.warning("record.unreadable", error=str(exc))

    def exits(self) -> Iterator[ExitReport]:
        """The last exit of every server that ever ran here."""
        for data in self._read_all(EXITED):
            try:
                yield ExitReport(**{**data, "log_tail": tuple(data.get("log_tail", ()))})
            except TypeError as exc:
                log.warning("record.unreadable", error=str(exc))

    def _read_all(self, name: str) -> Iterator[dict[str, Any]]:
        for path in sorted(self._directory.glob(f"*/{name}")):
            try:
                data = json.loads(path.read_bytes())
            except (OSError, ValueError) as exc:
                log.warning("record.unreadable", path=str(path), error=str(exc))
                continue
            if isinstance(data, dict):
                yield data


def _write(path: Path, data: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(data, file)
    temporary.replace(path)
