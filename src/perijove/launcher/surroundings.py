"""
Which walls each server gets here: what this installation hides, what it shows, and whether the kernel lets it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import structlog

from perijove.launcher import build
from perijove.launcher.accounts import Account
from perijove.launcher.layout import Layout
from perijove.launcher.walls import PRIVATE, Walls, plan

log = structlog.get_logger(__name__)

#: What an administrator asks for: what is possible, all or nothing, nothing.
Isolation = Literal["auto", "require", "off"]
#: Where other people live.
HOMES: Final = ("/home", "/root")
#: Private directories that are on disk, so that large files in them are no memory.
ON_DISK: Final = ("/tmp", "/var/tmp")  # noqa: S108  # made private
#: What the trial says when it worked.
_BUILT: Final = "built"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What stands around the servers of one launcher."""

    layout: Layout
    #: whether each person has a uid of their own
    as_root: bool
    #: directories that all servers see wherever they are, with the rights that their files give
    shared: tuple[str, ...] = ()
    #: why there can be no walls here; empty: there are
    missing: str = ""
    #: whether `sudo` and its like give nothing
    no_new_privs: bool = True

    def walls(self, account: Account, *, runtime: Path) -> Walls | None:
        """The walls of a server of *account*, whose own runtime directory is *runtime*."""
        if self.missing:
            return None
        home = os.path.realpath(account.home)
        return plan(
            hidden=self._hidden(home),
            shown=[*_interpreter(), *_real([*self.shared, runtime, self.layout.runtime / "kernels", home])],
            private={name: self._private(name, account) for name in PRIVATE},
            shared_uid=not self.as_root,
            writable=_real([home, runtime, *self.shared]),
        )

    def _hidden(self, home: str) -> list[str]:
        launcher_home = () if self.as_root else (Path("~").expanduser(),)
        roots = _real([*HOMES, *launcher_home, self.layout.runtime, self.layout.state])
        return [*roots, str(Path(home).parent)]

    def _private(self, name: str, account: Account) -> str:
        """A directory of the account's own below *name*, cleaned by what cleans there; empty: there can be none."""
        if name not in ON_DISK:
            return ""
        try:
            return str(self.layout.make_private_directory(Path(name), account.name, uid=account.uid, gid=account.gid))
        except OSError as exc:
            log.warning("private_directory.in_memory", directory=name, error=str(exc))
            return ""


def why_not(*, as_root: bool) -> str:
    """
    Why this kernel lets us build no walls, found by building some in a child; empty: it does.

    Forks: call it before there are threads.
    """
    walls = plan(hidden=(), shown=(), private=dict.fromkeys(PRIVATE, ""), shared_uid=not as_root)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _try(walls, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return "" if said == _BUILT else said or "the attempt ended without a word"


def _try(walls: Walls, writing: int) -> None:
    try:
        build.leave(walls)
        child = os.fork()
        if child == 0:
            build.build(walls)
            os.write(writing, _BUILT.encode())
        else:
            os.waitpid(child, 0)
    except BaseException as exc:  # noqa: BLE001  # a fork of the launcher must not become a second launcher
        os.write(writing, str(exc).encode())
    finally:
        os._exit(0)


def _interpreter() -> list[str]:
    """Where this Python and its modules are: servers import from there all their life."""
    places = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *sys.path}
    return _real(place for place in places if place)


def _real(paths: Iterable[str | Path]) -> list[str]:
    """Those that are there, without symbolic links."""
    return [os.path.realpath(path) for path in paths if Path(path).exists()]
