"""
Where the launcher keeps things: sockets and records below the runtime directory, logs and (without
root) homes below the state directory. Makes directories with their owners and modes; nothing else here.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from perijove.launcher.errors import LaunchFailed
from perijove.launcher.names import deployment_name, directory_name, short_name, system_name

#: Longest path that fits `sockaddr_un.sun_path` with its closing zero (unix(7)).
MAX_SOCKET_PATH: Final = 107
#: Name of a server's socket in its directory.
SOCKET: Final = "s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Paths of one launcher."""

    runtime: Path
    state: Path
    #: group of the hub and the proxy: may enter a server's directory; -1 without root
    socket_gid: int

    def prepare(self) -> None:
        """
        Make the directories that all servers share.

        Raises:
            LaunchFailed: one cannot be made; the message says which.
        """
        # Others pass through to reach `users/<own>`, but cannot list; below `servers` the group decides.
        # The two roots may be somebody else's: they stay as they are.
        for root in (self.runtime, self.state):
            if not root.exists():
                _make(root, 0o711)
        for path, mode in (
            (self.runtime / "servers", 0o711),
            (self.runtime / "users", 0o711),
            (self.kernel_socket().parent, 0o711),
            (self.state / "logs", 0o700),
            (self.template_cache(), 0o700),
            (self.state / "users", 0o711),
        ):
            _make(path, mode)

    def server_directory(self, key: str) -> Path:
        """Directory of the server's socket and record."""
        return self.runtime / "servers" / directory_name(key)

    def make_server_directory(self, key: str) -> Path:
        """The same, made if need be: only the hub's and the proxy's group may enter."""
        path = self.server_directory(key)
        _make(path, 0o750, gid=self.socket_gid)
        return path

    def socket(self, key: str) -> Path:
        """
        The unix socket that the server listens on.

        Raises:
            LaunchFailed: the path is longer than a unix socket's may be.
        """
        path = self.server_directory(key) / SOCKET
        if len(os.fsencode(path)) > MAX_SOCKET_PATH:
            raise LaunchFailed(f"the runtime directory {self.runtime} has too long a path for unix sockets")
        return path

    def kernel_socket(self) -> Path:
        """Where servers ask for kernels; anybody may connect."""
        return self.runtime / "kernels" / "s"

    def template_cache(self) -> Path:
        """What libraries compute when a template imports them, and keep, such as matplotlib's list of fonts."""
        return self.state / "template"

    def remove_socket(self, key: str) -> None:
        """Nobody listens there any more."""
        self.socket(key).unlink(missing_ok=True)

    def make_user_runtime(self, account_name: str, *, uid: int, gid: int) -> Path:
        """JUPYTER_RUNTIME_DIR of one account: usable even when the home is read-only or full."""
        path = self.runtime / "users" / short_name(account_name)
        _make(path, 0o700, uid=uid, gid=gid)
        return path

    def make_private_directory(self, below: Path, account_name: str, *, uid: int, gid: int) -> Path:
        """
        What an account has in place of the directory *below*, which everybody may write to.

        Raises:
            OSError: it cannot be made, or somebody else has made it.
        """
        ours = below / deployment_name(self.runtime.resolve())
        with contextlib.suppress(FileExistsError):
            ours.mkdir(mode=0o711)
        _refuse_unless_ours(ours)
        ours.chmod(0o711)
        # Nobody else may write in there, so nobody can have put a link in its place.
        path = ours / short_name(account_name)
        _make(path, 0o700, uid=uid, gid=gid)
        return path

    def log(self, key: str) -> Path:
        """Log of the server's present or last run."""
        return self.state / "logs" / f"{directory_name(key)}.log"

    def private_home(self, user: str) -> Path:
        """Home of a user when everybody runs as one uid."""
        return self.state / "users" / system_name(user)

    def make_private_home(self, user: str) -> Path:
        """The same, made if need be."""
        path = self.private_home(user)
        _make(path, 0o700)
        return path


def _refuse_unless_ours(path: Path) -> None:
    found = path.lstat()
    is_open = bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or is_open:
        raise PermissionError(f"{path} was made by somebody else")


def _make(path: Path, mode: int, *, uid: int = -1, gid: int = -1) -> None:
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
        status = path.stat()
        if status.st_uid == os.geteuid() or os.geteuid() == 0:
            path.chmod(mode)
        if (uid, gid) != (-1, -1) and os.geteuid() == 0:
            os.chown(path, uid, gid)
    except OSError as exc:
        raise LaunchFailed(f"cannot make the directory {path}: {exc.strerror}") from exc
