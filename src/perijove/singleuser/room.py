"""
A home that takes nothing any more: full, over its quota, or read-only. What Jupyter and IPython write by themselves
goes to the runtime directory then, which is elsewhere and gone with the server; what a user saves fails, and says so.

Without this, a full disk is worse than full: no kernel starts, no notebook opens, and both IPython and nbformat take a
database that they cannot write for a broken one, and put it away.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

#: Bytes that must fit: a small database, and a page or two.
PROBE_BYTES: Final = 64 * 1024
#: Longest file of a profile that is copied: a setting or a script, not data.
LONGEST_COPY: Final = 1024 * 1024
#: What IPython keeps in a profile besides what its user has set.
_STATE: Final = ("history*", "db", "log", "pid", "security")
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def refusal(directory: Path) -> OSError | None:
    """Why nothing can be written into *directory*, or where it would have to be made; None: something can."""
    while not directory.is_dir() and directory != directory.parent:
        directory = directory.parent
    try:
        descriptor, name = tempfile.mkstemp(prefix=".perijove-", dir=directory)
    except OSError as exc:
        return exc
    try:
        # Blocks are taken, and nothing need reach the disk: this is done whenever a server starts.
        os.posix_fallocate(descriptor, 0, PROBE_BYTES)
    except OSError as exc:
        return exc
    finally:
        os.close(descriptor)
        with suppress(OSError):
            Path(name).unlink()
    return None


def is_full(directory: Path) -> bool:
    """Whether *directory* takes nothing because there is no room, as far as its owner is concerned."""
    why = refusal(directory)
    return why is not None and why.errno in _NO_ROOM


def for_server(environ: Mapping[str, str], *, runtime: Path) -> Mapping[str, str]:
    """
    Variables for a server that starts: where to write what the home does not take.

    Args:
        environ: of the server.
        runtime: a directory of the user's own, not in the home.
    """
    home = Path(environ.get("HOME", "/"))
    why = refusal(home)
    if why is None:
        return {}
    log.warning("home.takes_nothing", home=str(home), why=why.strerror)
    # Also the server asks for that directory, when it looks for kernels, and insists on it.
    more = dict(for_kernel(environ, runtime=runtime))
    data = Path(environ.get("JUPYTER_DATA_DIR") or home / ".local" / "share" / "jupyter")
    if not data.is_dir():
        # Jupyter makes it at once, and does not go on without.
        more["JUPYTER_DATA_DIR"] = _made(runtime / "data")
    if "JUPYTERLAB_WORKSPACES_DIR" not in environ:
        more["JUPYTERLAB_WORKSPACES_DIR"] = _made(runtime / "workspaces")
    return more


def for_kernel(environ: Mapping[str, str], *, runtime: Path) -> Mapping[str, str]:
    """Variables for a kernel that starts: a profile of IPython that can be written, with what its user has set."""
    profiles = Path(environ.get("IPYTHONDIR") or Path(environ.get("HOME", "/")) / ".ipython")
    if refusal(profiles / "profile_default") is None:
        return {}
    stand_in = runtime / "ipython"
    if not stand_in.is_dir():
        _copy_settings(profiles, stand_in)
    return {"IPYTHONDIR": str(stand_in)}


def _made(directory: Path) -> str:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return str(directory)


def _copy_settings(profiles: Path, stand_in: Path) -> None:
    _made(stand_in)
    with suppress(OSError, shutil.Error):
        shutil.copytree(profiles, stand_in, ignore=_ignored, dirs_exist_ok=True)


def _ignored(directory: str, names: list[str]) -> set[str]:
    state = set(shutil.ignore_patterns(*_STATE)(directory, names))
    return state | {name for name in names if _is_large(Path(directory, name))}


def _is_large(path: Path) -> bool:
    return path.is_symlink() or (path.is_file() and path.stat().st_size > LONGEST_COPY)
