from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from perijove.hub.web.raw_path import raw_path


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ({"raw_path": b"/user/ada/a%2Fb"}, "/user/ada/a%2Fb"),
        # HTTP/1.1 allows it, and some servers hand the query over with it.
        ({"raw_path": b"/user/ada/lab?reset"}, "/user/ada/lab"),
        ({"raw_path": b"/user/\xe9"}, "/user/\ufffd"),
        ({}, ""),
    ],
)
def test_it_is_as_the_browser_wrote_it(scope: dict[str, Any], path: str) -> None:
    assert raw_path(Request({"type": "http", "path": "/decoded", "headers": [], **scope})) == path
