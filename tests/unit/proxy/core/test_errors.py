from __future__ import annotations

import pytest

from perijove.proxy.core.errors import BadControlCall, BadRequest, BadResponse, BadTarget, ProxyError


@pytest.mark.parametrize("kind", [BadRequest, BadResponse, BadControlCall, BadTarget])
def test_the_docstring_is_the_message_unless_there_is_a_better_one(kind: type[ProxyError]) -> None:
    assert str(kind()) == (kind.__doc__ or "").strip()
    assert str(kind("better")) == "better"


def test_a_bad_request_knows_its_status() -> None:
    assert (BadRequest().status, BadRequest(status=414).status) == (400, 414)
