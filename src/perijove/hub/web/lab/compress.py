"""
Makes brotli and gzip variants of a directory of static files: `python compress.py SOURCE TARGET`.

A process of its own at the lowest priority, because it takes seconds of a core and much memory, once per
version of JupyterLab. TARGET appears whole or not at all.
"""

from __future__ import annotations

import gzip
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import brotli

#: Already compressed; another layer makes them larger.
_PACKED: Final = frozenset({".woff", ".woff2", ".png", ".gz", ".br"})
#: Shorter ones fit into one packet anyway.
_WORTH_IT: Final = 1024
# Measured on JupyterLab 4.6: 9 takes 4.4 s of CPU and makes 4.3 MB, 10 takes 14.5 s and makes 4.1 MB.
_BROTLI_QUALITY: Final = 9
_LOWEST_PRIORITY: Final = 19


def compress_tree(source: Path, target: Path) -> None:
    """Write a `.br` and a `.gz` beside the name of every file of *source* that gains by it, below *target*."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=target.parent))
    try:
        for path in source.rglob("*"):
            if path.is_file() and path.suffix not in _PACKED and path.stat().st_size >= _WORTH_IT:
                _compress(path, unfinished / path.relative_to(source))
        unfinished.chmod(0o755)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def remove_others(target: Path) -> None:
    """Variants of other versions, and what an interrupted run left."""
    for path in target.parent.iterdir():
        if path != target and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def main(arguments: list[str]) -> None:
    """Be polite, compress, tidy up."""
    source, target = map(Path, arguments)
    os.nice(_LOWEST_PRIORITY)
    if not target.exists():
        try:
            compress_tree(source, target)
        except OSError:
            # A hub that was killed leaves its run behind; the two meet when the first is done and tidies up.
            if not target.exists():
                raise
    remove_others(target)


def _compress(path: Path, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    plain = path.read_bytes()
    packed = {
        ".br": brotli.compress(plain, quality=_BROTLI_QUALITY),
        # mtime=0: the same input gives the same bytes
        ".gz": gzip.compress(plain, compresslevel=9, mtime=0),
    }
    for suffix, data in packed.items():
        if len(data) < len(plain):
            out.with_name(out.name + suffix).write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1:])
