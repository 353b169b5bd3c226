"""
Version 2 of control groups as a folder of files that behaves like the kernel's: for machines whose controllers are
all version 1's.

What is written is checked as the kernel checks it: formats, which controllers a group may hand down, and that only a
leaf (or the real root) has processes. Processes are real; their membership is only here.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from perijove.kit.cgroups import V2, Tree

CONTROLLERS: Final = ("cpu", "memory", "pids")
_CORE: Final = {
    "cgroup.procs": "",
    "cgroup.subtree_control": "",
    "cgroup.events": "populated 0\nfrozen 0\n",
    "cgroup.type": "domain\n",
    "cgroup.kill": "",
}
_FILES: Final = {
    "memory": {
        "memory.current": "0\n",
        "memory.max": "max\n",
        "memory.high": "max\n",
        "memory.low": "0\n",
        "memory.peak": "0\n",
        "memory.swap.max": "max\n",
        "memory.stat": "anon 0\ninactive_file 0\n",
        "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n",
    },
    "cpu": {"cpu.max": "max 100000\n", "cpu.weight": "100\n", "cpu.stat": "usage_usec 0\nnr_throttled 0\n"},
    "pids": {"pids.max": "max\n", "pids.current": "0\n"},
}
_AMOUNT: Final = r"max|\d+"
_FORMATS: Final = {
    **dict.fromkeys(("memory.max", "memory.high", "memory.low", "memory.swap.max", "pids.max"), _AMOUNT),
    "cpu.max": r"(max|\d{4,})( \d+)?",
    "cpu.weight": r"[1-9]\d{0,3}|10000",
    "cgroup.kill": "1",
    "cgroup.procs": r"\d+",
    "cgroup.subtree_control": r"\+(cpu|memory|pids)",
}
_mkdir, _write_text, _rmdir = Path.mkdir, Path.write_text, Path.rmdir


class FakeTree:
    """
    A mounted tree.

    Args:
        mount: an empty folder.
        is_real_root: whether its top is the machine's root group, rather than a container's.
        controllers: that it has.
    """

    def __init__(self, mount: Path, *, is_real_root: bool = True, controllers: tuple[str, ...] = CONTROLLERS) -> None:
        self.mount = mount
        self._is_real_root = is_real_root
        self._populate(mount, controllers)
        if is_real_root:
            (mount / "cgroup.type").unlink()

    @property
    def tree(self) -> Tree:
        controllers = frozenset((self.mount / "cgroup.controllers").read_text().split())
        return Tree(version=V2, controllers=controllers, mount=self.mount)

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Let it stand in for the kernel, for what is done below `mount`."""

        def mkdir(path: Path, *args: Any, **kwargs: Any) -> None:
            was_there = path.exists()
            _mkdir(path, *args, **kwargs)
            if self._has(path) and not was_there:
                self._populate(path, (path.parent / "cgroup.subtree_control").read_text().split())

        def write_text(path: Path, data: str, *args: Any, **kwargs: Any) -> int:
            if self._has(path):
                self._write(path, data)
                return len(data)
            return _write_text(path, data, *args, **kwargs)

        def rmdir(path: Path) -> None:
            if not self._has(path):
                _rmdir(path)
            elif not path.exists():
                raise FileNotFoundError(errno.ENOENT, "gone", str(path))
            elif self.pids(path) or any(entry.is_dir() for entry in path.iterdir()):
                raise OSError(errno.EBUSY, "busy", str(path))
            else:
                shutil.rmtree(path)

        with patch.multiple(Path, mkdir=mkdir, write_text=write_text, rmdir=rmdir):
            yield

    def join(self, file: str, pid: int) -> None:
        """Process *pid* writes itself into a `cgroup.procs` file."""
        self._write(Path(file), str(pid))

    def pids(self, group: Path) -> list[int]:
        """Processes of the group that are alive."""
        return [pid for pid in map(int, (group / "cgroup.procs").read_text().split()) if _is_alive(pid)]

    def set(self, file: Path, text: str) -> None:
        """What the kernel would count."""
        assert file.exists()
        _write_text(file, text)

    def _has(self, path: Path) -> bool:
        return self.mount in path.parents

    def _populate(self, group: Path, controllers: list[str] | tuple[str, ...]) -> None:
        for name, text in {**_CORE, "cgroup.controllers": " ".join(controllers)}.items():
            _write_text(group / name, text)
        for controller in controllers:
            self._enable(group, controller)

    def _enable(self, group: Path, controller: str) -> None:
        for name, text in _FILES[controller].items():
            if not (group / name).exists():
                _write_text(group / name, text)

    def _write(self, path: Path, data: str) -> None:
        group, name, word = path.parent, path.name, data.strip()
        if not path.exists():
            # Nobody makes files there but the kernel.
            raise PermissionError(errno.EACCES, "no such control", str(path))
        if re.fullmatch(_FORMATS.get(name, ""), word) is None or (name == "cpu.max" and not _is_quota(word)):
            raise OSError(errno.EINVAL, "not as the kernel reads it", f"{path}: {data!r}")
        match name:
            case "cgroup.subtree_control":
                self._hand_down(group, word.removeprefix("+"))
            case "cgroup.procs":
                self._move(group, int(word))
            case "cgroup.kill":
                self._kill(group)
            case _:
                _write_text(path, f"{word}\n")

    def _hand_down(self, group: Path, controller: str) -> None:
        if controller not in (group / "cgroup.controllers").read_text().split():
            raise FileNotFoundError(errno.ENOENT, "not handed down to here", controller)
        if self.pids(group) and not self._is_root(group):
            raise OSError(errno.EBUSY, "a group with processes hands nothing down", str(group))
        control = group / "cgroup.subtree_control"
        given = {*control.read_text().split(), controller}
        _write_text(control, " ".join(sorted(given)))
        for child in group.iterdir():
            if child.is_dir():
                _write_text(child / "cgroup.controllers", " ".join(sorted(given)))
                self._enable(child, controller)

    def _move(self, group: Path, pid: int) -> None:
        if (group / "cgroup.subtree_control").read_text() and not self._is_root(group):
            raise OSError(errno.EBUSY, "a group that hands down controllers has no processes", str(group))
        for file in self.mount.rglob("cgroup.procs"):
            _write_text(file, "".join(f"{other}\n" for other in self.pids(file.parent) if other != pid))
        with (group / "cgroup.procs").open("a") as procs:
            procs.write(f"{pid}\n")

    def _kill(self, group: Path) -> None:
        for file in group.rglob("cgroup.procs"):
            for pid in self.pids(file.parent):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
            _write_text(file, "")

    def _is_root(self, group: Path) -> bool:
        return self._is_real_root and group == self.mount


def _is_quota(word: str) -> bool:
    quota, _, period = word.partition(" ")
    return (quota == "max" or int(quota) >= 1000) and (not period or 1000 <= int(period) <= 1_000_000)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
