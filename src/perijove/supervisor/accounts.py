"""
System users of the parts, and the folders that are theirs. As root only; otherwise all is one user's.
"""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Final, TextIO

from perijove.supervisor.errors import AlreadyRunning, EnvironmentUnsafe, FolderUnusable
from perijove.supervisor.plan import Identity

#: Members may pass through to the sockets of hub, proxy and servers.
SOCKET_GROUP: Final = "perijove"
#: Seconds that useradd or groupadd may take.
_ADD_TIMEOUT: Final = 30.0
#: the file in the runtime folder that whoever runs perijove holds
LOCK: Final = "perijove.lock"


def socket_group() -> int:
    """
    The gid of `SOCKET_GROUP`, made if it is missing.

    Raises:
        FolderUnusable: groupadd fails.
    """
    try:
        return grp.getgrnam(SOCKET_GROUP).gr_gid
    except KeyError:
        _run("groupadd", "--system", SOCKET_GROUP)
        return grp.getgrnam(SOCKET_GROUP).gr_gid


def service_user(name: str) -> Identity:
    """
    The system user *name*, made without home and shell if it is missing, with `SOCKET_GROUP` as a group.

    Raises:
        FolderUnusable: useradd fails.
    """
    gid = socket_group()
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        _run(
            "useradd",
            "--system",
            "--no-create-home",
            "--home-dir",
            "/nonexistent",
            "--shell",
            "/usr/sbin/nologin",
            name,
        )
        entry = pwd.getpwnam(name)
    return Identity(uid=entry.pw_uid, gid=entry.pw_gid, groups=(gid,))


def _run(program: str, *arguments: str) -> None:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        raise FolderUnusable(f"{program} is not installed; perijove needs it to make its system users.")
    done = subprocess.run(  # noqa: S603  # a fixed program, our own words
        [found, *arguments], capture_output=True, text=True, timeout=_ADD_TIMEOUT, check=False
    )
    if done.returncode != 0:
        raise FolderUnusable(f"{program} {arguments[-1]} failed: {done.stderr.strip()}")


def folder(path: Path, *, mode: int, uid: int = -1, gid: int = -1) -> Path:
    """
    Make *path* with *mode* and owner, or put these right.

    Raises:
        FolderUnusable: it cannot be made or written, is a link, or belongs to somebody else.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o755)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise FolderUnusable(f"{path} is not a folder.")
        if os.geteuid() != 0 and found.st_uid != os.geteuid():
            raise FolderUnusable(f"{path} belongs to somebody else.")
        path.chmod(mode)
        if os.geteuid() == 0:
            os.chown(path, max(uid, 0), max(gid, 0))
    except OSError as exc:
        raise FolderUnusable(f"{path} cannot be made or written: {exc.strerror}. Choose another folder.") from exc
    if not os.access(path, os.W_OK | os.X_OK):
        raise FolderUnusable(f"{path} cannot be written by this user. Choose another folder.")
    return path


def lock(path: Path) -> TextIO:
    """
    Hold *path* as long as the answer is open: one perijove per runtime folder.

    Raises:
        AlreadyRunning: another process holds it; the message has its pid.
    """
    handle = path.open("a+", encoding="ascii")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        handle.seek(0)
        pid = handle.read().strip()
        handle.close()
        raise AlreadyRunning(f"perijove is already running with {path.parent} (process {pid or 'unknown'}).") from exc
    handle.truncate(0)
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    return handle


def check_interpreter(executable: Path, packages: Path) -> None:
    """
    As root: servers run as other users, so they must be able to read *packages* and run *executable*, and nobody
    but root may be able to change either, or any folder above.

    Raises:
        EnvironmentUnsafe: says which folder, and what to do.
    """
    for path in {*_with_parents(executable.resolve()), *_with_parents(executable), *_with_parents(packages)}:
        found = path.stat()
        if found.st_uid != 0 or (found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX):
            raise EnvironmentUnsafe(
                f"{path} can be changed by others than root, and perijove would run programs from it as root. "
                "Install perijove where only root can write, for instance with script/server."
            )
        if path.is_dir() and not found.st_mode & stat.S_IXOTH:
            raise EnvironmentUnsafe(
                f"Other users cannot enter {path}, so their servers could not run. Install perijove with an "
                "interpreter that everybody may read, for instance Debian's /usr/bin/python3, in a "
                "folder that everybody may enter."
            )


def _with_parents(path: Path) -> list[Path]:
    return [path, *path.parents]
