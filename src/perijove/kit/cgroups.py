"""
Control groups as they are found: which are mounted, where a process is in them, what a group uses (cgroups(7)).

Version 1 has a tree for each controller, version 2 one for all; a machine may have both. Nothing here makes or changes
a group: that is the launcher's `cgroups.py`. A server reads its own memory with this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: The version with one tree for all controllers.
V2: Final = 2
_SELF: Final = Path("/proc/self")
#: Version 1 writes "no limit" as the highest multiple of a page.
_NO_LIMIT: Final = 2**62
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A mounted tree of control groups."""

    #: 1 or 2
    version: int
    controllers: frozenset[str]
    mount: Path
    #: the group that is seen at `mount`: in a container it may not be the real root
    root: str = "/"

    def directory(self, group: str) -> Path | None:
        """Where *group*, as /proc/PID/cgroup names it, is seen; None if it is outside of what is mounted."""
        root = self.root.rstrip("/")
        if group != self.root and not group.startswith(f"{root}/"):
            return None
        below = group[len(root) :].strip("/")
        return None if ".." in below.split("/") else self.mount / below


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a group uses, in bytes."""

    #: without pages of files, which the kernel takes back when it needs them
    used: int
    #: None: as much as there is
    limit: int | None
    #: most that it has ever used, with such pages; 0: this kernel does not say
    peak: int = 0
    #: processes of it that the kernel has killed to get memory
    kills: int = 0


def parse_mounts(mountinfo: str) -> tuple[Tree, ...]:
    """The trees in /proc/PID/mountinfo (proc(5)); those of version 2 without their controllers."""
    trees = []
    for line in mountinfo.splitlines():
        place, _, what = line.partition(" - ")
        words, kind = place.split(), what.split()
        if len(words) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):  # noqa: PLR2004  # proc(5)
            continue
        version = V2 if kind[0] == "cgroup2" else 1
        controllers = frozenset() if version == V2 else frozenset(kind[2].split(",")) - {"rw", "ro"}
        mount, root = Path(_unescaped(words[4])), _unescaped(words[3])
        trees.append(Tree(version=version, controllers=controllers, mount=mount, root=root))
    return tuple(trees)


def parse_memberships(text: str) -> Mapping[str, str]:
    """Controller → group in /proc/PID/cgroup; the empty name is version 2's."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        groups |= dict.fromkeys(controllers.split(","), group)
    return groups


def trees(process: Path = _SELF) -> tuple[Tree, ...]:
    """What is mounted here; nothing where there are no control groups."""
    try:
        found = parse_mounts((process / "mountinfo").read_text(encoding="utf-8"))
    except OSError:
        return ()
    return tuple(tree if tree.version == 1 else _with_controllers(tree) for tree in found)


def own_directory(tree: Tree, process: Path = _SELF) -> Path | None:
    """Where the group of *process* is in *tree*; None if it is not to be seen."""
    try:
        groups = parse_memberships((process / "cgroup").read_text(encoding="utf-8"))
    except OSError:
        return None
    # One of a tree's controllers is as good as another: they share it.
    names = [""] if tree.version == V2 else sorted(tree.controllers)
    group = next((groups[name] for name in names if name in groups), None)
    return None if group is None else tree.directory(group)


def own_memory_group(process: Path = _SELF) -> tuple[Path, int] | None:
    """The directory and version of the group that holds the memory of *process*; None if there is none to be seen."""
    for tree in trees(process):
        if "memory" in tree.controllers and (directory := own_directory(tree, process)) is not None:
            return directory, tree.version
    return None


def is_above(directory: Path, version: int, part: float) -> bool:
    """
    Whether the group at *directory* may use more than that part of its limit. Cheap, so it may be asked all the time.

    Pages of files are counted here: whether it really does is what `read_memory` tells.
    """
    names = _MEMORY_FILES[version]
    used, limit = number(directory / names.used), number(directory / names.limit)
    return used is not None and limit is not None and used > limit * part


def read_memory(directory: Path, version: int) -> Memory | None:
    """What the group at *directory* uses; None if it has no memory controller, or is gone."""
    names = _MEMORY_FILES[version]
    used = number(directory / names.used)
    if used is None:
        return None
    statistics = table(directory / "memory.stat")
    limit = number(directory / names.limit)
    return Memory(
        used=max(0, used - statistics.get(names.idle_pages, 0)),
        limit=None if limit is None or limit >= _NO_LIMIT else limit,
        peak=number(directory / names.peak) or 0,
        kills=table(directory / names.events).get("oom_kill", 0),
    )


def number(path: Path) -> int | None:
    """The number in a file; None if there is none, or it says `max`."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def table(path: Path) -> Mapping[str, int]:
    """A file of lines `name number`; empty if there is no such file."""
    try:
        lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    except OSError:
        return {}
    return {words[0]: int(words[1]) for words in lines if words[1:] and words[1].isdigit()}


def pids(path: Path) -> Sequence[int]:
    """The processes in a `cgroup.procs` file; none if there is no such file."""
    try:
        return [int(line) for line in path.read_text(encoding="ascii").split()]
    except OSError:
        return []


@dataclass(frozen=True, slots=True)
class _MemoryFiles:
    used: str
    limit: str
    peak: str
    events: str
    idle_pages: str


_MEMORY_FILES: Final = {
    1: _MemoryFiles(
        "memory.usage_in_bytes",
        "memory.limit_in_bytes",
        "memory.max_usage_in_bytes",
        "memory.oom_control",
        "total_inactive_file",
    ),
    V2: _MemoryFiles("memory.current", "memory.max", "memory.peak", "memory.events", "inactive_file"),
}


def _with_controllers(tree: Tree) -> Tree:
    try:
        names: Iterable[str] = (tree.mount / "cgroup.controllers").read_text(encoding="ascii").split()
    except OSError:
        names = ()
    return Tree(version=tree.version, controllers=frozenset(names), mount=tree.mount, root=tree.root)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)
