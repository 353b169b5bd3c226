"""
Secrets in files of their own: made once, mode 0600, refused when others may read them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from perijove.hub.domain.errors import InvalidRequest


def read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """
    What *path* holds; if it is missing, what *make* gives, written there.

    Raises:
        InvalidRequest: others may read or write the file.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise InvalidRequest(f"{path} may be read by others; make it mode 0600.") from None
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        secret = make()
        file.write(secret)
        file.flush()
        os.fsync(descriptor)
    return secret
