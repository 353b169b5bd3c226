from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.hub.domain.queue import Entry, Place, in_order, places

NINE = datetime(2026, 5, 6, 9, tzinfo=UTC)


def asked(number: int, user: int, *groups: str, after: float = 0) -> Entry:
    return Entry(server_id=number, user_id=user, queued_at=NINE + timedelta(seconds=after), groups=groups)


def ids(order: list[Entry]) -> list[int]:
    return [entry.server_id for entry in order]


@st.composite
def queues(draw: st.DrawFn) -> list[Entry]:
    groups = {user: tuple(draw(st.sets(st.sampled_from("abc"), max_size=2))) for user in range(6)}
    users = draw(st.lists(st.integers(0, 5), max_size=20))
    times = draw(st.lists(st.integers(0, 9), min_size=len(users), max_size=len(users)))
    return [asked(n, user, *groups[user], after=at) for n, (user, at) in enumerate(zip(users, times, strict=True))]


def test_one_start_each_goes_by_the_time_it_was_asked_for() -> None:
    waiting = [asked(1, 1, after=3), asked(2, 2, after=1), asked(3, 3, after=2)]

    assert ids(in_order(waiting, [])) == [2, 3, 1]


def test_whoever_asks_for_many_servers_delays_nobody_else() -> None:
    waiting = [asked(n, 1, after=n) for n in range(4)] + [asked(10, 2, after=10), asked(11, 3, after=11)]

    assert ids(in_order(waiting, [])) == [0, 10, 11, 1, 2, 3]


def test_a_start_under_way_counts_for_its_user() -> None:
    waiting = [asked(1, 1, after=1), asked(2, 2, after=2)]

    assert ids(in_order(waiting, [asked(9, 1)])) == [2, 1]


def test_a_class_does_not_keep_a_researcher_waiting() -> None:
    waiting = [asked(n, n, "class", after=n) for n in range(200)] + [asked(900, 900, "research", after=900)]

    assert ids(in_order(waiting, [])).index(900) == 1


def test_users_without_a_group_share_like_one() -> None:
    loners = [asked(n, n, after=n) for n in range(50)]
    waiting = [*loners, asked(900, 900, "class", after=900), asked(901, 901, "class", after=901)]
    order = ids(in_order(waiting, []))

    assert [order.index(900), order.index(901)] == [1, 3]


def test_a_user_of_several_groups_counts_for_the_one_that_asks_for_least() -> None:
    crowd = [asked(n, n, "big", after=n) for n in range(20)]

    assert ids(in_order([*crowd, asked(99, 99, "big", "small", after=99)], [])).index(99) == 1


def test_a_late_comer_shares_from_then_on_and_makes_up_for_nothing() -> None:
    """
    A hundred starts that one group had before the other came give the other no hundred in return.
    """
    before = [
        Entry(server_id=n, user_id=n, queued_at=NINE, groups=("old",), began=NINE + timedelta(seconds=5))
        for n in range(100)
    ]
    waiting = [asked(n, n, "old", after=1) for n in (200, 201, 202)] + [asked(n, n, "new", after=9) for n in (300, 301)]

    assert ids(in_order(waiting, before)) == [200, 300, 201, 301, 202]


def test_starts_that_are_over_count_while_everybody_still_waits() -> None:
    over = Entry(server_id=1, user_id=1, queued_at=NINE, groups=("many",), began=NINE + timedelta(seconds=9))
    waiting = [asked(2, 2, "many", after=1), asked(3, 3, "few", after=2)]

    assert ids(in_order(waiting, [over])) == [3, 2]


@given(queues(), queues())
def test_everybody_stands_in_the_order_once_and_a_users_own_starts_keep_theirs(
    waiting: list[Entry], starting: list[Entry]
) -> None:
    order = in_order(waiting, starting)

    assert sorted(ids(order)) == sorted(entry.server_id for entry in waiting)
    for user in {entry.user_id for entry in waiting}:
        own = [entry for entry in order if entry.user_id == user]
        assert own == sorted(own, key=lambda entry: (entry.queued_at, entry.server_id))


@given(queues())
def test_the_order_does_not_depend_on_that_of_the_rows(waiting: list[Entry]) -> None:
    assert in_order(waiting[::-1], []) == in_order(waiting, [])


@given(queues())
def test_in_any_beginning_of_the_order_no_user_of_one_group_is_two_starts_behind(waiting: list[Entry]) -> None:
    """
    Who still waits has begun as many as anybody else of the group, or one less.
    """
    alone = [Entry(server_id=e.server_id, user_id=e.user_id, queued_at=e.queued_at) for e in waiting]
    order = in_order(alone, [])
    for taken in range(len(order)):
        begun = Counter(entry.user_id for entry in order[:taken])
        still = {entry.user_id for entry in order[taken:]}
        if begun and still:
            assert max(begun.values()) - min(begun[user] for user in still) <= 1


@pytest.mark.parametrize(
    ("start_seconds", "seconds"), [(None, [None, None, None]), (1.0, [1, 1, 2]), (10.0, [5, 10, 15])]
)
def test_the_estimate_is_the_time_that_those_before_one_take(
    start_seconds: float | None, seconds: list[int | None]
) -> None:
    found = places([asked(n, n) for n in (7, 8, 9)], limit=2, start_seconds=start_seconds)

    assert found == {n: Place(ahead=n - 7, seconds=seconds[n - 7]) for n in (7, 8, 9)}


def test_a_place_is_told_in_words() -> None:
    assert Place(ahead=3).words == "Waiting in line: 3 before you"
    assert Place(ahead=3, seconds=20).words == "Waiting in line: 3 before you, about 20 s"
