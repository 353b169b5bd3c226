"""
What browsers report of content that the policy of our pages kept out (contract i): a line in the log, so many a minute.

A page that breaks its policy does so for everybody who opens it, and script of a user's server can make reports up.
"""

from __future__ import annotations

import structlog

from perijove.kit.clock import Clock

log = structlog.get_logger(__name__)

#: reports that are logged in a minute, and the characters of each: enough to find the page and the directive
REPORTS_A_MINUTE = 10
MAX_LOGGED = 2000
#: bytes of a report: browsers send about one kilobyte
MAX_REPORT = 16 * 1024
_MINUTE = 60.0


class CspReports:
    """Logs them, and counts what is too much to be logged."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._since = clock.monotonic()
        self._logged = 0
        self._dropped = 0

    def note(self, report: bytes, *, user: str) -> None:
        """*report* came from a browser in which *user* is signed in."""
        now = self._clock.monotonic()
        if now - self._since >= _MINUTE:
            if self._dropped:
                log.warning("csp.reports_dropped", count=self._dropped)
            self._since, self._logged, self._dropped = now, 0, 0
        if self._logged >= REPORTS_A_MINUTE:
            self._dropped += 1
            return
        self._logged += 1
        log.warning("csp.violation", user=user, report=report[:MAX_LOGGED].decode("utf-8", "replace"))
