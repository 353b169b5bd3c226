from __future__ import annotations

from typing import Any

import pytest
from starlette.responses import JSONResponse

from perijove.hub.web.answers import QuickJson


@pytest.mark.parametrize(
    "content",
    [
        {"name": "åda", "servers": {}, "admin": False, "groups": ["a", 'b"\\'], "started": None, "size": 1.5},
        [],
        {"options": {"memory": 2**70}},
        {"options": {1: "one"}},
    ],
)
def test_the_same_bytes_as_the_slower_one(content: Any) -> None:
    assert QuickJson(content).body == JSONResponse(content).body
