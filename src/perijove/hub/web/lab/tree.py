"""
The files of JupyterLab's static directory, their version and their compressed variants. No HTTP.

The version is a hash of all contents and part of the address: whatever is at an address never changes.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

#: types that Python's `mimetypes` takes from the machine, and so may get wrong
MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".eot": "application/vnd.ms-fontobject",
        ".html": "text/html; charset=utf-8",
        ".ico": "image/x-icon",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".map": "application/json",
        ".png": "image/png",
        ".svg": "image/svg+xml",
        ".ttf": "font/ttf",
        ".txt": "text/plain; charset=utf-8",
        ".wasm": "application/wasm",
        ".woff": "font/woff",
        ".woff2": "font/woff2",
    }
)
#: next to the variants: the version that was found last, and of which files
_REMEMBERED: Final = "version.txt"
#: content coding → suffix of the variant, best first
VARIANTS: Final[Mapping[str, str]] = MappingProxyType({"br": ".br", "gzip": ".gz"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file to be sent."""

    path: Path
    media_type: str
    #: content coding; "" as it is
    coding: str
    etag: str


def lab_static_dir() -> Path:
    """Where this interpreter's JupyterLab has its static files."""
    return Path(sys.prefix) / "share" / "jupyter" / "lab" / "static"


class LabTree:
    """Read once at start; files that appear later do not exist for it."""

    def __init__(self, *, source: Path, variants: Path) -> None:
        self._source = source
        self._names = frozenset(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
        self._top = [name for name in self._names if "/" not in name]
        #: names exactly these contents
        self.version = _version(source, sorted(self._names), variants / _REMEMBERED)
        #: where the variants of this version are, once they have been made
        self.variants = variants / self.version

    @property
    def source(self) -> Path:
        """The directory itself."""
        return self._source

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def names(self, pattern: str) -> list[str]:
        """Names of files at the top that match the glob *pattern*, sorted."""
        return sorted(fnmatch.filter(self._top, pattern))

    def size(self, name: str) -> int:
        """Bytes of the file as it is."""
        return (self._source / name).stat().st_size

    def text(self, name: str) -> str:
        """The file *name*, which is source code."""
        return (self._source / name).read_text(encoding="utf-8", errors="replace")

    def find(self, name: str, codings: frozenset[str]) -> Asset | None:
        """The best form of the file *name* for somebody who understands *codings*."""
        if name not in self._names:
            return None
        media_type = MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream")
        for coding, suffix in VARIANTS.items():
            variant = self.variants / f"{name}{suffix}"
            if coding in codings and variant.is_file():
                return Asset(path=variant, media_type=media_type, coding=coding, etag=self._etag(name, coding))
        return Asset(path=self._source / name, media_type=media_type, coding="", etag=self._etag(name, ""))

    def _etag(self, name: str, coding: str) -> str:
        digest = hashlib.blake2b(f"{self.version}/{name}/{coding}".encode(), digest_size=12).hexdigest()
        return f'"{digest}"'


def _version(source: Path, names: list[str], memo: Path) -> str:
    """
    The digest of the contents, which is remembered in *memo* for files that nobody has touched since.

    Reading all of them takes a tenth of the hub's start. A file's change time cannot be set by anybody.
    """
    stamp = hashlib.blake2b(digest_size=10)
    for name in names:
        found = (source / name).stat()
        stamp.update(f"{name}/{found.st_size}/{found.st_ino}/{found.st_mtime_ns}/{found.st_ctime_ns}\n".encode())
    with contextlib.suppress(OSError, ValueError):
        known, _, version = memo.read_text("ascii").strip().partition(" ")
        if known == stamp.hexdigest() and version:
            return version
    version = _digest(source, names)
    with contextlib.suppress(OSError):
        memo.parent.mkdir(parents=True, exist_ok=True)
        memo.write_text(f"{stamp.hexdigest()} {version}\n", "ascii")
    return version


def _digest(source: Path, names: list[str]) -> str:
    digest = hashlib.blake2b(digest_size=10)
    for name in names:
        digest.update(name.encode())
        digest.update((source / name).read_bytes())
    return digest.hexdigest()
