from __future__ import annotations

import pytest

from perijove.kit.logs import scrub


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/x?token=abc", "/x?token=[secret]"),
        ("/x?a=1&code=abc&b=2", "/x?a=1&code=[secret]&b=2"),
        ("/hub/welcome?key=abc", "/hub/welcome?key=[secret]"),
        ("/x?monkey=abc", "/x?monkey=abc"),
    ],
)
def test_secrets_in_addresses_never_reach_the_log(text: str, expected: str) -> None:
    assert scrub(text) == expected
