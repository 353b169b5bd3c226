from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from perijove.hub.domain.hubs import MAX_SKEW, PATIENCE, RENEWAL, TRUST, HubProcess, Lookout, may_take, others_of

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def hub(until: datetime, *, name: str = "one", incarnation: int = 1) -> HubProcess:
    return HubProcess(name=name, incarnation=incarnation, version="1", started=NOW, alive_until=until)


def test_a_hub_lets_go_before_others_count_it_as_gone_and_all_that_happens_within_a_lease() -> None:
    assert RENEWAL < TRUST < PATIENCE < 1


def test_a_hub_whose_row_does_not_change_any_more_is_gone() -> None:
    lookout = Lookout(lease_seconds=10)

    lives = [lookout.look([hub(NOW)], now=NOW, seconds=seconds) for seconds in (0.0, 7.9, 8.0)]

    assert lives == [{"one#1"}, {"one#1"}, set()]


@pytest.mark.parametrize("skew", [-MINUTE, timedelta(), MINUTE, timedelta(days=4000)])
def test_whether_a_hub_lives_does_not_hang_on_its_clock(skew: timedelta) -> None:
    """
    One whose clock is slow must not lose what it drives, and one whose clock is fast must not keep it.
    """
    lookout = Lookout(lease_seconds=10)
    first = lookout.look([hub(NOW + skew)], now=NOW, seconds=0)
    renewed = [lookout.look([hub(NOW + skew + timedelta(seconds=n))], now=NOW, seconds=n * 1.0) for n in range(1, 60)]

    later = lookout.look([hub(NOW + skew + timedelta(seconds=59))], now=NOW, seconds=68)

    assert set(renewed) == {frozenset({"one#1"})}
    assert later == frozenset()
    assert first == ({"one#1"} if skew > -MINUTE else set())


def test_a_hub_that_went_long_ago_is_not_waited_for() -> None:
    lookout = Lookout(lease_seconds=10)

    assert lookout.look([hub(NOW - MAX_SKEW)], now=NOW, seconds=0) == set()


def test_an_older_incarnation_is_gone_at_once() -> None:
    lookout = Lookout(lease_seconds=10)
    lookout.look([hub(NOW)], now=NOW, seconds=0)

    assert lookout.look([hub(NOW, incarnation=2)], now=NOW, seconds=1) == {"one#2"}


def test_a_hub_that_left_is_gone_at_once() -> None:
    lookout = Lookout(lease_seconds=10)
    lookout.look([hub(NOW), hub(NOW, name="two")], now=NOW, seconds=0)

    assert lookout.look([hub(NOW, name="two")], now=NOW, seconds=1) == {"two#1"}


@pytest.mark.parametrize(
    ("holder", "until", "free"),
    [
        ("", None, True),
        ("me#1", NOW + MINUTE, True),
        ("gone#1", NOW + MINUTE, True),
        ("one#1", NOW + MINUTE, False),
        ("one#1", NOW - MINUTE + timedelta(seconds=1), False),
        ("one#1", NOW - MINUTE, True),
        ("one#1", None, True),
    ],
)
def test_a_lease_is_free_when_its_holder_is_gone_or_has_forgotten_it(
    holder: str,
    until: datetime | None,
    free: bool,  # noqa: FBT001  # a column of the table
) -> None:
    assert may_take(holder, until, mine="me#1", live=frozenset({"me#1", "one#1"}), now=NOW) is free


@pytest.mark.parametrize(
    ("live", "is_one_of_several", "stay"),
    [
        ({"lab-1#3"}, True, set()),
        ({"lab-1#3", "lab-2#1"}, True, set()),
        ({"lab-1#3", "lab-2#1"}, False, {"lab-2"}),
        ({"lab-1#3", "other-lab-2#1"}, True, {"other-lab-2"}),
        (set(), False, set()),
    ],
)
def test_hubs_of_one_deployment_end_together_and_those_of_another_stay(
    live: set[str],
    is_one_of_several: bool,  # noqa: FBT001  # a column of the table
    stay: set[str],
) -> None:
    """
    Whoever stays drives people's servers on; one of this deployment that was just killed does not.
    """
    assert others_of(live, name="lab-1", is_one_of_several=is_one_of_several) == stay
