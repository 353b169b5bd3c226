"""
What the installation has promised: every answer that was received is a promise, everything else is not. Pure.

A start that was acknowledged must end in a server that is ready, or in a failure that is told; a stop that was
acknowledged leaves none; a user who was made is there. Whatever was asked without an answer may have happened or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

#: answers that only say “not now”
NOT_NOW: Final = frozenset({429, 502, 503, 504})
#: how the answer of a start that failed begins when nobody foresaw the reason
SURPRISE: Final = "An unexpected error"


class Promise(Enum):
    """What was last acknowledged about somebody's server."""

    NOTHING = "nothing"
    RUNS = "runs"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How somebody's server is in the end."""

    exists: bool = False
    is_ready: bool = False
    is_active: bool = False
    #: why there is none, as it is told
    failure: str = ""
    #: whether it answers through the proxy
    answers: bool = False


@dataclass(slots=True)
class Ledger:
    """What was promised to whom, and how requests were answered."""

    people: set[str] = field(default_factory=set)
    servers: dict[str, Promise] = field(default_factory=dict)
    #: what was asked and how it was answered → how often
    answers: Counter[str] = field(default_factory=Counter)
    #: answers that must never be given
    wrong: list[str] = field(default_factory=list)

    def answered(self, what: str, name: str, status: int | None, text: str = "") -> None:
        """
        Note an answer.

        Args:
            what: `create`, `start`, `stop` or `look`.
            name: whose server.
            status: None if the connection broke before there was one.
            text: of the answer, to understand a wrong one by.
        """
        self.answers[f"{what} {'cut off' if status is None else status}"] += 1
        if what == "create" and status == 201:  # noqa: PLR2004  # made
            self.people.add(name)
        if what == "start":
            acknowledged = status in {201, 202} or (status == 400 and "already running" in text)  # noqa: PLR2004
            self._promise(name, Promise.RUNS if acknowledged else None, was_refused=status == 400)  # noqa: PLR2004
        if what == "stop":
            self._promise(name, Promise.STOPPED if status in {202, 204} else None, was_refused=False)
        # A start that failed for a reason that is told is a 500, too (contract d13).
        is_told = what == "start" and status == 500 and SURPRISE not in text  # noqa: PLR2004
        if status is not None and status >= 500 and status not in NOT_NOW and not is_told:  # noqa: PLR2004
            self.wrong.append(f"{what} {name}: {status} {text[:200]}")

    def forget(self, name: str) -> None:
        """Somebody's server was killed: how it ends is nobody's promise."""
        self.servers[name] = Promise.NOTHING

    def _promise(self, name: str, promise: Promise | None, *, was_refused: bool) -> None:
        if promise is not None:
            self.servers[name] = promise
        elif not was_refused:
            self.servers[name] = Promise.NOTHING


def broken(ledger: Ledger, found: Mapping[str, Found]) -> Sequence[str]:
    """Every promise that was not kept, in words."""
    faults = list(ledger.wrong)
    nothing = Found()
    gone = [name for name in ledger.people if not found.get(name, nothing).exists]
    faults += [f"{name} was made and is not there" for name in sorted(gone)]
    for name, promise in sorted(ledger.servers.items()):
        state = found.get(name, nothing)
        if promise is Promise.RUNS and not state.is_ready and not state.failure:
            faults.append(f"the server of {name} is lost: its start was acknowledged, and nothing says where it is")
        if promise is Promise.STOPPED and state.is_active:
            faults.append(f"the server of {name} is there, though its stop was acknowledged")
    for name, state in sorted(found.items()):
        if state.is_ready and not state.answers:
            faults.append(f"the server of {name} is ready and does not answer through the proxy")
        if state.is_active and not state.is_ready:
            faults.append(f"the server of {name} is neither ready nor stopped")
    return faults


def disagreements(
    ready: set[str], routed: Sequence[str], launched: Sequence[str], running: set[str] | None
) -> Sequence[str]:
    """
    Where hub, proxy, launcher and machine do not say the same about whose server runs.

    Args:
        ready: people whose server the hub calls ready.
        routed: owners of the proxy's routes.
        launched: owners of the launcher's servers.
        running: owners of processes, where that can be told.
    """
    faults = [f"{name} has {count} routes" for name, count in sorted(Counter(routed).items()) if count > 1]
    faults += [f"{name} has {count} servers" for name, count in sorted(Counter(launched).items()) if count > 1]
    faults += [f"there is no route to the server of {name}" for name in sorted(ready - set(routed))]
    faults += [f"there is a route to {name}, who has no server" for name in sorted(set(routed) - ready)]
    faults += [f"{name} has a ready server, and the launcher has none" for name in sorted(ready - set(launched))]
    faults += [f"{name} has a server, and the hub does not know it" for name in sorted(set(launched) - ready)]
    if running is not None:
        faults += [f"processes of {name} are left, who has no server" for name in sorted(running - ready)]
    return faults
