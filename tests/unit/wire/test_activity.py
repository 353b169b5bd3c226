"""
What the hub says of a server's end, the server reads.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from perijove.wire.activity import Deadline, deadline_body, read_deadline, stamp

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
DEADLINE = Deadline(at=NOW, because="nothing has run here for 1 hour", warn_seconds=300, may_be_put_off=True)
BODY = {
    "stop_at": "2026-05-06T07:08:09.123456Z",
    "because": "nothing has run here for 1 hour",
    "warn_seconds": 300,
    "may_be_put_off": True,
}


def test_a_deadline_is_written_as_stated() -> None:
    assert deadline_body(DEADLINE) == BODY


@pytest.mark.parametrize("deadline", [DEADLINE, None])
def test_what_is_written_is_read(deadline: Deadline | None) -> None:
    assert read_deadline(deadline_body(deadline)) == deadline


def test_a_newer_hub_may_say_more() -> None:
    assert read_deadline({**BODY, "colour": "red"}) == DEADLINE


@pytest.mark.parametrize("body", [None, {}, [], "soon"])
def test_a_hub_that_says_nothing_stops_nothing(body: object) -> None:
    assert read_deadline(body) is None


@pytest.mark.parametrize(
    "changes", [{"stop_at": "soon"}, {"stop_at": None}, {"warn_seconds": "long"}, {"warn_seconds": None}]
)
def test_what_is_no_deadline_is_told_from_one(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_deadline({**BODY, **changes})


@pytest.mark.parametrize("name", sorted(BODY))
def test_half_a_deadline_is_none(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        read_deadline({key: value for key, value in BODY.items() if key != name})


def test_the_user_is_told_before() -> None:
    assert DEADLINE.warn_at == NOW - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (NOW, "2026-05-06T07:08:09.123456Z"),
        (NOW.replace(microsecond=0), "2026-05-06T07:08:09.000000Z"),
        (NOW.astimezone(timezone(timedelta(hours=5, minutes=30))), "2026-05-06T07:08:09.123456Z"),
    ],
)
def test_times_are_stated_in_utc(at: datetime, text: str) -> None:
    assert stamp(at) == text
