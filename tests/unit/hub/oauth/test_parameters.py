from __future__ import annotations

import pytest

from perijove.hub.oauth.errors import Repeated
from perijove.hub.oauth.parameters import only


def test_a_parameter_is_there_once_or_not() -> None:
    assert only({"state": ["x"]}, "state") == "x"
    assert only({"state": [""]}, "state") == only({}, "state") == ""
    with pytest.raises(Repeated, match="state"):
        only({"state": ["x", "x"]}, "state")
