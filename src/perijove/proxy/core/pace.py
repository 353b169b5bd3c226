"""
How slowly a client may send its body or take its answer.

Only the seconds count in which everybody else waits for the client: what a server takes is no fault of its client's.
"""

from __future__ import annotations


class Pace:
    """One client's, during one request. Averages are taken window by window: nobody saves up for a long pause."""

    __slots__ = ("_mark", "_seconds")

    def __init__(self) -> None:
        self._seconds = 0
        self._mark = 0

    def is_too_slow(self, moved: int, *, rate: int, window: float) -> bool:
        """
        Called once for every second of waiting; whether that was one window of too few bytes.

        Args:
            moved: bytes that the client has sent and taken so far.
            rate: bytes a second that it must move.
            window: seconds over which that is averaged.
        """
        if not self._seconds:
            self._mark = moved
        self._seconds += 1
        if self._seconds <= window:
            return False
        self._seconds = 0
        return moved - self._mark < rate * window
