from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1

from perijove.singleuser.watching import MAX_HEADER, MAX_TEXT, read_message

HEADER = {"msg_id": "m1", "msg_type": "execute_request", "session": "s"}


def v1(header: dict[str, Any], *, channel: str = "shell", buffers: int = 0) -> bytes:
    """As JupyterLab sends it."""
    parts = [json.dumps(part).encode() for part in (header, {}, {}, {})] + [b"buffer"] * buffers
    packed: bytes = serialize_msg_to_ws_v1(parts, channel)  # type: ignore[no-untyped-call]
    return packed


def plain(header: object, **members: Any) -> str:
    return json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": {}} | members)


@pytest.mark.parametrize("buffers", [0, 3])
def test_a_message_is_read_in_both_protocols(buffers: int) -> None:
    binary = read_message(v1(HEADER, channel="control", buffers=buffers), is_v1=True)
    text = read_message(plain(HEADER, channel="control"), is_v1=False)

    assert binary == text
    assert binary is not None
    assert (binary.channel, binary.what, binary.header) == ("control", "execute_request", HEADER)


def test_without_a_channel_it_is_the_shell() -> None:
    asked = read_message(plain(HEADER), is_v1=False)

    assert asked is not None
    assert asked.channel == "shell"


def test_what_cannot_be_read_is_nothing() -> None:
    bad: list[str | bytes] = ["", "null", "[]", "{}", "nonsense", "[" * 100_000, b"bytes"]
    headers: list[object] = [None, [], {"msg_id": 1, "msg_type": "x"}, {"msg_id": "1"}]
    bad += [plain(header) for header in headers]
    bad += [plain(HEADER, channel=["shell"]), plain(HEADER, content="x" * MAX_TEXT)]

    for text in bad:
        assert read_message(text, is_v1=False) is None


def test_a_message_that_claims_to_be_what_it_is_not_costs_nothing() -> None:
    """
    The number of parts comes first, and could be any of eight bytes.
    """
    bad: list[str | bytes] = [
        b"",
        "text",
        (2**63).to_bytes(8, "little"),
        (2**63).to_bytes(8, "little") * 40,
        (6).to_bytes(8, "little"),
    ]
    bad += [v1({**HEADER, "username": "x" * MAX_HEADER}), v1(HEADER, buffers=100), v1(HEADER)[:60]]

    for message in bad:
        assert read_message(message, is_v1=True) is None


@given(st.binary(max_size=200))
def test_no_bytes_break_it(message: bytes) -> None:
    assert read_message(message, is_v1=True) is None
