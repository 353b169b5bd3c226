from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.launcher.errors import BadRequest
from perijove.launcher.kernels_protocol import kernel_request
from perijove.wire.kernels import KernelRequest

GOOD: dict[str, Any] = {
    "v": 1,
    "op": "kernel",
    "marker": "0f" * 16,
    "argv": ["-f", "/run/k.json"],
    "environment": {"NAME": "Ädä", "EMPTY": ""},
    "directory": "/home/ada",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_a_request_survives_the_wire() -> None:
    request = kernel_request(GOOD)

    assert kernel_request({**request.to_json(), "argv": list(request.argv)}) == request
    assert request.argv == ("-f", "/run/k.json")


@pytest.mark.parametrize("name", GOOD)
def test_a_request_without_one_of_its_fields_is_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        kernel_request({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    "wrong",
    [
        {"more": 1},
        {"v": 2},
        {"op": "launch"},
        {"marker": 5},
        {"argv": "-f"},
        {"argv": ["-f", 1]},
        {"argv": ["a\0b"]},
        {"argv": ["\ud800"]},
        {"environment": []},
        {"environment": {"A": 1}},
        {"environment": {"A=B": "x"}},
        {"environment": {"": "x"}},
        {"environment": {"A": "x\0"}},
        {"directory": None},
        {"directory": "/a\0"},
    ],
)
def test_what_is_not_exactly_a_request_is_refused(wrong: dict[str, Any]) -> None:
    """
    The launcher is root: what it does not understand it does not try.
    """
    with pytest.raises(BadRequest):
        kernel_request({**GOOD, **wrong})


@given(JSON | st.fixed_dictionaries(dict.fromkeys(GOOD, JSON)))
def test_whatever_comes_is_a_request_or_refused(frame: object) -> None:
    try:
        request = kernel_request(frame)
    except BadRequest:
        return
    assert isinstance(request, KernelRequest)
