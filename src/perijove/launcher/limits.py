"""
Which limits this machine can hold, and how a child takes them on.

Open files and processes are resource limits of the kernel. Memory and cores of a whole server need
control groups, which this launcher does not drive: asking for them is refused, never ignored.
"""

from __future__ import annotations

import resource

from perijove.launcher.errors import Unenforceable
from perijove.wire.launcher import Limits


def enforceable(*, as_root: bool) -> tuple[str, ...]:
    """Names of the limits that can be held here."""
    return ("open_files", "processes") if as_root else ("open_files",)


def check(limits: Limits, *, as_root: bool) -> None:
    """
    Accept *limits* or say which one cannot be held.

    Raises:
        Unenforceable: with a sentence for the administrator.
    """
    if limits.memory is not None:
        raise Unenforceable("a memory limit was asked for, but this launcher has no control groups to hold it with")
    if limits.cpu is not None:
        raise Unenforceable("a CPU limit was asked for, but this launcher has no control groups to hold it with")
    if limits.processes is not None and not as_root:
        # RLIMIT_NPROC counts all processes of a uid, and here all users share one.
        raise Unenforceable("a limit on processes needs a system user per person, so a launcher that runs as root")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits.open_files is not None and hard != resource.RLIM_INFINITY and limits.open_files > hard:
        raise Unenforceable(f"{limits.open_files} open files were asked for; the machine allows {hard}")


def apply(*, processes: int | None, open_files: int | None) -> None:
    """Take the limits on, in the child, while it still may."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if open_files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    if processes is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
