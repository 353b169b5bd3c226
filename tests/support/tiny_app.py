"""
The least that a launcher can fork: for tests of the launcher that need no notebook server.
"""

from __future__ import annotations

import random


def preload() -> None:
    """Nothing to import: warm at once."""


def run(*, listen_fd: int, args: list[str]) -> int:
    """Print some numbers that a copy of another process would print too, and end."""
    print("serving", listen_fd, *args, random.random(), flush=True)  # noqa: T201
    return 0
