"""
Time and randomness as values that are passed in, so that rules stay pure and tests exact.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What a use case may know about time."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        return time.monotonic()


class Randomness(Protocol):
    """Where unguessable values come from."""

    def token(self, n_bytes: int) -> str:
        """URL-safe text with *n_bytes* of entropy."""
        ...

    def hex(self, n_bytes: int) -> str:
        """Lower-case hex text with *n_bytes* of entropy."""
        ...


class SystemRandomness:
    """The operating system's generator."""

    def token(self, n_bytes: int) -> str:
        """URL-safe text with *n_bytes* of entropy."""
        return secrets.token_urlsafe(n_bytes)

    def hex(self, n_bytes: int) -> str:
        """Lower-case hex text with *n_bytes* of entropy."""
        return secrets.token_hex(n_bytes)
