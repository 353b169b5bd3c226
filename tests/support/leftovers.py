"""
What a launcher of a test has outside its own directories, and leaves behind.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Final

from perijove.launcher.cgroups import find
from perijove.launcher.names import deployment_name
from perijove.launcher.surroundings import ON_DISK

PATIENCE: Final = 30.0


def remove_leftovers(runtime: Path) -> None:
    """Remove the groups and private directories of a launcher that is gone, and kill what is in the groups."""
    remove_groups(runtime)
    for below in ON_DISK:
        shutil.rmtree(Path(below) / deployment_name(runtime.resolve()), ignore_errors=True)


def remove_groups(runtime: Path) -> None:
    """Remove the control groups of a launcher that is gone, and kill what is in them."""
    groups = find(deployment_name(runtime.resolve()))
    deadline = time.monotonic() + PATIENCE
    for name in groups.names():
        while (groups.kill(name) or not groups.remove(name)) and time.monotonic() < deadline:
            time.sleep(0.02)
    groups.close()
