"""
One running server, how its end is learnt and what is said of it then.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass, field
from typing import Final

from perijove.launcher.build import SIGNALLED
from perijove.launcher.records import Record
from perijove.wire.launcher import ExitReport, Launched

#: Reason of an end that no launcher saw (`ExitReport.reason`).
UNSEEN: Final = "unknown"


@dataclass(slots=True, kw_only=True)
class Server:
    """One running server; `asked` says whether the hub wants it gone."""

    record: Record
    ended: asyncio.Future[int]
    asked: bool = False
    #: whether its first process waits for the one that is meant, and says a signal as a number (build.py)
    has_init: bool = False
    #: found again after a restart: not our child, so nobody can tell us how it ends
    adopted: bool = False
    #: pid and start time of processes seen below it when it was told to stop: orphans by the time it is gone
    family: dict[int, int] = field(default_factory=dict)

    @property
    def launched(self) -> Launched:
        """What the hub knows of it."""
        return self.record.launched

    def meant(self, code: int) -> int:
        """How it ended (negative: a signal), when its first process ended with *code*."""
        return SIGNALLED - code if self.has_init and code > SIGNALLED else code


def end_of(pid: int) -> asyncio.Future[int]:
    """Ready when *pid*, which is not our child, ends; nobody can tell us with which status."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[int] = loop.create_future()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        future.set_result(-1)
        return future

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        if not future.done():
            future.set_result(0)

    loop.add_reader(descriptor, ended)
    return future


def report(server: Server, code: int, log_tail: tuple[str, ...]) -> ExitReport:
    """Why *server* is no more, after it ended with *code* (negative: a signal)."""
    reason, status, message = "exit", code, f"It ended with exit code {code}."
    if server.adopted:
        reason, status, message = (
            UNSEEN,
            -1,
            "It ended while no launcher watched it, or was not its child.",
        )
    elif code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else str(-code)
        reason, status, message = "signal", -code, f"It was ended by signal {name}."
    if server.asked:
        message = "It was stopped."
    return ExitReport(
        key=server.launched.key,
        generation=server.launched.generation,
        reason=reason,
        status=status,
        message=message,
        asked=server.asked,
        log_tail=log_tail,
    )
