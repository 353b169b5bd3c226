"""
How many sign-in attempts somebody may make: a sliding window per account and per address.

Pure: the time comes in as an argument. Memory is bounded: past `MAX_KEYS` the key that was quiet
the longest is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Final

from perijove.hub.domain.errors import TooManyAttempts

#: accounts and addresses remembered at once; a flood of invented names must not fill the memory
MAX_KEYS: Final = 10_000


class SlidingWindow:
    """Failures of many keys, each counted over the last *seconds*."""

    def __init__(self, *, limit: int, seconds: float, max_keys: int = MAX_KEYS) -> None:
        self._limit = limit
        self._seconds = seconds
        self._max_keys = max_keys
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """Seconds until *key* may try again; 0 if it may now."""
        times = self._recent(key, now)
        return times[0] + self._seconds - now if len(times) >= self._limit else 0.0

    def add(self, key: str, now: float) -> None:
        """Count a failure of *key*."""
        times = self._recent(key, now)
        times.append(now)
        if len(times) > self._limit:
            times.popleft()
        self._failures[key] = times
        self._failures.move_to_end(key)
        while len(self._failures) > self._max_keys:
            self._failures.popitem(last=False)

    def take_back(self, key: str) -> None:
        """Uncount the latest failure of *key*."""
        times = self._failures.get(key)
        if times:
            times.pop()

    def clear(self, key: str) -> None:
        """Forget the failures of *key*."""
        self._failures.pop(key, None)

    def __len__(self) -> int:
        return len(self._failures)

    def _recent(self, key: str, now: float) -> deque[float]:
        times = self._failures.get(key)
        if times is None:
            return deque()
        while times and times[0] <= now - self._seconds:
            times.popleft()
        if not times:
            del self._failures[key]
        return times


class AttemptLimiter:
    """The two windows that guard signing in, signing up and one-time codes."""

    def __init__(self, *, per_account: int, per_address: int, window_seconds: float) -> None:
        self._accounts = SlidingWindow(limit=per_account, seconds=window_seconds)
        self._addresses = SlidingWindow(limit=per_address, seconds=window_seconds)

    def check(self, *, account: str, address: str, now: float) -> None:
        """
        Let an attempt through, or not. Of the two, one that is empty is unknown and does not count.

        Raises:
            TooManyAttempts: with the seconds to wait.
        """
        wait = max(
            self._accounts.wait(account, now) if account else 0.0,
            self._addresses.wait(_network(address), now) if address else 0.0,
        )
        if wait > 0:
            raise TooManyAttempts(retry_after=int(wait) + 1)

    def failed(self, *, account: str, address: str, now: float) -> None:
        """Count a failed attempt. It is counted before the slow check of a password, so that many at once count too."""
        if account:
            self._accounts.add(account, now)
        if address:
            self._addresses.add(_network(address), now)

    def succeeded(self, *, account: str, address: str) -> None:
        """The attempt just counted was good: the account starts afresh, and the address gets that one back."""
        self._accounts.clear(account)
        self._addresses.take_back(_network(address))


def _network(address: str) -> str:
    """Whom *address* stands for: whoever has one IPv6 address has the 2⁶⁴ of its network."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, 64), strict=False))
