"""
Control groups that a launcher of a test has left behind.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from perijove.launcher.cgroups import find, slice_name

PATIENCE: Final = 30.0


def remove_groups(runtime: Path) -> None:
    """Remove the control groups of a launcher that is gone, and kill what is in them."""
    groups = find(slice_name(runtime))
    deadline = time.monotonic() + PATIENCE
    for name in groups.names():
        while (groups.kill(name) or not groups.remove(name)) and time.monotonic() < deadline:
            time.sleep(0.02)
    groups.close()
