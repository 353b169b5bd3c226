from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perijove.proxy.core.framing import (
    MAX_TRAILERS,
    BadFraming,
    ChunkedFrame,
    EofFrame,
    Frame,
    LengthFrame,
    without_trailers,
)

CHUNKED = b"5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n"


def swallow(frame: Frame, data: bytes, cuts: list[int]) -> int:
    """Feed *data* in pieces cut at *cuts*; answers how much belonged to the body."""
    total, start = 0, 0
    for cut in [*sorted(cuts), len(data)]:
        piece = data[start:cut]
        end = frame.feed(piece, 0)
        total += end
        start = cut
        if end < len(piece):
            break
    return total


@settings(deadline=None)
@given(st.integers(0, 40), st.lists(st.integers(0, 50), max_size=6))
def test_a_length_ends_at_the_same_byte_however_it_is_cut(length: int, cuts: list[int]) -> None:
    frame = LengthFrame(length)

    assert swallow(frame, b"x" * 50, cuts) == length
    assert frame.done


@settings(deadline=None)
@given(st.lists(st.integers(0, len(CHUNKED) + 4), max_size=10))
def test_chunks_end_at_the_same_byte_however_they_are_cut(cuts: list[int]) -> None:
    frame = ChunkedFrame()

    assert swallow(frame, CHUNKED + b"GET ", cuts) == len(CHUNKED)
    assert frame.done


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=30), max_size=8), st.data())
def test_any_well_formed_chunks_are_accepted(chunks: list[bytes], data: st.DataObject) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    frame = ChunkedFrame()

    assert swallow(frame, body, cuts) == len(body)
    assert frame.done


@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"\r\n",
        b";x\r\n",
        b"g\r\n",
        b"5\rX\nhello\r\n",
        b"5;a\x00\r\nhello\r\n",
        b"5;a\rb\r\nhello\r\n",
        b"1234567890123\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\rX",
        b"5\r\nhello0\r\n\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b"0\r\n folded\r\n\r\n",
        b"0\r\n\n",
        b"0\r\nX: a\nY: b\r\n\r\n",
        b"5;" + b"x" * 5000 + b"\r\nhello\r\n",
        b"0\r\n" + b"X: %b\r\n" % (b"y" * 1000) * (MAX_TRAILERS // 1000 + 1) + b"\r\n",
    ],
)
def test_a_malformed_chunk_is_refused_before_its_line_is_passed_on(body: bytes) -> None:
    """
    Bare line feeds and sloppy sizes are how requests have been smuggled past proxies.
    """
    for step in (len(body), 1):
        frame = ChunkedFrame()
        with pytest.raises(BadFraming):
            swallow(frame, body, list(range(step, len(body), step)))


def test_a_body_until_the_end_takes_everything() -> None:
    frame = EofFrame()

    assert frame.feed(b"abc", 1) == 3
    assert frame.until_eof
    assert not frame.done


def passed_on(frame: Frame, data: bytes, cuts: list[int]) -> bytes:
    """What a server gets of *data*, cut at *cuts*."""
    out, start = b"", 0
    for cut in [*sorted(cuts), len(data)]:
        piece = data[start:cut]
        out += without_trailers(frame, piece, 0, frame.feed(piece, 0))
        start = cut
    return out


@settings(deadline=None)
@given(st.lists(st.integers(0, len(CHUNKED)), max_size=10))
def test_trailers_end_here_however_they_are_cut(cuts: list[int]) -> None:
    """
    Some servers take them for fields of the request, some even for fields of the next one.
    """
    assert passed_on(ChunkedFrame(), CHUNKED, cuts) == CHUNKED.replace(b"X-Sum: 1\r\n", b"")


@settings(deadline=None)
@given(st.lists(st.integers(0, 12), max_size=4))
def test_a_body_without_trailers_is_passed_on_as_it_came(cuts: list[int]) -> None:
    assert passed_on(ChunkedFrame(), b"2\r\nok\r\n0\r\n\r\n", cuts) == b"2\r\nok\r\n0\r\n\r\n"
    assert passed_on(LengthFrame(12), b"hello, world", cuts) == b"hello, world"


def test_what_follows_a_body_is_not_passed_on_with_it() -> None:
    assert passed_on(ChunkedFrame(), b"0\r\nA: b\r\n\r\nGET /", []) == b"0\r\n\r\n"
    assert passed_on(LengthFrame(2), b"okGET /", []) == b"ok"


def test_a_body_behind_a_head_is_passed_on_without_it() -> None:
    data = b"head0\r\nA: b\r\n\r\nmore"
    chunked, counted = ChunkedFrame(), LengthFrame(3)

    assert without_trailers(chunked, data, 4, chunked.feed(data, 4)) == b"0\r\n\r\n"
    assert without_trailers(counted, data, 4, counted.feed(data, 4)) == b"0\r\n"
