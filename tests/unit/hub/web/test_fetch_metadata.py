from __future__ import annotations

import pytest

from perijove.hub.web.errors import ForeignRequest
from perijove.hub.web.fetch_metadata import check_change, check_page, is_own_navigation, reads_by_script

NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize("headers", [{}, NAVIGATION, NAVIGATION | {"sec-fetch-site": "cross-site"}])
def test_a_page_answers_navigations(headers: dict[str, str]) -> None:
    """
    Also from elsewhere: people follow links.
    """
    check_page(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
        {"sec-fetch-mode": "same-origin", "sec-fetch-dest": "empty"},
        {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
        {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        {"sec-fetch-mode": "navigate", "sec-fetch-dest": "object"},
    ],
)
def test_a_page_answers_nothing_else(headers: dict[str, str]) -> None:
    """
    Script of a user's server, on the same origin, must not read the token in a page.
    """
    with pytest.raises(ForeignRequest):
        check_page(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"origin": "http://hub.example:8000", "host": "hub.example:8000"},
    ],
)
def test_our_own_pages_may_change_things(headers: dict[str, str]) -> None:
    check_change(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "same-site", "origin": "http://hub.example", "host": "hub.example"},
        {"origin": "http://evil.example", "host": "hub.example"},
        {"origin": "null", "host": "hub.example"},
    ],
)
def test_nobody_else_may(headers: dict[str, str]) -> None:
    with pytest.raises(ForeignRequest):
        check_change(headers)


def test_only_a_stated_navigation_of_our_own_counts_as_one() -> None:
    assert is_own_navigation(NAVIGATION | {"sec-fetch-site": "same-origin"})
    assert not is_own_navigation(NAVIGATION | {"sec-fetch-site": "cross-site"})
    assert not is_own_navigation({})


def test_scripts_are_told_from_programs() -> None:
    assert reads_by_script({"sec-fetch-mode": "cors"})
    assert reads_by_script({"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"})
    assert not reads_by_script({})
