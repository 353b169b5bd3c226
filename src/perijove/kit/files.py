"""
Files that are replaced in one step: whoever reads one finds the old content or the new, never a part.
"""

from __future__ import annotations

import os
from pathlib import Path


def replace_secret(path: Path, content: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """
    Put *content* in the place of what is at *path*.

    Args:
        path: where; its folder must be one that nobody else can write to.
        content: what.
        mode: who may read it, from its first byte on.
        owner: uid and gid whose file it becomes; None: ours.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    draft = path.with_name(f"{path.name}.new")
    # Whatever is there was left by a write that did not end, or is a link that somebody hopes we follow.
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        if owner is not None:
            os.fchown(descriptor, *owner)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
