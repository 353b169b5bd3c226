"""
Whether a file system is full.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence


def full(places: Mapping[str, str]) -> Sequence[str]:
    """
    Which of *places* have no byte or no inode left for anybody but root.

    May take as long as the file system takes to answer: one that is mounted from afar may be away.

    Args:
        places: what people call it → a path.
    """
    return tuple(dict.fromkeys(name for name, path in places.items() if path and _is_full(path)))


def _is_full(path: str) -> bool:
    try:
        found = os.statvfs(path)
    except OSError:
        return False
    # File systems without a fixed number of inodes say that they have none at all.
    return found.f_bavail == 0 or (found.f_files > 0 and found.f_favail == 0)
