from __future__ import annotations

from perijove.proxy.core.outages import ATTEMPT_SECONDS, MAX_SILENT, SILENT_SECONDS, TRIAL_SECONDS, Outages
from perijove.proxy.core.targets import Target, parse_target

A, B, C = (parse_target(f"http://192.0.2.{number}:80") for number in (1, 2, 3))


def order(outages: Outages, *, now: float, targets: tuple[Target, ...] = (A, B, C)) -> list[Target]:
    return outages.in_order(targets, now=now)


def test_while_nothing_is_known_they_are_asked_in_the_order_given() -> None:
    assert order(Outages(), now=0.0) == [A, B, C]


def test_who_could_not_be_reached_comes_last_and_is_still_there() -> None:
    """
    When nobody answers, nobody has been left out for having been silent a moment ago.
    """
    outages = Outages()
    outages.failed(A, now=0.0)

    assert order(outages, now=SILENT_SECONDS - 0.1) == [B, C, A]
    assert order(outages, now=0.0, targets=(A,)) == [A]


def test_the_silent_keep_their_order() -> None:
    outages = Outages()
    for target in (C, A):
        outages.failed(target, now=0.0)

    assert order(outages, now=1.0) == [B, A, C]


def test_after_a_while_it_is_tried_again() -> None:
    outages = Outages()
    outages.failed(A, now=0.0)

    assert order(outages, now=SILENT_SECONDS) == [A, B, C]


def test_only_one_at_a_time_tries_who_was_silent() -> None:
    """
    It may cost a second to find out, which everybody else need not pay.
    """
    outages = Outages()
    outages.failed(A, now=0.0)
    outages.trying(A, now=SILENT_SECONDS)

    assert order(outages, now=SILENT_SECONDS + ATTEMPT_SECONDS) == [B, C, A]
    assert order(outages, now=SILENT_SECONDS + TRIAL_SECONDS) == [A, B, C]


def test_to_try_whoever_answers_changes_nothing() -> None:
    outages = Outages()
    outages.trying(A, now=0.0)

    assert order(outages, now=0.0) == [A, B, C]


def test_who_is_reached_is_the_first_choice_at_once() -> None:
    outages = Outages()
    outages.failed(A, now=0.0)
    outages.reached(A)
    outages.reached(B)

    assert order(outages, now=1.0) == [A, B, C]


def test_what_is_remembered_is_bounded() -> None:
    outages = Outages()
    outages.failed(A, now=0.0)
    for number in range(MAX_SILENT):
        outages.failed(parse_target(f"http://192.0.2.1:{number + 1000}"), now=0.0)

    assert order(outages, now=1.0) == [A, B, C]
