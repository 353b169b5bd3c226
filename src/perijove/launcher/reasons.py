"""
Why a process is no more, in words for the person whose it was. Pure: what was seen goes in, a reason comes out.

For servers and for kernels alike; whoever watches over one gathers the facts.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from perijove.kit.cgroups import Memory
from perijove.kit.processes import ending
from perijove.kit.sizes import amount

#: values of `ExitReport.reason`
EXIT: Final = "exit"
SIGNAL: Final = "signal"
OUT_OF_MEMORY: Final = "oom"
DISK_FULL: Final = "disk_full"
#: nobody saw how it ended
UNKNOWN: Final = "unknown"

#: A group is at its limit when that part of it is used: the kernel gives up a few pages before the last.
_AT_LIMIT: Final = 0.97
#: What programs say when a disk or a quota is full: words of strerror(3).
_FULL: Final = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))
#: Lines of a log in which that is looked for: further up it need not be why it ended.
_LAST_LINES: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of an end."""

    #: exit code, or less than zero: minus the signal; None: nobody saw it
    code: int | None
    #: how the message calls it: `server`, `kernel`
    what: str = "server"
    #: of its control group, read before that is removed; None: there is none
    memory: Memory | None = None
    #: processes of that group that the kernel had killed for memory before, of which somebody has been told
    kills_before: int = 0
    #: of the group of all servers
    memory_of_all: Memory | None = None
    #: names of file systems without a free byte or inode, for people: `your home`
    full: Sequence[str] = ()
    #: last lines of its log
    log_tail: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why, as a word for programs, a number and a sentence."""

    reason: str
    #: exit code or signal number; -1 if unknown
    status: int
    message: str


def why(facts: Facts) -> Reason:
    """The most telling reason that the facts allow."""
    was_killed = facts.code is None or facts.code == -signal.SIGKILL
    if was_killed and facts.memory is not None and facts.memory.kills > facts.kills_before:
        return Reason(reason=OUT_OF_MEMORY, status=signal.SIGKILL, message=_out_of_memory(facts, facts.memory))
    if facts.code is None:
        return Reason(reason=UNKNOWN, status=-1, message="It ended while no launcher watched it, or was not its child.")
    if facts.code != 0 and (full := _full(facts)):
        how = ending(facts.code)
        return Reason(reason=DISK_FULL, status=abs(facts.code), message=f"{full}, and {how[0].lower()}{how[1:]}")
    return Reason(
        reason=EXIT if facts.code >= 0 else SIGNAL,
        status=abs(facts.code),
        message=ending(facts.code),
    )


def _out_of_memory(facts: Facts, memory: Memory) -> str:
    """Which limit it was: its own, or the one of all servers."""
    # `used` is what is left after the kill; what counts is what it was.
    used = max(memory.peak, memory.used)
    if memory.limit is not None and used >= memory.limit * _AT_LIMIT:
        used = min(used, memory.limit)
        return (
            f"The {facts.what} was killed because it ran out of memory: "
            f"{amount(used)} of {amount(memory.limit)} were in use."
        )
    everyone = facts.memory_of_all
    if everyone is not None and everyone.limit is not None:
        return (
            f"The {facts.what} was killed because all servers together ran out of memory: of {amount(everyone.limit)}, "
            f"this one's used {amount(used)} at most."
        )
    return f"The {facts.what} was killed because this machine ran out of memory; it used {amount(used)} at most."


def _full(facts: Facts) -> str:
    if facts.full:
        return f"There is no space left in {' and '.join(facts.full)}"
    for line in reversed(facts.log_tail[-_LAST_LINES:]):
        if any(words in line for words in _FULL):
            return "There is no space left on a disk, or a quota is used up"
    return ""
