from __future__ import annotations

import pytest

from perijove.hub.domain.attempts import AttemptLimiter, SlidingWindow
from perijove.hub.domain.errors import TooManyAttempts


def limiter() -> AttemptLimiter:
    return AttemptLimiter(per_account=3, per_address=5, window_seconds=60)


def fail(guard: AttemptLimiter, times: int, *, account: str = "ada", address: str = "10.0.0.1", now: float = 0) -> None:
    for _ in range(times):
        guard.check(account=account, address=address, now=now)
        guard.failed(account=account, address=address, now=now)


def test_an_account_has_so_many_tries_from_all_addresses_together() -> None:
    guard = limiter()
    fail(guard, 2)
    fail(guard, 1, address="10.0.0.2")

    with pytest.raises(TooManyAttempts) as caught:
        guard.check(account="ada", address="10.0.0.3", now=10)
    assert caught.value.retry_after == 51


def test_an_address_has_so_many_tries_for_all_accounts_together() -> None:
    guard = limiter()
    for n in range(5):
        fail(guard, 1, account=f"user{n}")

    with pytest.raises(TooManyAttempts):
        guard.check(account="another", address="10.0.0.1", now=0)
    guard.check(account="another", address="10.0.0.2", now=0)


def test_an_ipv6_network_is_one_address() -> None:
    """
    Everybody who has one IPv6 address has a whole network of them to try from.
    """
    guard = limiter()
    for n in range(5):
        fail(guard, 1, account=f"user{n}", address=f"2001:db8::{n}")

    with pytest.raises(TooManyAttempts):
        guard.check(account="another", address="2001:db8::ffff", now=0)
    guard.check(account="another", address="2001:db8:0:1::1", now=0)


def test_an_ipv4_address_is_the_same_in_either_form() -> None:
    guard = limiter()
    for n in range(5):
        fail(guard, 1, account=f"user{n}", address="::ffff:10.0.0.1")

    with pytest.raises(TooManyAttempts):
        guard.check(account="another", address="10.0.0.1", now=0)


def test_old_failures_are_forgotten() -> None:
    guard = limiter()
    fail(guard, 3)

    guard.check(account="ada", address="10.0.0.1", now=60)


def test_the_window_slides() -> None:
    guard = limiter()
    fail(guard, 2, now=0)
    fail(guard, 1, now=50)
    fail(guard, 2, now=61)

    with pytest.raises(TooManyAttempts):
        guard.check(account="ada", address="10.0.0.1", now=62)


def test_a_success_clears_the_account_and_gives_the_address_one_back() -> None:
    """
    A class behind one address signs in all day; somebody who guesses for many names from it does not.
    """
    guard = limiter()
    for n in range(20):
        fail(guard, 1, account=f"student{n}")
        guard.succeeded(account=f"student{n}", address="10.0.0.1")
    fail(guard, 2)
    guard.succeeded(account="ada", address="10.0.0.1")

    fail(guard, 3)


def test_without_an_account_only_the_address_counts() -> None:
    guard = limiter()
    fail(guard, 5, account="")

    with pytest.raises(TooManyAttempts):
        guard.check(account="", address="10.0.0.1", now=0)


def test_an_unknown_address_does_not_count() -> None:
    """
    Otherwise everybody whose address is not known would share one limit.
    """
    guard = limiter()
    for n in range(20):
        fail(guard, 1, account=f"user{n}", address="")


def test_memory_is_bounded() -> None:
    window = SlidingWindow(limit=2, seconds=60, max_keys=10)
    for n in range(100):
        window.add(f"name{n}", 0)
        window.add(f"name{n}", 0)
        window.add(f"name{n}", 0)

    assert len(window) == 10
    assert window.wait("name99", 0) == 60
    assert window.wait("name0", 0) == 0


def test_clearing_what_is_not_there_is_fine() -> None:
    window = SlidingWindow(limit=1, seconds=60)

    window.clear("nobody")
    window.take_back("nobody")

    assert window.wait("nobody", 0) == 0
