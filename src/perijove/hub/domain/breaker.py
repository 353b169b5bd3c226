"""
What fails again and again for everybody is not tried for a while: an image or a profile that cannot start must not
take the places of those that can.

A breaker a *kind* of start (`kind_of`). It trips when starts of several different users in a row have failed; one
person's broken home harms nobody else. After a pause, which doubles, one start is let through as a trial. Pure: the
time comes in as an argument. Memory is bounded: past `MAX_KINDS` the one that was quiet the longest is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: kinds of starts remembered at once; users write options, so their number must be bounded
MAX_KINDS: Final = 1000
#: seconds for which a tripped breaker refuses: the first time, and at most
FIRST_PAUSE: Final = 30.0
LONGEST_PAUSE: Final = 300.0
#: longest name of a kind that is remembered and shown
MAX_NAME: Final = 200


@dataclass(slots=True)
class _Failures:
    """Failures in a row of one kind."""

    users: set[int] = field(default_factory=set)
    pause: float = 0.0
    #: no start before that, once tripped
    until: float = 0.0


class Breaker:
    """Counts failures by kind."""

    def __init__(self, *, limit: int) -> None:
        #: users whose starts must have failed in a row; 0: never trips
        self.limit = limit
        self._kinds: OrderedDict[str, _Failures] = OrderedDict()

    def wait(self, kind: str, now: float) -> float:
        """Seconds until a start of *kind* may be tried; 0 if it may be now."""
        failures = self._kinds.get(kind)
        if failures is None or not failures.pause or self.limit <= 0:
            return 0.0
        return max(0.0, failures.until - now)

    def begin(self, kind: str, now: float) -> None:
        """A start of *kind* begins: after a pause it is the trial, and others wait for what comes of it."""
        failures = self._kinds.get(kind)
        if failures is not None and failures.pause:
            failures.until = now + failures.pause

    def failed(self, kind: str, user_id: int, now: float) -> bool:
        """Count a failure; answers whether the breaker has just tripped or stays so."""
        failures = self._kinds.setdefault(kind, _Failures())
        self._kinds.move_to_end(kind)
        while len(self._kinds) > MAX_KINDS:
            self._kinds.popitem(last=False)
        if len(failures.users) < max(1, self.limit):
            failures.users.add(user_id)
        if self.limit <= 0 or len(failures.users) < self.limit:
            return False
        failures.pause = min(failures.pause * 2, LONGEST_PAUSE) if failures.pause else FIRST_PAUSE
        failures.until = now + failures.pause
        return True

    def succeeded(self, kind: str) -> None:
        """A start went well: all is forgotten."""
        self._kinds.pop(kind, None)

    def __len__(self) -> int:
        return len(self._kinds)


def kind_of(user_options: Mapping[str, Any]) -> str:
    """What starts with these options have in common: their profile and their image, as spawners call them."""
    named = [str(user_options[name])[:MAX_NAME] for name in ("profile", "image") if user_options.get(name)]
    return " with ".join(named)
