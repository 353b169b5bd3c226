"""
What an earlier launcher left behind and no record knows of: groups with all that runs in them, sockets, directories.

Only below this launcher's own runtime directory, and in the group that is called after it.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

import structlog

from perijove.launcher.capacity import group_name
from perijove.launcher.cgroups import ControlGroups
from perijove.launcher.ending import empty_group
from perijove.launcher.layout import SOCKET, Layout
from perijove.launcher.records import EXITED, RUNNING
from perijove.wire.launcher import Launched

log = structlog.get_logger(__name__)


async def sweep(layout: Layout, groups: ControlGroups, running: Iterable[Launched]) -> None:
    """Remove what none of the servers that are *running* has to do with."""
    sweep_directories(layout.runtime / "servers")
    await sweep_groups(groups, {group_name(launched) for launched in running})


async def sweep_groups(groups: ControlGroups, known: Collection[str]) -> None:
    """Kill what runs in groups that no record knows of, and remove them."""
    for name in sorted(groups.names() - set(known)):
        left = len(groups.members(name))
        await empty_group(groups, name)
        log.warning("cgroup.swept", group=name, processes=left)


def sweep_directories(servers: Path) -> None:
    """Remove sockets of servers that do not run, and directories that tell nothing of any server."""
    for directory in sorted(servers.iterdir()):
        if not directory.is_dir() or directory.is_symlink():
            continue
        if (directory / RUNNING).exists():
            continue
        with suppress(FileNotFoundError):
            (directory / SOCKET).unlink()
        if not (directory / EXITED).exists():
            log.info("directory.swept", path=str(directory))
            shutil.rmtree(directory, ignore_errors=True)
