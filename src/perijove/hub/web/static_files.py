"""
The hub's own static files: a stylesheet, a few scripts, the logo. Small, so they are kept in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from perijove.hub.web.lab.tree import MEDIA_TYPES

FOLDER: Final = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """One file."""

    body: bytes
    media_type: str
    #: short hash of the body
    version: str


class StaticFiles:
    """All of them, read once."""

    def __init__(self, *, hub_prefix: str) -> None:
        self._prefix = f"{hub_prefix}static/"
        self._files: Mapping[str, StaticFile] = {path.name: _read(path) for path in sorted(FOLDER.iterdir())}

    def get(self, name: str) -> StaticFile | None:
        """The file called *name*."""
        return self._files.get(name)

    def url(self, name: str) -> str:
        """Its address; another version of the file has another address, so it may be cached for good."""
        return f"{self._prefix}{name}?v={self._files[name].version}"


def _read(path: Path) -> StaticFile:
    body = path.read_bytes()
    version = hashlib.blake2b(body, digest_size=6).hexdigest()
    return StaticFile(body=body, media_type=MEDIA_TYPES[path.suffix], version=version)
