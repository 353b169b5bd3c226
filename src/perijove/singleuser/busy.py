"""
What runs in this server without anybody being there: kernels that compute, terminals with a job in front.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, Protocol

What = Literal["kernel", "terminal"]

KERNEL: Final[What] = "kernel"
TERMINAL: Final[What] = "terminal"


class Terminal(Protocol):
    """A process in a pseudo-terminal, as terminado knows it."""

    pid: int
    fd: int


def busy_with(*, kernels: Iterable[Mapping[str, Any]], terminals: Iterable[Terminal]) -> What | None:
    """
    What runs; None if nothing does.

    Args:
        kernels: Jupyter Server's models of them. One with cells in its queue is busy with the one before.
        terminals: with their shells.
    """
    if any(kernel.get("execution_state") == "busy" for kernel in kernels):
        return KERNEL
    return TERMINAL if any(has_foreground_job(terminal) for terminal in terminals) else None


def has_foreground_job(terminal: Terminal) -> bool:
    """Whether something other than the shell is in front: the terminal's process group is not the shell's own."""
    try:
        in_front = os.tcgetpgrp(terminal.fd)
    except OSError:
        # It is being closed, or its shell has ended.
        return False
    return in_front not in (0, terminal.pid)
