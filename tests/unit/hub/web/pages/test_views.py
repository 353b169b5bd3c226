from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from perijove.hub.web.pages.views import Addresses, relative, server_view

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
WHERE = Addresses(base_url="/", hub="/hub/", default_url="/lab")


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(seconds=-5), "in a moment"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5, minutes=59), "5 hours ago"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=-3), "in 3 days"),
        (timedelta(days=20), "2026-01-11"),
    ],
)
def test_times_are_said_as_people_do(before: timedelta, text: str) -> None:
    assert relative(NOW - before, NOW) == text


def test_a_server_that_was_never_started_can_be() -> None:
    view = server_view(None, "ada", "", WHERE, NOW)

    assert (view.title, view.state_text, view.start_url) == ("My server", "Stopped", "/hub/spawn/ada")
    assert view.remove_url == ""


def test_names_are_quoted_in_addresses() -> None:
    view = server_view(None, "ada@example.org+ü", "work", WHERE, NOW)

    assert view.start_url == "/hub/spawn/ada@example.org%2B%C3%BC/work"
    assert view.open_url == "/user/ada@example.org%2B%C3%BC/work/lab"
