"""
How many sign-in attempts somebody may make: a sliding window per account and per address. Pure.

The times are rows that all hubs share (`usecases/limit_attempts.py`); they are of several machines' clocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Final

from perijove.hub.domain.errors import TooManyAttempts
from perijove.hub.domain.hubs import MAX_SKEW

#: Longest account or address that is told from another; no real one is longer.
MAX_KEY: Final = 255

Times = Sequence[datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """So many attempts within so much time."""

    limit: int
    length: timedelta

    def recent(self, times: Times, now: datetime) -> Times:
        """Those that still count."""
        # One that lies further ahead than clocks differ was noted by a clock that has been put right since.
        return tuple(at for at in times if now - self.length < at <= now + MAX_SKEW)

    def wait(self, times: Times, now: datetime) -> timedelta:
        """How long until another attempt may be made; zero or less if it may now."""
        counted = self.recent(times, now)
        return counted[-self.limit] + self.length - now if len(counted) >= self.limit else timedelta()

    def counting(self, times: Times, now: datetime) -> Times:
        """With one more; no more of them than matter."""
        return tuple(sorted((*self.recent(times, now), now)))[-self.limit :]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRule:
    """The two windows that guard signing in, signing up and one-time codes."""

    per_account: int
    per_address: int
    window_seconds: float

    @property
    def length(self) -> timedelta:
        """Of both."""
        return timedelta(seconds=self.window_seconds)

    def windows(self, *, account: str, address: str) -> Mapping[str, Window]:
        """The windows of an attempt, by key. Of the two, one that is empty is unknown and does not count."""
        found = {}
        if account:
            found[account_key(account)] = Window(limit=self.per_account, length=self.length)
        if address:
            found[address_key(address)] = Window(limit=self.per_address, length=self.length)
        return found


def counted(windows: Mapping[str, Window], times: Mapping[str, Times], now: datetime) -> Mapping[str, Times]:
    """
    The times of *windows* with an attempt that is made *now*.

    Raises:
        TooManyAttempts: it may not be made; with the seconds to wait.
    """
    wait = max((window.wait(times.get(key, ()), now) for key, window in windows.items()), default=timedelta())
    if wait > timedelta():
        raise TooManyAttempts(retry_after=int(wait.total_seconds()) + 1)
    return {key: window.counting(times.get(key, ()), now) for key, window in windows.items()}


def forgiven(times: Mapping[str, Times], *, account: str, address: str) -> Mapping[str, Times]:
    """The attempt counted last was good: the account starts afresh, and the address gets that one back."""
    after: dict[str, Times] = {account_key(account): ()} if account else {}
    if address:
        after[address_key(address)] = tuple(times.get(address_key(address), ()))[:-1]
    return after


def account_key(account: str) -> str:
    """What attempts for *account* are counted by."""
    return f"account {account[:MAX_KEY]}"


def address_key(address: str) -> str:
    """What attempts from *address* are counted by: whoever has one IPv6 address has the 2⁶⁴ of its network."""
    return f"address {_network(address)[:MAX_KEY]}"


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, 64), strict=False))
