from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from perijove.hub.domain.attempts import (
    MAX_KEY,
    AttemptRule,
    Times,
    account_key,
    address_key,
    counted,
    forgiven,
)
from perijove.hub.domain.errors import TooManyAttempts

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RULE = AttemptRule(per_account=3, per_address=5, window_seconds=60)


class Book:
    """What the rows would be."""

    def __init__(self) -> None:
        self.times: dict[str, Times] = {}

    def attempt(self, times: int = 1, *, account: str = "ada", address: str = "10.0.0.1", at: float = 0) -> None:
        """So many that fail."""
        for _ in range(times):
            windows = RULE.windows(account=account, address=address)
            self._put(counted(windows, self.times, START + timedelta(seconds=at)))

    def succeed(self, *, account: str = "ada", address: str = "10.0.0.1") -> None:
        """The last one was good."""
        self._put(forgiven(self.times, account=account, address=address))

    def _put(self, times: Mapping[str, Times]) -> None:
        self.times |= times


def test_an_account_has_so_many_tries_from_all_addresses_together() -> None:
    book = Book()
    book.attempt(2)
    book.attempt(1, address="10.0.0.2")

    with pytest.raises(TooManyAttempts) as caught:
        book.attempt(address="10.0.0.3", at=10)
    assert caught.value.retry_after == 51


def test_an_address_has_so_many_tries_for_all_accounts_together() -> None:
    book = Book()
    for n in range(5):
        book.attempt(account=f"user{n}")

    with pytest.raises(TooManyAttempts):
        book.attempt(account="another")
    book.attempt(account="another", address="10.0.0.2")


def test_an_attempt_that_is_refused_is_not_counted() -> None:
    """
    Otherwise somebody else could keep a person out for ever by trying again and again.
    """
    book = Book()
    book.attempt(3)
    for second in range(1, 60):
        with pytest.raises(TooManyAttempts):
            book.attempt(at=second)

    book.attempt(at=60)


def test_an_ipv6_network_is_one_address() -> None:
    """
    Everybody who has one IPv6 address has a whole network of them to try from.
    """
    book = Book()
    for n in range(5):
        book.attempt(account=f"user{n}", address=f"2001:db8::{n}")

    with pytest.raises(TooManyAttempts):
        book.attempt(account="another", address="2001:db8::ffff")
    book.attempt(account="another", address="2001:db8:0:1::1")


def test_an_ipv4_address_is_the_same_in_either_form() -> None:
    book = Book()
    for n in range(5):
        book.attempt(account=f"user{n}", address="::ffff:10.0.0.1")

    with pytest.raises(TooManyAttempts):
        book.attempt(account="another", address="10.0.0.1")


def test_old_attempts_are_forgotten() -> None:
    book = Book()
    book.attempt(3)

    book.attempt(at=60)


def test_the_window_slides() -> None:
    book = Book()
    book.attempt(2, at=0)
    book.attempt(1, at=50)
    book.attempt(2, at=61)

    with pytest.raises(TooManyAttempts):
        book.attempt(at=62)


def test_a_success_clears_the_account_and_gives_the_address_one_back() -> None:
    """
    A class behind one address signs in all day; somebody who guesses for many names from it does not.
    """
    book = Book()
    for n in range(20):
        book.attempt(account=f"student{n}")
        book.succeed(account=f"student{n}")
    book.attempt(2)
    book.succeed()

    book.attempt(3)


def test_without_an_account_only_the_address_counts() -> None:
    book = Book()
    book.attempt(5, account="")

    with pytest.raises(TooManyAttempts):
        book.attempt(account="")
    assert list(book.times) == [address_key("10.0.0.1")]


def test_an_unknown_address_does_not_count() -> None:
    """
    Otherwise everybody whose address is not known would share one limit.
    """
    book = Book()
    for n in range(20):
        book.attempt(account=f"user{n}", address="")
    book.succeed(account="user1", address="")

    assert RULE.windows(account="", address="") == {}


def test_no_more_times_are_kept_than_count() -> None:
    book = Book()
    for n in range(100):
        book.attempt(account=f"user{n}", at=n * 20)

    assert len(book.times[address_key("10.0.0.1")]) <= 5


def test_what_a_clock_noted_that_was_wrong_does_not_count_for_years() -> None:
    book = Book()
    book.attempt(3, at=4000 * 24 * 3600)

    book.attempt(at=0)


def test_clocks_of_several_hubs_may_differ() -> None:
    book = Book()
    book.attempt(1, at=30)
    book.attempt(1, at=0)
    book.attempt(1, at=30)

    with pytest.raises(TooManyAttempts):
        book.attempt(at=0)
    with pytest.raises(TooManyAttempts):
        book.attempt(at=59)


def test_keys_are_bounded_and_of_different_kinds() -> None:
    assert len(account_key("x" * 10_000)) == len("account ") + MAX_KEY
    assert len(address_key("x" * 10_000)) == len("address ") + MAX_KEY
    assert account_key("10.0.0.1") != address_key("10.0.0.1")
