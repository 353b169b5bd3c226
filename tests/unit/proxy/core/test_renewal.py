from __future__ import annotations

import pytest

from perijove.proxy.core.renewal import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    LOOK_SECONDS,
    Validity,
    is_due,
    pause_after_failure,
    pause_after_success,
    seconds_until_due,
)

DAY = 86400.0
NINETY_DAYS = Validity(begins=0.0, ends=90 * DAY, names=frozenset({"a.org", "b.org"}))


@pytest.mark.parametrize(
    ("validity", "domains", "now", "due"),
    [
        (None, ["a.org"], 0.0, True),
        (NINETY_DAYS, ["a.org"], 0.0, False),
        (NINETY_DAYS, ["A.org", "b.org"], 59 * DAY, False),
        (NINETY_DAYS, ["a.org"], 60 * DAY, True),
        (NINETY_DAYS, ["a.org"], 91 * DAY, True),
        (NINETY_DAYS, ["a.org", "c.org"], 0.0, True),
    ],
    ids=["none", "fresh", "a day early", "a third left", "ended", "another name"],
)
def test_it_is_renewed_when_a_third_of_its_life_is_left(
    *, validity: Validity | None, domains: list[str], now: float, due: bool
) -> None:
    assert is_due(validity, domains, now=now) is due


@pytest.mark.parametrize(
    ("now", "seconds"), [(0.0, LOOK_SECONDS), (60 * DAY - 100, 100.0), (60 * DAY, FIRST_PAUSE), (95 * DAY, FIRST_PAUSE)]
)
def test_the_next_look_is_no_later_than_the_moment_it_is_due(now: float, seconds: float) -> None:
    assert pause_after_success(NINETY_DAYS, now=now, luck=0.0) == seconds


def test_a_certificate_need_not_be_renewed_for_two_thirds_of_its_life() -> None:
    assert seconds_until_due(NINETY_DAYS, now=0.0) == pytest.approx(60 * DAY)


def test_pauses_after_failures_double_up_to_a_limit() -> None:
    pauses = [pause_after_failure(failures, luck=0.0) for failures in (1, 2, 3, 50)]

    assert pauses == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, LONGEST_PAUSE]


def test_waits_are_spread() -> None:
    """
    A thousand machines that were started at once must not ask at once.
    """
    assert pause_after_failure(1, luck=1.0) == pytest.approx(FIRST_PAUSE * 1.1)
    assert pause_after_success(NINETY_DAYS, now=0.0, luck=0.5) == pytest.approx(LOOK_SECONDS * 1.05)
