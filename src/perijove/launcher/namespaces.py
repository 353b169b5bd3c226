"""
The kernel's calls that Python 3.11 does not have: namespaces, mounts, capabilities.

Thin: each function is one system call that raises OSError. What is done with them is `walls.py`.
Loaded in the template, because after a change of user or of mounts there may be nothing to load from.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)

#: Flags of unshare(2) and setns(2), by the names of /proc/PID/ns.
NAMESPACES: Final = {"mnt": 0x00020000, "ipc": 0x08000000, "user": 0x10000000, "pid": 0x20000000}

#: Flags of mount(2).
READ_ONLY: Final = 1
NO_SUID: Final = 2
NO_DEVICES: Final = 4
NO_EXEC: Final = 8
REMOUNT: Final = 32
BIND: Final = 4096
RECURSIVE: Final = 16384
SLAVE: Final = 1 << 19

_AT_FDCWD: Final = -100
_AT_RECURSIVE: Final = 0x8000
_MOUNT_ATTR_READ_ONLY: Final = 1
#: Number of mount_setattr(2): the same on every architecture, Linux 5.12.
_SYS_MOUNT_SETATTR: Final = 442
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_DUMPABLE: Final = 4
_PR_CAPBSET_DROP: Final = 24
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_LAST_CAPABILITY_FILE: Final = "/proc/sys/kernel/cap_last_cap"
#: _LINUX_CAPABILITY_VERSION_3 and the calling process, then three empty sets of 64 bits (capset(2)).
_CAPABILITY_HEADER: Final = struct.pack("=Ii", 0x20080522, 0)
_NO_CAPABILITIES: Final = struct.pack("=6I", *([0] * 6))


def unshare(*names: str) -> None:
    """Leave the namespaces *names* for new ones; a new one of pids is the children's."""
    _check(_LIBC.unshare(_flags(names)))


def enter(pidfd: int, *names: str) -> None:
    """Enter the namespaces *names* of the process of *pidfd* (Linux 5.8); that of pids is the children's."""
    _check(_LIBC.setns(pidfd, _flags(names)))


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Let *source* stand in the place of *target*; the rest is as the system call has it."""
    _check(
        _LIBC.mount(source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode()),
        target,
    )


def set_read_only(path: str, *, read_only: bool, recursive: bool) -> None:
    """Say whether what is mounted at *path*, and perhaps below, can be written (mount_setattr(2))."""
    sets, clears = (_MOUNT_ATTR_READ_ONLY, 0) if read_only else (0, _MOUNT_ATTR_READ_ONLY)
    attributes = struct.pack("=4Q", sets, clears, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    _check(
        _LIBC.syscall(
            _SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), flags, attributes, ctypes.c_size_t(len(attributes))
        ),
        path,
    )


def drop_capabilities() -> None:
    """Give up every capability, for good."""
    with open(_LAST_CAPABILITY_FILE) as file:  # noqa: PTH123  # no pathlib between fork and exec
        last = int(file.read())
    for number in range(last + 1):
        _check(_LIBC.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0))
    _check(_LIBC.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    _check(_LIBC.capset(_CAPABILITY_HEADER, _NO_CAPABILITIES))


def set_no_new_privs() -> None:
    """From now on no program gains anything by its set-user-id bit (prctl(2))."""
    _check(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def set_dumpable() -> None:
    """Let /proc/self be our own after a change of user without exec (prctl(2), PR_SET_DUMPABLE)."""
    _check(_LIBC.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0))


def _flags(names: tuple[str, ...]) -> int:
    flags = 0
    for name in names:
        flags |= NAMESPACES[name]
    return flags


def _check(result: int, name: str | None = None) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
