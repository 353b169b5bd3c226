from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perijove.proxy.core.confine import Fence
from perijove.proxy.core.errors import BadResponse
from perijove.proxy.core.responses import ResponseHead, plain_answer, read_response


def read(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK", fence: Fence | None = None) -> ResponseHead:
    return read_response(b"\r\n".join([start, *lines]) + b"\r\n\r\n", fence)


def frame_name(head: ResponseHead, method: bytes = b"GET") -> str:
    frame = head.body_frame(method)
    return "none" if frame.done else type(frame).__name__


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\n\n", b"HTTP/1.1  200 OK\r\n\r\n", b"HTTP/1.1 099 X\r\n\r\n",
        b"HTTP/1.1 20 X\r\n\r\n",
        b"HTTP/1.1 2000 X\r\n\r\n", b"HTTP/2 200\r\n\r\n", b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 O\0K\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", b"\r\nHTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 600 X\r\n\r\n",
    ],
)  # fmt: skip
def test_a_head_of_odd_shape_is_refused(head: bytes) -> None:
    with pytest.raises(BadResponse):
        read_response(head, None)


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Content-Length: 5", b"Content-Length: 5"],
        [b"Content-Length: 5,5"],
        [b"Content-Length: +5"],
        [b"Content-Length: "],
        [b"Transfer-Encoding: gzip"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: gzip, chunked"],
    ],
)
def test_ambiguous_framing_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(BadResponse):
        read(*lines)


def test_http_1_0_has_no_chunks() -> None:
    with pytest.raises(BadResponse):
        read(b"Transfer-Encoding: chunked", start=b"HTTP/1.0 200 OK")


def test_there_is_a_limit_of_fields() -> None:
    with pytest.raises(BadResponse):
        read(*[b"A: b"] * 101)


@pytest.mark.parametrize(
    ("status", "method", "lines", "frame"),
    [
        (200, b"GET", [b"Content-Length: 5"], "LengthFrame"),
        (200, b"GET", [b"Content-Length: 0"], "none"),
        (200, b"GET", [b"transfer-encoding:CHUNKED"], "ChunkedFrame"),
        (200, b"GET", [], "EofFrame"),
        (200, b"HEAD", [b"Content-Length: 5"], "none"),
        (200, b"HEAD", [b"Transfer-Encoding: chunked"], "none"),
        (204, b"GET", [b"Content-Length: 5"], "none"),
        (304, b"GET", [b"Content-Length: 5"], "none"),
        (103, b"GET", [], "none"),
        (404, b"POST", [b"Content-Length: 5"], "LengthFrame"),
    ],
)
def test_the_frame_follows_status_and_method(status: int, method: bytes, lines: list[bytes], frame: str) -> None:
    head = read(*lines, start=b"HTTP/1.1 %d X" % status)

    assert frame_name(head, method) == frame


def test_a_204_has_no_length_to_wait_for() -> None:
    assert read(b"Content-Length: 5", b"A: b", start=b"HTTP/1.1 204 X").lines == b"A: b\r\n"
    assert b"Content-Length" in read(b"Content-Length: 5", start=b"HTTP/1.1 304 X").lines


def test_a_common_head_goes_through_as_it_came() -> None:
    head = read(b"Server: x", b"Content-Length: 5", b"date:  y ")

    assert head.render() == b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\ndate:  y \r\n\r\n"


def test_hop_by_hop_fields_end_here() -> None:
    head = read(
        b"Connection: keep-alive, x-a", b"Keep-Alive: timeout=5", b"X-A: 1", b"Proxy-Authenticate: x",
        b"Upgrade: h2c", b"Trailer: x", b"A: b", b"Content-Length: 0",
    )  # fmt: skip

    assert head.lines == b"A: b\r\nContent-Length: 0\r\n"


@pytest.mark.parametrize(
    ("start", "lines", "close"),
    [
        (b"HTTP/1.1 200 OK", [], False),
        (b"HTTP/1.1 200 OK", [b"Connection: Close"], True),
        (b"HTTP/1.0 200 OK", [], True),
        (b"HTTP/1.0 200 OK", [b"Connection: keep-alive"], False),
    ],
)
def test_whether_the_connection_is_used_again(start: bytes, lines: list[bytes], close: bool) -> None:  # noqa: FBT001
    head = read(*lines, start=start)

    assert head.close is close
    assert head.render().startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_reason_may_be_missing_or_latin() -> None:
    assert read(start=b"HTTP/1.1 200").render() == b"HTTP/1.1 200\r\n\r\n"
    assert read(start=b"HTTP/1.1 200 \xe9").reason == b" \xe9"


def test_only_100_to_199_but_101_is_interim() -> None:
    interim = [read(start=b"HTTP/1.1 %d X" % status).is_interim for status in (100, 103, 101, 200)]

    assert interim == [True, True, False, False]


def test_a_gated_server_is_confined() -> None:
    lines = [b"Set-Cookie: a=b; Path=/", b"Clear-Site-Data: *", b"A: b"]

    assert read(*lines, fence=Fence("/user/ada")).lines == b"Set-Cookie: a=b; Path=/user/ada/\r\nA: b\r\n"
    assert read(*lines).lines == b"\r\n".join(lines) + b"\r\n"


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_no_bytes_break_the_parser(fields: bytes) -> None:
    try:
        head = read(fields, fence=Fence("/user/ada"))
    except BadResponse:
        return

    assert b"\n" not in head.render().replace(b"\r\n", b"")


FENCE = Fence("/user/ada")


@given(
    st.sampled_from([200, 201, 204, 302, 304, 404, 500]),
    st.lists(
        st.sampled_from(
            [
                "Content-Length: 5", "content-length:\t007 ", "Content-Length: 1", "Content-Length: x", "Server: S",
                "TE: trailers", "Transfer-Encoding: chunked", "Connection: close", "Set-Cookie: a=b", "X: \u00e9",
                "Te-x: 1", "Proxy-Status: x", "Proxied: x", "Contents-Length: 3", "Empty:", "bad line", "A : b",
                "Clear-Site-Data: *", "Keep-Alive: 5", "Connection: keep-alive",
                "Connection: Keep-Alive\r\nKeep-Alive: 5",
                "\x00: x",
            ]
        ),
        max_size=5,
    ),
)  # fmt: skip
def test_what_is_passed_on_as_it_is_would_not_have_been_changed(status: int, lines: list[str]) -> None:
    head = "\r\n".join([f"HTTP/1.1 {status} Some Reason", *lines, "", ""]).encode("latin-1")

    answer = plain_answer(head)

    if answer is not None:
        known = read_response(head, FENCE)
        assert (known.length, known.render()) == answer
        assert (known.length, known.chunked, known.close, known.minor) == (answer[0], False, False, 1)
        assert known.status == status


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "302", "201 "])
def test_a_stated_length_and_nothing_else_of_note_needs_no_second_look(status: str) -> None:
    head = f'HTTP/1.1 {status}\r\nServer: x\r\nContent-LENGTH:  12 \r\nETag: "e"\r\n\r\n'.encode()

    assert plain_answer(head) == (12, head)


@pytest.mark.parametrize(
    "line", ["Connection: close", "Set-Cookie: a=b", "Transfer-Encoding: chunked", "Content-Length: 12", "Upgrade: x"]
)
def test_whatever_is_of_note_needs_a_second_look(line: str) -> None:
    for lines in ((line, "Content-Length: 12"), ("Content-Length: 12", line)):
        head = "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode()

        assert plain_answer(head) is None


def test_too_many_fields_need_a_second_look() -> None:
    assert plain_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" + b"A: b\r\n" * 100 + b"\r\n") is None
    assert plain_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" + b"A: b\r\n" * 99 + b"\r\n")


def test_looking_at_an_endless_row_of_fields_takes_no_longer_than_reading_it() -> None:
    """A pattern that tried every way to split them would never end."""
    assert plain_answer(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 8000 + b"Content-Length: x\r\n\r\n") is None


@pytest.mark.parametrize(
    "stays", [b"Connection: keep-alive\r\n", b"Connection: Keep-Alive\r\nKeep-Alive: timeout=5\r\n"]
)
def test_that_a_connection_stays_open_is_left_out_and_needs_no_second_look(stays: bytes) -> None:
    start, length, other = b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n", b"Server: x\r\n"

    for lines in (stays + length + other, other + stays + other + length, other + length + other + stays + other):
        assert plain_answer(start + lines + b"\r\n") == (2, (start + lines + b"\r\n").replace(stays, b""))
    assert plain_answer(start + stays + length + stays + b"\r\n") is not None
    assert plain_answer(start + stays + stays + length + b"\r\n") is None
    assert plain_answer(start + b"Keep-Alive: timeout=5\r\n" + length + b"\r\n") is None
