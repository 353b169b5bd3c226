"""
Failed sign-ins, as the audit log has them: strangers make as many as they like, so what is written of them is bounded.

They are noted in memory and written a moment later: known and unknown names cost the same in the request, so that the
time of an answer tells nobody which names exist. A failure at a name that exists is an entry, up to a number an hour;
all others are counted, and told in one entry now and then.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from perijove.hub.domain.audit import Action
from perijove.hub.ports import Store
from perijove.hub.usecases.audit import record
from perijove.kit.clock import Clock

#: failures that wait to be written; more than that are only counted
MAX_WAITING: Final = 500
#: entries about single failures that one hub writes in an hour
MAX_AN_HOUR: Final = 600
#: seconds between two entries that tell of all others
TOLD_EVERY: Final = 300.0
#: addresses that such an entry names
_MAX_ADDRESSES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    at: datetime
    account: str
    address: str
    why: str


class FailedSignIns:
    """Noted here, written by `flush`."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: deque[_Failure] = deque()
        self._uncounted = 0
        self._addresses: dict[str, None] = {}
        self._told = clock.monotonic()
        self._hour = clock.monotonic()
        self._written = 0

    def note(self, *, account: str, address: str, why: str) -> None:
        """Somebody failed to sign in as *account*; *why* is a word or two."""
        if len(self._waiting) >= MAX_WAITING:
            self._count(address)
            return
        self._waiting.append(_Failure(at=self._clock.now(), account=account, address=address, why=why))

    def count(self, address: str) -> None:
        """Somebody who has failed too often was not even judged."""
        self._count(address)

    async def flush(self) -> None:
        """Write what was noted; if that fails, it is tried again the next time."""
        due = list(self._waiting)
        seconds = self._clock.monotonic()
        if seconds - self._hour >= timedelta(hours=1).total_seconds():
            self._hour, self._written = seconds, 0
        if due:
            await self._write(due)
            for _ in due:
                self._waiting.popleft()
        if self._uncounted and seconds - self._told >= TOLD_EVERY:
            await self._tell()
            self._told = seconds

    async def _write(self, due: list[_Failure]) -> None:
        room = max(0, MAX_AN_HOUR - self._written)
        written, counted = 0, []
        async with self._store.unit() as unit:
            for failure in due:
                is_known = written < room and await unit.users.by_name(failure.account) is not None
                if not is_known:
                    counted.append(failure.address)
                    continue
                await record(
                    unit,
                    Action.SIGN_IN_FAILED,
                    at=failure.at,
                    by=None,
                    target=failure.account,
                    address=failure.address,
                    why=failure.why,
                )
                written += 1
        self._written += written
        for address in counted:
            self._count(address)

    async def _tell(self) -> None:
        count, addresses = self._uncounted, list(self._addresses)
        async with self._store.unit() as unit:
            await record(
                unit, Action.SIGN_IN_FAILED, at=self._clock.now(), by=None, others=count, some_addresses=addresses
            )
        self._uncounted -= count
        self._addresses.clear()

    def _count(self, address: str) -> None:
        self._uncounted += 1
        if len(self._addresses) < _MAX_ADDRESSES:
            self._addresses[address[:64]] = None
