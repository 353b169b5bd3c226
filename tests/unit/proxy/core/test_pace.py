from __future__ import annotations

from collections.abc import Callable

from perijove.proxy.core.pace import Pace


def seconds_until_cut(moved: Callable[[int], int], *, rate: int = 100, window: float = 10.0) -> int:
    """How long a client is borne that has moved so much by each second; 0: for ever."""
    pace = Pace()
    for second in range(1000):
        if pace.is_too_slow(moved(second), rate=rate, window=window):
            return second
    return 0


def test_who_moves_nothing_is_cut_after_one_window() -> None:
    assert seconds_until_cut(lambda _: 0) == 10


def test_who_is_just_slow_enough_is_cut_and_who_is_just_fast_enough_is_not() -> None:
    assert seconds_until_cut(lambda second: 99 * second) == 10
    assert seconds_until_cut(lambda second: 100 * second) == 0


def test_bursts_are_averaged() -> None:
    assert seconds_until_cut(lambda second: second // 5 * 500) == 0


def test_nobody_saves_up() -> None:
    """
    A gigabyte at first buys no hour of silence.
    """
    assert seconds_until_cut(lambda second: 10**9 if second else 0) == 21


def test_without_a_rate_nobody_is_cut() -> None:
    assert seconds_until_cut(lambda _: 0, rate=0) == 0
