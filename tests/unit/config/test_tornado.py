from __future__ import annotations

from typing import Any

import pytest

from perijove.config.errors import WrongValue
from perijove.config.tornado import MAX_HEADERS, TornadoSettings, read_tornado_settings


def test_what_is_understood_is_taken_over() -> None:
    written = {
        "headers": {"Content-Security-Policy": "frame-ancestors 'self' https://lms.example", "X-Rank": 1},
        "slow_spawn_timeout": 0,
        "slow_stop_timeout": 2.5,
    }

    assert read_tornado_settings(written) == TornadoSettings(
        headers={"Content-Security-Policy": "frame-ancestors 'self' https://lms.example", "X-Rank": "1"},
        slow_spawn_timeout=0,
        slow_stop_timeout=2.5,
    )


def test_nothing_written_is_what_the_hub_does_by_itself() -> None:
    assert read_tornado_settings({}) == TornadoSettings()


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({"cookie_options": {}}, "'cookie_options' means nothing here; understood are headers, slow_spawn_timeout, "),
        ({1: 2}, "1 means nothing here"),
        ({"headers": []}, "'headers' must be a dictionary"),
        ({"headers": {"X Rank": "1"}}, "'X Rank' is no name of a header"),
        ({"headers": {1: "1"}}, "1 is no name of a header"),
        ({"headers": {"Set-Cookie": "a=b"}}, "the header Set-Cookie belongs to each answer by itself"),
        ({"headers": {"content-length": "5"}}, "the header content-length belongs to each answer by itself"),
        ({"headers": {"X-A": "1\r\nSet-Cookie: a=b"}}, "the header X-A must be text in one line"),
        ({"headers": {"X-A": ""}}, "the header X-A must be text in one line"),
        ({"headers": {"X-A": True}}, "the header X-A must be text in one line"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "twice"),
        ({"headers": {"X-A": "x" * MAX_HEADERS}}, "more than 8000 characters"),
        ({"slow_spawn_timeout": -1}, "'slow_spawn_timeout' must be a number of seconds"),
        ({"slow_stop_timeout": "long"}, "'slow_stop_timeout' must be a number of seconds"),
        ({"slow_stop_timeout": True}, "'slow_stop_timeout' must be a number of seconds"),
        ({"slow_stop_timeout": float("inf")}, "'slow_stop_timeout' must be a number of seconds"),
    ],
)
def test_what_would_do_nothing_or_harm_is_refused(written: dict[Any, Any], why: str) -> None:
    with pytest.raises(WrongValue) as refused:
        read_tornado_settings(written)

    assert why in str(refused.value)
