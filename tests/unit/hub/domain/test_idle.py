from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.idle import (
    CullPolicy,
    End,
    Keep,
    Reason,
    Stop,
    Warn,
    duration,
    end_of,
    policy_for,
    read_policies,
    shortest,
    verdict,
    why,
)
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import Server

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = 3600
SERVER = Server(
    id=1,
    user_id=1,
    user_name="ada",
    name="",
    state=State.READY,
    generation=1,
    created=NOON,
    started_at=NOON,
    last_activity=NOON,
)
IDLE = CullPolicy(idle_seconds=HOUR, warn_seconds=300, extend_seconds=1800)
AGE = CullPolicy(max_age_seconds=HOUR, warn_seconds=300, extend_seconds=1800)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


# -- verdicts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [IDLE, AGE])
def test_a_server_is_kept_then_warned_then_stopped(policy: CullPolicy) -> None:
    times = (0, HOUR - 301, HOUR - 300, HOUR - 1, HOUR, 10 * HOUR)

    verdicts = [type(verdict(SERVER, policy, at(seconds))) for seconds in times]

    assert verdicts == [Keep, Keep, Warn, Warn, Stop, Stop]


def test_a_warning_says_when_and_why() -> None:
    judged = verdict(SERVER, IDLE, at(HOUR - 60))

    assert judged == Warn(End(at=at(HOUR), reason=Reason.IDLE, may_be_put_off=True, seconds=HOUR))


def test_what_is_busy_is_never_stopped_for_idleness() -> None:
    busy = replace(SERVER, busy_until=at(10 * HOUR))

    assert end_of(busy, IDLE, at(9 * HOUR)) is None
    assert isinstance(verdict(busy, IDLE, at(11 * HOUR)), Stop)


def test_a_maximum_age_ends_even_what_is_busy() -> None:
    busy = replace(SERVER, busy_until=at(10 * HOUR), last_activity=at(HOUR))

    assert isinstance(verdict(busy, AGE, at(HOUR)), Stop)


def test_use_begins_the_idle_time_anew() -> None:
    used = replace(SERVER, last_activity=at(600))

    assert end_of(used, IDLE, at(601)) == End(at=at(HOUR + 600), reason=Reason.IDLE, may_be_put_off=False, seconds=HOUR)


def test_a_server_that_was_never_used_counts_from_its_start() -> None:
    end = end_of(replace(SERVER, last_activity=None), IDLE, NOON)

    assert end is not None
    assert end.at == at(HOUR)
    assert end_of(replace(SERVER, last_activity=None, started_at=None), IDLE, NOON) is None
    assert end_of(replace(SERVER, started_at=None), AGE, NOON) is None


def test_whoever_asks_gets_more_idle_time_again_and_again() -> None:
    now = at(HOUR - 100)
    kept = replace(SERVER, keep_until=now + timedelta(seconds=1800))

    end = end_of(kept, IDLE, now)

    assert end == End(at=at(HOUR + 1700), reason=Reason.IDLE, may_be_put_off=False, seconds=HOUR + 1700)
    later = end_of(kept, IDLE, now + timedelta(seconds=60))
    assert later is not None
    assert later.may_be_put_off


def test_a_maximum_age_can_be_put_off_once() -> None:
    """
    A server that could be kept again and again would have no maximum age.
    """
    first = end_of(SERVER, AGE, at(HOUR - 100))
    kept = replace(SERVER, keep_until=at(HOUR - 100 + 1800))
    again = replace(SERVER, keep_until=at(10 * HOUR))

    second, last = end_of(kept, AGE, at(HOUR)), end_of(again, AGE, at(HOUR + 1700))

    assert first is not None
    assert second is not None
    assert last is not None
    assert (first.at, first.may_be_put_off) == (at(HOUR), True)
    assert (second.at, second.may_be_put_off) == (at(HOUR + 1700), True)
    assert (last.at, last.may_be_put_off) == (at(HOUR + 1800), False)


def test_without_an_extension_nothing_can_be_put_off() -> None:
    for policy in (IDLE, AGE):
        end = end_of(SERVER, replace(policy, extend_seconds=0), at(HOUR - 100))

        assert end is not None
        assert not end.may_be_put_off


def test_the_end_that_comes_first_counts() -> None:
    both = CullPolicy(idle_seconds=HOUR, max_age_seconds=2 * HOUR)
    idle, aged = end_of(SERVER, both, NOON), end_of(replace(SERVER, last_activity=at(1.5 * HOUR)), both, NOON)

    assert idle is not None
    assert aged is not None
    assert (idle.reason, aged.reason) == (Reason.IDLE, Reason.AGE)


@pytest.mark.parametrize("state", [state for state in State if state is not State.READY])
def test_only_what_runs_can_be_stopped(state: State) -> None:
    assert isinstance(verdict(replace(SERVER, state=state), IDLE, at(9 * HOUR)), Keep)


def test_named_servers_can_be_left_alone() -> None:
    named = replace(SERVER, name="work")

    assert isinstance(verdict(named, IDLE, at(9 * HOUR)), Stop)
    assert isinstance(verdict(named, replace(IDLE, named_servers=False), at(9 * HOUR)), Keep)
    assert isinstance(verdict(SERVER, replace(IDLE, named_servers=False), at(9 * HOUR)), Stop)


def test_without_a_policy_nothing_is_stopped() -> None:
    assert isinstance(verdict(SERVER, None, at(1000 * HOUR)), Keep)
    assert isinstance(verdict(SERVER, CullPolicy(group="staff"), at(1000 * HOUR)), Keep)


_SECONDS = st.integers(0, 20_000)


@given(
    used=_SECONDS,
    busy=st.none() | _SECONDS,
    keep=st.none() | _SECONDS,
    idle=_SECONDS,
    age=_SECONDS,
    warn=st.integers(0, 5000),
    extend=st.integers(0, 5000),
    now=_SECONDS,
)
def test_no_server_is_stopped_that_was_used_is_busy_or_young(  # all that counts
    used: int, busy: int | None, keep: int | None, idle: int, age: int, warn: int, extend: int, now: int
) -> None:
    """
    And asking for more time never makes an end come sooner.
    """
    policy = CullPolicy(idle_seconds=idle, max_age_seconds=age, warn_seconds=warn, extend_seconds=extend)
    unkept = replace(SERVER, last_activity=at(used), busy_until=None if busy is None else at(busy))
    server = replace(unkept, keep_until=None if keep is None else at(keep))

    judged = verdict(server, policy, at(now))
    end, without = end_of(server, policy, at(now)), end_of(unkept, policy, at(now))

    if isinstance(judged, Stop):
        too_old = age > 0 and now >= age
        too_idle = idle > 0 and now - used >= idle and (busy is None or busy <= now) and (keep is None or keep <= now)
        assert too_old or too_idle
    assert (end is None) == (without is None)
    if end is not None and without is not None:
        assert end.at >= without.at


# -- which policy ------------------------------------------------------------------------------------------------


EVERYBODY = CullPolicy(idle_seconds=1)
STUDENTS = CullPolicy(role="students", idle_seconds=2)
CLASS = CullPolicy(group="class", idle_seconds=3)
LAB = CullPolicy(group="lab", idle_seconds=4)


@pytest.mark.parametrize(
    ("groups", "roles", "policy"),
    [
        ((), (), EVERYBODY),
        ((), ("user", "students"), STUDENTS),
        (("lab",), ("students",), LAB),
        (("lab", "class"), (), CLASS),
        (("",), ("",), EVERYBODY),
    ],
)
def test_a_group_is_more_specific_than_a_role_and_that_than_everybody(
    groups: tuple[str, ...], roles: tuple[str, ...], policy: CullPolicy
) -> None:
    assert policy_for([EVERYBODY, STUDENTS, CLASS, LAB], groups=groups, roles=roles) is policy


def test_whom_no_policy_names_has_none() -> None:
    assert policy_for([CLASS], groups=("lab",), roles=("user",)) is None
    assert policy_for([], groups=(), roles=()) is None


def test_policies_are_read_with_their_defaults() -> None:
    policies = read_policies(
        [{"group": "staff"}, {"idle_seconds": 3600}, {"role": "user", "max_age_seconds": 5, "named_servers": False}],
        groups={"staff"},
        roles={"user"},
    )

    assert policies == [
        CullPolicy(group="staff"),
        CullPolicy(idle_seconds=3600, warn_seconds=300, extend_seconds=3600, named_servers=True),
        CullPolicy(role="user", max_age_seconds=5, named_servers=False),
    ]
    assert [policy.stops_servers for policy in policies] == [False, True, True]


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ([{"idle": 5}], "Policy 1 has an unknown key 'idle'; known are extend_seconds"),
        ([{"idle_seconds": "5"}], "Policy 1: idle_seconds must be a number"),
        ([{"idle_seconds": True}], "Policy 1: idle_seconds must be a number"),
        ([{"idle_seconds": -1}], "Policy 1: idle_seconds must be a number"),
        ([{"idle_seconds": float("inf")}], "Policy 1: idle_seconds must be a number"),
        ([{"idle_seconds": 5, "named_servers": "no"}], "named_servers must be True or False"),
        ([{"idle_seconds": 5, "group": ""}], "group must be a name"),
        ([{"idle_seconds": 5, "role": 7}], "role must be a name"),
        ([{"idle_seconds": 5, "group": "staff", "role": "user"}], "not for both"),
        ([{"warn_seconds": 5}], "Policy 1 stops nothing"),
        ([{"group": "stuff", "idle_seconds": 5}], "the group 'stuff', which load_groups does not declare"),
        ([{"role": "users", "idle_seconds": 5}], "the role 'users', which does not exist"),
        ([{"idle_seconds": 5}, {"group": "staff"}, {"idle_seconds": 6}], "Policy 3 is for the same people"),
    ],
)
def test_a_wrong_policy_is_refused_by_number(declared: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_policies(declared, groups={"staff"}, roles={"user"})


def test_the_shortest_times_tell_which_servers_need_a_look() -> None:
    assert shortest([]) == (float("inf"), float("inf"))
    assert shortest([IDLE, AGE, CullPolicy(idle_seconds=HOUR * 2)]) == (HOUR - 300, HOUR - 300)
    assert shortest([CullPolicy(idle_seconds=10, warn_seconds=60)]) == (0, float("inf"))


# -- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 second"),
        (45, "45 seconds"),
        (60, "1 minute"),
        (90, "1.5 minutes"),
        (3600, "1 hour"),
        (7200, "2 hours"),
        (129600, "1.5 days"),
    ],
)
def test_durations_are_said_in_the_unit_that_matters(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_reason_ends_a_sentence() -> None:
    idle = End(at=NOON, reason=Reason.IDLE, may_be_put_off=True, seconds=HOUR)

    assert why(idle) == "nothing has run here for 1 hour"
    assert why(idle, past=True) == "nothing had run here for 1 hour"
    assert why(replace(idle, reason=Reason.AGE)) == "no server runs longer than 1 hour here"
