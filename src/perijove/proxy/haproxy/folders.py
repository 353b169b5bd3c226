"""
The folder that a proxy and its haproxys share: private, and gone with the proxy, or at the latest with the next.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

_PREFIX: Final = "perijove-haproxy-"
_LOCK: Final = "lock"
#: Seconds that a folder may be without a lock because it is just being made.
_YOUNG_SECONDS: Final = 60.0


class PrivateFolder:
    """
    A folder that is ours alone (0700), below the system's folder for temporary files.

    A lock says that its owner lives: process ids would not, where processes do not see each other.
    """

    def __init__(self) -> None:
        """What proxies that were killed have left behind is removed."""
        parent = Path(tempfile.gettempdir())
        for path in parent.glob(f"{_PREFIX}*"):
            _remove_if_left_behind(path)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._lock = os.open(self.path / _LOCK, os.O_WRONLY | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove it, with all that is in it; once more does nothing."""
        shutil.rmtree(self.path, ignore_errors=True)
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)


def _remove_if_left_behind(path: Path) -> None:
    try:
        found = path.lstat()
        if found.st_uid != os.geteuid() or time.time() - found.st_mtime < _YOUNG_SECONDS:
            return
        lock = os.open(path / _LOCK, os.O_WRONLY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Follows no link out of it, nor is one itself.
        shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:
        pass  # its owner lives
    finally:
        os.close(lock)
