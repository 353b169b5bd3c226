"""
What a starting server tells the person who waits (contract section e).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressEvent:
    """One frame of the progress stream. Exactly one, the last, has `ready` or `failed`."""

    progress: int
    message: str
    html_message: str = ""
    ready: bool = False
    failed: bool = False
    url: str = ""
    #: last log lines of a server that ended by itself
    log: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON of one `data:` line; empty members are left out."""
        frame: dict[str, Any] = {"progress": self.progress}
        optional = {
            "ready": self.ready,
            "failed": self.failed,
            "message": self.message,
            "html_message": self.html_message,
            "url": self.url,
            "log": list(self.log),
        }
        return frame | {key: value for key, value in optional.items() if value}
