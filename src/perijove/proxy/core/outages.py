"""
Which of several targets that stand for each other is asked: the first that is not known to be silent.

Nothing here connects and nobody here knows the time: whoever tries a target says so, and says how it went.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perijove.proxy.core.targets import Target

#: Seconds for one attempt while there is somebody else to ask.
ATTEMPT_SECONDS: Final = 1.0
#: Seconds during which a target that could not be reached comes after the others.
SILENT_SECONDS: Final = 5.0
#: When these are over, the first who tries it again is alone for so long: more than an attempt, by a coarse clock.
TRIAL_SECONDS: Final = ATTEMPT_SECONDS + 1.0
#: Most targets that are remembered.
MAX_SILENT: Final = 1024


class Outages:
    """Who could not be reached lately."""

    def __init__(self) -> None:
        #: key of a target -> monotonic seconds until which it comes last
        self._until: dict[str, float] = {}

    def in_order(self, targets: Sequence[Target], *, now: float) -> list[Target]:
        """All of *targets* in the order to try them in: as given, but those last that are silent at *now*."""
        until = self._until
        return sorted(targets, key=lambda target: until.get(target.key, now) > now)

    def trying(self, target: Target, *, now: float) -> None:
        """Somebody tries *target*: if it was silent, nobody else need wait for it."""
        if target.key in self._until:
            self._until[target.key] = now + TRIAL_SECONDS

    def failed(self, target: Target, *, now: float) -> None:
        """*target* could not be reached."""
        if len(self._until) >= MAX_SILENT:
            # What is forgotten is found out again.
            self._until.clear()
        self._until[target.key] = now + SILENT_SECONDS

    def reached(self, target: Target) -> None:
        """*target* is there."""
        self._until.pop(target.key, None)
