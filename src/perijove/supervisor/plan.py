"""
What is to be run, as values, and how long to wait before running it again. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: seconds before the first and the longest pause between restarts of a part that keeps dying
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 10.0
#: a part that ran this long has recovered: its next death is its first again
RECOVERED_AFTER: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a part runs as; None of these when perijove is not root."""

    uid: int
    gid: int
    groups: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One child process."""

    name: str
    argv: tuple[str, ...]
    #: names of the sockets it inherits
    sockets: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: None: stays what the supervisor is
    identity: Identity | None = None
    #: seconds it has to end in order before it is killed
    stop_timeout: float = 10.0
    #: what it is one of several of; its name, if there is one only
    role: str = ""

    @property
    def kind(self) -> str:
        """What it is, whatever its number."""
        return self.role or self.name


def pause_before_restart(deaths: int) -> float:
    """Seconds to wait after the *deaths*-th death in a row: doubles, up to `LONGEST_PAUSE`."""
    return min(FIRST_PAUSE * 2.0 ** (deaths - 1), LONGEST_PAUSE)
