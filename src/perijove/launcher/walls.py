"""
Which walls stand around a server: what it does not see, what it has for itself, what it cannot write.

Pure: paths in, steps out; `build.py` performs them. The same steps are right for root, where every person has a uid
and this is the second wall, and for one shared uid, where it is the only one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Literal

#: An empty directory in its place; what was there, seen again; a private one that can be written.
Kind = Literal["hide", "show", "private"]

#: Where a program cannot be without: nothing of this is ever hidden whole.
NEVER_HIDDEN: Final = frozenset(
    PurePosixPath("/", path)
    for path in (
        *("", "bin", "boot", "dev", "etc", "lib", "lib64", "nonexistent", "opt", "proc", "run", "sbin", "sys", "tmp"),
        *("usr", "usr/local", "var", "var/lib", "var/tmp"),
    )
)
#: Directories that everybody writes to; each server has its own.
PRIVATE: Final = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  # names, made private
#: Remain writable where all else is not: their files are made by the kernel, or are private.
KERNELS_OWN: Final = ("/proc", "/dev/pts", "/dev/mqueue")
#: Namespaces of a server that has a uid of its own, and of one that shares it (names of /proc/PID/ns).
OWN_UID: Final = ("mnt", "ipc")
SHARED_UID: Final = ("user", "mnt", "ipc", "pid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One mount."""

    kind: Kind
    path: str
    #: of `private`: the directory that stands in its place; empty: memory
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """What one server lives between."""

    namespaces: tuple[str, ...]
    steps: tuple[Step, ...]
    #: everything else is read-only: other people's servers run as the same uid
    read_only: bool
    #: what can be written all the same
    writable: tuple[str, ...] = ()

    @property
    def has_own_pids(self) -> bool:
        """Whether the first process is an init of its own (build.py)."""
        return "pid" in self.namespaces

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Walls:
        """Read what `dataclasses.asdict` made, after a way through JSON."""
        return cls(
            namespaces=tuple(data["namespaces"]),
            steps=tuple(Step(**step) for step in data["steps"]),
            read_only=data["read_only"],
            writable=tuple(data["writable"]),
        )


def plan(
    *,
    hidden: Iterable[str],
    shown: Iterable[str],
    private: dict[str, str],
    shared_uid: bool,
    writable: Iterable[str] = (),
) -> Walls:
    """
    The walls of one server.

    Args:
        hidden: directories that it shall not see. One that no system works without is left as it is.
        shown: what it shall see although it lies below one of those.
        private: directories that it has for itself, and what stands in their place (empty: memory). One below which
            something must be seen is in memory, whatever is asked for.
        shared_uid: whether other people's servers run as the same uid.
        writable: of what it sees, what it may write although the uid is shared.
    """
    visible = {_clean(path) for path in shown}
    wanted: dict[PurePosixPath, Step] = {}
    for path in hidden:
        if (clean := _clean(path)) not in NEVER_HIDDEN:
            wanted[clean] = Step(kind="hide", path=str(clean))
    for name, source in private.items():
        clean = _clean(name)
        if clean in visible:
            continue
        holds_something = any(clean in path.parents for path in visible)
        wanted[clean] = Step(kind="private", path=str(clean), source="" if holds_something else source)
    for clean in visible:
        wanted[clean] = Step(kind="show", path=str(clean))
    steps = tuple(_needed(wanted))
    own = [step.path for step in steps if step.kind == "private"]
    return Walls(
        namespaces=SHARED_UID if shared_uid else OWN_UID,
        steps=steps,
        read_only=shared_uid,
        writable=tuple(dict.fromkeys((*(str(_clean(path)) for path in writable), *own, *KERNELS_OWN)))
        if shared_uid
        else (),
    )


def _needed(wanted: dict[PurePosixPath, Step]) -> Iterable[Step]:
    """From the outside in, without those that change nothing: hidden below hidden, shown where all is seen."""
    for path in sorted(wanted, key=lambda path: (len(path.parts), path)):
        step = wanted[path]
        around = next((wanted[parent].kind for parent in path.parents if parent in wanted), "show")
        is_seen = around == "show"
        # What is hidden, or private, below an empty directory is not there; what is seen already needs no showing.
        if is_seen != (step.kind == "show"):
            yield step


def _clean(path: str) -> PurePosixPath:
    clean = PurePosixPath(path)
    if not clean.is_absolute() or ".." in clean.parts:
        raise ValueError(f"{path} is not an absolute path")
    return clean
