"""
When a certificate is to be renewed, and how long to wait before the next look. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

#: Renewed when this part of its life is left, as authorities ask for (Let's Encrypt: 30 of 90 days).
REMAINING_PART: Final = 1 / 3
#: Seconds between two looks at a certificate that is good.
LOOK_SECONDS: Final = 12 * 3600.0
#: Seconds before the first and the longest pause after a failure; authorities limit failures to a few an hour.
FIRST_PAUSE: Final = 60.0
LONGEST_PAUSE: Final = 4 * 3600.0
#: Waits are spread by this part, so that a thousand machines that were started at once do not ask at once.
JITTER: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """What is known of the certificate at hand; times in seconds since the epoch."""

    begins: float
    ends: float
    names: frozenset[str]


def is_due(validity: Validity | None, domains: Iterable[str], *, now: float) -> bool:
    """
    Whether a certificate must be obtained now.

    Args:
        validity: of the one at hand; None: there is none.
        domains: the names that it must be for.
        now: seconds since the epoch.
    """
    if validity is None or not validity.names.issuperset(name.lower() for name in domains):
        return True
    life = validity.ends - validity.begins
    return validity.ends - now <= life * REMAINING_PART


def seconds_until_due(validity: Validity, *, now: float) -> float:
    """How long the certificate need not be renewed."""
    return max(validity.ends - (validity.ends - validity.begins) * REMAINING_PART - now, 0.0)


def pause_after_success(validity: Validity, *, now: float, luck: float) -> float:
    """
    Seconds until the next look; sooner for certificates that live for hours, but never at once.

    Args:
        validity: of the certificate at hand.
        now: seconds since the epoch.
        luck: from 0 to 1, at random.
    """
    return _spread(min(LOOK_SECONDS, max(seconds_until_due(validity, now=now), FIRST_PAUSE)), luck)


def pause_after_failure(failures: int, *, luck: float) -> float:
    """Seconds until the next attempt after *failures* in a row: doubles, up to `LONGEST_PAUSE`."""
    return _spread(min(FIRST_PAUSE * 2.0 ** (failures - 1), LONGEST_PAUSE), luck)


def _spread(seconds: float, luck: float) -> float:
    return seconds * (1 + JITTER * luck)
