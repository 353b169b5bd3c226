from __future__ import annotations

import pytest

from perijove.proxy.core.errors import BadRequest
from perijove.proxy.core.heads import MAX_HEAD, MAX_LINE, check_head_size, list_items


@pytest.mark.parametrize(
    ("data", "end", "status"),
    [
        (b"GET /" + b"x" * MAX_LINE, -1, 414),
        (b"GET /" + b"x" * MAX_LINE + b"\r\n\r\n", MAX_LINE + 9, 414),
        (b"GET / HTTP/1.1\r\n" + b"x" * MAX_HEAD, -1, 431),
        (b"GET / HTTP/1.1\r\n" + b"x" * MAX_HEAD, MAX_HEAD + 1, 431),
    ],
)
def test_a_head_has_limits(data: bytes, end: int, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        check_head_size(data, end)

    assert caught.value.status == status


def test_within_the_limits_a_head_may_be_large() -> None:
    head = b"GET /" + b"x" * (MAX_LINE - 14) + b" HTTP/1.1\r\n" + b"y" * 50_000

    check_head_size(head, len(head))
    check_head_size(head, -1)


def test_lists_are_split_at_commas_whatever_the_space() -> None:
    assert list_items([b"Close , ,Upgrade", b"x"]) == {b"close", b"upgrade", b"x"}
