"""
The control groups of this launcher: one for all servers together, one in it for each server.

`find` looks which trees are mounted and may be written; what is written is `cgroup_settings.py`. The group above all
is called after the runtime directory, so that a restarted launcher finds its own again and never another's.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from perijove.kit import cgroups as kit
from perijove.kit.cgroups import V2, Memory, Tree
from perijove.launcher.cgroup_settings import SHARES_OF_A_CORE, Together, Write, for_all, for_server, weight
from perijove.wire.launcher import Limits

log = structlog.get_logger(__name__)

#: Controllers that are used where there are any.
WANTED: Final = ("memory", "cpu", "pids", "freezer")
#: Version 2 allows no processes beside groups with limits: those that were there move to this group.
PARTS: Final = "perijove-parts"
#: Attempts to move them: some may fork meanwhile.
MOVES: Final = 5
_PROCS: Final = "cgroup.procs"
_LOW: Final = {1: "memory.soft_limit_in_bytes", 2: "memory.low"}
_WEIGHT: Final = {1: "cpu.shares", 2: "cpu.weight"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where groups of servers are made, for one controller."""

    version: int
    directory: Path


def find(name: str, *, trees: Sequence[Tree] | None = None, process: Path = Path("/proc/self")) -> ControlGroups:
    """
    Look which controllers can be used here, and make the group *name* in each tree.

    Args:
        name: of the group above all servers.
        trees: what is mounted; None: look.
        process: directory of this process in /proc.
    """
    places: dict[str, Place] = {}
    for tree in kit.trees(process) if trees is None else trees:
        wanted = [name for name in WANTED if name in tree.controllers and name not in places]
        if not wanted:
            continue
        for base in _bases(tree, process):
            with suppress(OSError):
                made = _prepare(base, name, tree.version, wanted)
                places |= {controller: Place(version=tree.version, directory=base / name) for controller in made}
                break
    if "pids" in places and "freezer" in places:
        # Who cannot fork need not be frozen to be killed, and each tree costs every start a moment.
        spare = places.pop("freezer").directory
        if spare not in {place.directory for place in places.values()}:
            with suppress(OSError):
                spare.rmdir()
    return ControlGroups(places)


def _bases(tree: Tree, process: Path) -> Iterator[Path]:
    """
    Groups below which ours may be, best first.

    At the top everything is in sight and nothing above limits it. But systemd owns the top of version 2, and hands
    over only the group of a service with `Delegate=`; an ordinary user has no other.
    """
    own = kit.own_directory(tree, process)
    if own is not None and own.name == PARTS:
        own = own.parent
    if own is not None and own != tree.mount and tree.version == V2 and _is_delegated(own):
        yield own
    yield tree.mount
    if own is not None and own != tree.mount:
        yield own


def _is_delegated(group: Path) -> bool:
    for name in ("user.delegate", "trusted.delegate"):
        with suppress(OSError):
            return os.getxattr(group, name) == b"1"
    return False


def _prepare(base: Path, name: str, version: int, wanted: Sequence[str]) -> Sequence[str]:
    """Make the group *name* below *base*; controllers that groups in it can have."""
    directory = base / name
    directory.mkdir(exist_ok=True)
    if not os.access(directory / _PROCS, os.W_OK):
        raise PermissionError(f"{directory} is not ours")
    if version == 1:
        return wanted
    usable = [controller for controller in wanted if _enable(base, controller) and _enable(directory, controller)]
    if not usable:
        directory.rmdir()
    return usable


def _enable(group: Path, controller: str) -> bool:
    """Let groups in *group* have *controller*; whether they can."""
    control = group / "cgroup.subtree_control"
    try:
        if controller in control.read_text(encoding="ascii").split():
            return True
        for _ in range(MOVES):
            with suppress(OSError):
                control.write_text(f"+{controller}", encoding="ascii")
                return True
            # Processes stand in the way, unless it is the real root.
            _move_to_parts(group)
        control.write_text(f"+{controller}", encoding="ascii")
    except OSError as exc:
        log.debug("cgroup.controller_not_usable", group=str(group), controller=controller, error=str(exc))
        return False
    return True


def _move_to_parts(group: Path) -> None:
    parts = group / PARTS
    parts.mkdir(exist_ok=True)
    for pid in kit.pids(group / _PROCS):
        with suppress(ProcessLookupError):
            (parts / _PROCS).write_text(str(pid), encoding="ascii")


class ControlGroups:
    """
    Makes, reads, empties and removes the groups of servers.

    Args:
        places: controller → where its groups are; empty where this machine has none for us.
    """

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._places = dict(places)
        self._directories = tuple(dict.fromkeys(place.directory for place in places.values()))

    @property
    def controllers(self) -> frozenset[str]:
        """What can be held here: `memory`, `cpu`, `pids`."""
        return frozenset(self._places)

    @property
    def versions(self) -> frozenset[int]:
        """Of the trees that are used."""
        return frozenset(place.version for place in self._places.values())

    def hold_all(self, together: Together) -> None:
        """
        Hold all servers together to what they may use.

        Raises:
            OSError: the kernel does not take it.
        """
        for controller, place in self._places.items():
            _write(place.directory, for_all(controller, place.version, together))

    def make(self, name: str, limits: Limits) -> tuple[str, ...]:
        """
        Make the group *name* with *limits*; the files that a process joins it by.

        Raises:
            OSError: the kernel does not take it; nothing is left.
        """
        try:
            for directory in self._directories:
                (directory / name).mkdir(exist_ok=True)
            for controller, place in self._places.items():
                _write(place.directory / name, for_server(controller, place.version, limits))
        except OSError:
            self.remove(name)
            raise
        return self.joining(name)

    def joining(self, name: str) -> tuple[str, ...]:
        """The files that a process joins the group *name* by; empty if there is none."""
        files = (directory / name / _PROCS for directory in self._directories)
        return tuple(str(file) for file in files if file.exists())

    def names(self) -> frozenset[str]:
        """Every group that is there."""
        return frozenset(
            entry.name for directory in self._directories if directory.exists() for entry in _groups_in(directory)
        )

    def members(self, name: str) -> frozenset[int]:
        """Pids of the processes in the group, and in groups that they have made in it."""
        return frozenset(
            pid
            for directory in self._directories
            for file in (directory / name).rglob(_PROCS)
            for pid in kit.pids(file)
        )

    def memory(self, name: str) -> Memory | None:
        """What the group *name* uses; None where memory is not held, or the group is gone."""
        place = self._places.get("memory")
        return None if place is None else kit.read_memory(place.directory / name, place.version)

    def memory_of_all(self) -> Memory | None:
        """What all servers use together."""
        return self.memory("")

    def memory_above(self) -> Memory | None:
        """What is used by the group that ours is in: a container, or a service."""
        place = self._places.get("memory")
        return None if place is None else kit.read_memory(place.directory.parent, place.version)

    def throttled(self, name: str) -> int:
        """How often the group *name* had to wait because it had used its cores."""
        place = self._places.get("cpu")
        return 0 if place is None else kit.table(place.directory / name / "cpu.stat").get("nr_throttled", 0)

    def promised_memory(self) -> int:
        """Bytes that are guaranteed to servers that are there."""
        place = self._places.get("memory")
        if place is None:
            return 0
        promises = (kit.number(group / _LOW[place.version]) for group in _groups_in(place.directory))
        # Version 1 has "everything" where nothing was promised.
        return sum(bytes_ for bytes_ in promises if bytes_ is not None and bytes_ < 2**62)

    def promised_cores(self) -> float:
        """Cores that are guaranteed to servers that are there."""
        place = self._places.get("cpu")
        if place is None:
            return 0.0
        nothing = weight(place.version, Limits())
        weights = (kit.number(group / _WEIGHT[place.version]) for group in _groups_in(place.directory))
        return sum(found for found in weights if found not in (None, nothing)) / SHARES_OF_A_CORE[place.version]

    def kill(self, name: str) -> bool:
        """Kill what is in the group, once; whether there was something. Call it again until there is not."""
        self._let_none_be_born(name)
        # Dying takes processor time, too.
        for file, text in (("cpu.cfs_quota_us", "-1"), ("cpu.max", "max")):
            self._write("cpu", name, file, text)
        for directory in self._directories:
            _write_if_there(directory / name / "cgroup.kill", "1")
        with contextlib.ExitStack() as held:
            victims = {pid: held.enter_context(_descriptor(pid)) for pid in self.members(name)}
            # Looked at again: a number that was read may be another process's by the time it is opened.
            members = self.members(name)
            for pid, descriptor in victims.items():
                if pid in members and descriptor is not None:
                    with suppress(ProcessLookupError):
                        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        self._write("freezer", name, "freezer.state", "THAWED")
        return bool(victims)

    def remove(self, name: str) -> bool:
        """Remove an empty group; whether it is gone. What was read of it is no more."""
        gone = True
        for directory in self._directories:
            for path in (*_below(directory / name), directory / name):
                try:
                    path.rmdir()
                except FileNotFoundError:
                    continue
                except OSError as exc:
                    log.debug("cgroup.not_removed", group=str(path), error=str(exc))
                    gone = False
        return gone

    def close(self) -> None:
        """Remove the group above all, if no server is left in it."""
        if not self.names():
            for directory in self._directories:
                with suppress(OSError):
                    directory.rmdir()

    def _let_none_be_born(self, name: str) -> None:
        """Against programs that fork faster than they are killed."""
        if "pids" in self._places:
            self._write("pids", name, "pids.max", "0")
        else:
            self._write("freezer", name, "freezer.state", "FROZEN")

    def _write(self, controller: str, name: str, file: str, text: str) -> None:
        place = self._places.get(controller)
        if place is not None:
            _write_if_there(place.directory / name / file, text)


@contextlib.contextmanager
def _descriptor(pid: int) -> Iterator[int | None]:
    """A pidfd of that process, which stays its own; None if it is gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_if_there(path: Path, text: str) -> None:
    if path.exists():
        with suppress(OSError):
            path.write_text(text, encoding="ascii")


def _write(group: Path, writes: Sequence[Write]) -> None:
    try:
        _write_in_order(group, writes)
    except OSError:
        # Version 1: a limit that is raised must be raised for memory with swap first, as one may not exceed the other.
        _write_in_order(group, [*reversed(writes)])


def _write_in_order(group: Path, writes: Sequence[Write]) -> None:
    for file, text, is_optional in writes:
        path = group / file
        if not is_optional or path.exists():
            path.write_text(text, encoding="ascii")


def _groups_in(directory: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        yield from (Path(entry.path) for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False))


def _below(group: Path) -> Iterator[Path]:
    """Groups in *group*, the innermost first."""
    for path, _, _ in os.walk(group, topdown=False):
        if path != str(group):
            yield Path(path)
