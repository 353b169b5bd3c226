from __future__ import annotations

import pytest

from perijove.hub.domain.breaker import FIRST_PAUSE, LONGEST_PAUSE, MAX_KINDS, Breaker, kind_of


def tripped(limit: int = 3) -> Breaker:
    breaker = Breaker(limit=limit)
    for user in range(limit):
        breaker.failed("gpu", user, 0.0)
    return breaker


def test_failures_of_several_users_in_a_row_trip_it() -> None:
    breaker = Breaker(limit=3)

    assert [breaker.failed("gpu", user, 0.0) for user in (1, 2, 3)] == [False, False, True]
    assert breaker.wait("gpu", 10.0) == FIRST_PAUSE - 10.0
    assert breaker.wait("gpu", FIRST_PAUSE) == 0


def test_one_persons_broken_home_harms_nobody_else() -> None:
    breaker = Breaker(limit=2)
    for _ in range(100):
        breaker.failed("gpu", 1, 0.0)

    assert breaker.wait("gpu", 0.0) == 0


def test_other_kinds_are_not_concerned() -> None:
    assert tripped().wait("cpu", 0.0) == 0


def test_a_success_forgets_all_failures() -> None:
    breaker = tripped()
    breaker.succeeded("gpu")

    assert (breaker.wait("gpu", 0.0), len(breaker)) == (0, 0)


def test_after_a_pause_one_start_is_the_trial_and_the_others_wait_for_what_comes_of_it() -> None:
    breaker = tripped()
    breaker.begin("gpu", FIRST_PAUSE)

    assert breaker.wait("gpu", FIRST_PAUSE + 1) == FIRST_PAUSE - 1


def test_each_failed_trial_doubles_the_pause_up_to_a_limit() -> None:
    breaker = tripped()
    pauses = []
    for _ in range(5):
        breaker.failed("gpu", 9, 0.0)
        pauses.append(breaker.wait("gpu", 0.0))

    assert pauses == [60, 120, 240, LONGEST_PAUSE, LONGEST_PAUSE]


def test_a_limit_of_zero_never_trips() -> None:
    breaker = Breaker(limit=0)

    assert not any(breaker.failed("gpu", user, 0.0) for user in range(100))
    assert breaker.wait("gpu", 0.0) == 0


def test_its_memory_is_bounded() -> None:
    breaker = Breaker(limit=1)
    for number in range(2 * MAX_KINDS):
        breaker.failed(f"image {number}", 1, 0.0)

    assert len(breaker) == MAX_KINDS
    assert breaker.wait("image 0", 0.0) == 0


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, ""),
        ({"profile": "gpu"}, "gpu"),
        ({"image": "a/b:1", "profile": "gpu", "other": 1}, "gpu with a/b:1"),
        ({"profile": "x" * 1000}, "x" * 200),
        ({"profile": 7, "image": None}, "7"),
    ],
)
def test_starts_with_one_profile_and_image_are_of_one_kind(options: dict[str, object], kind: str) -> None:
    assert kind_of(options) == kind
