from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perijove.proxy.core.errors import BadRequest
from perijove.proxy.core.paths import decode_path, drop_segments, encode_path


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        (b"/", "/"),
        (b"/user/ada", "/user/ada"),
        (b"/user/ada/", "/user/ada/"),
        (b"/user/%61da/x", "/user/ada/x"),
        (b"/user/a%20b/lab", "/user/a b/lab"),
        (b"/user/%C3%A9ve", "/user/éve"),
        (b"/user/ada/a..b/.c", "/user/ada/a..b/.c"),
        (b"/user/ada/%2561", "/user/ada/%61"),
        (b"/user/ada/proxy/http://host/", "/user/ada/proxy/http://host/"),
        (b"/user/ada/a%2Fb", "/user/ada/a/b"),
    ],
)
def test_a_path_is_decoded_once(raw: bytes, decoded: str) -> None:
    assert decode_path(raw) == decoded


@pytest.mark.parametrize(
    "raw",
    [
        b"//user/ada",
        b"/user//ada",
        b"/user%2fada/x",
        b"/user/ada%2Flab",
        b"/%2e%2e/x",
        b"/user/ada/../eve/",
        b"/user/ada/./x",
        b"/user/ada/..",
        b"/user/ada/.",
        b"/user/ada/%2e%2E/eve",
        b"/user/ada/.%2e",
        b"/user/ada/x%2f..%2f..%2fhub",
        b"/services/x/a%2F./c",
        b"/user/ada/%2f..",
        b"/user/ada/%00",
        b"/user/ada/%0a",
        b"/user/ada/%7f",
        b"/user/ada/%zz",
        b"/user/ada/%4",
        b"/user/ada/%",
        b"/user/ada/%ff",
    ],
)
def test_a_path_that_could_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    """
    The server behind the proxy gets the path as sent and must not find another route in it.
    """
    with pytest.raises(BadRequest) as caught:
        decode_path(raw)

    assert caught.value.status == 400


@settings(deadline=None)
@given(st.lists(st.text(min_size=1).filter(lambda s: s not in {".", ".."} and "/" not in s), min_size=1))
def test_encoding_and_decoding_are_inverse(segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    try:
        encoded = encode_path(path)
    except UnicodeEncodeError:
        return
    if any(ord(char) < 32 or ord(char) == 127 for char in path):
        return

    assert decode_path(encoded.encode("ascii")) == path


@settings(deadline=None)
@given(st.from_regex(rb"\A/[!-~]{0,40}\Z"))
def test_no_path_breaks_the_decoder(raw: bytes) -> None:
    try:
        decoded = decode_path(raw)
    except BadRequest:
        return

    assert decoded.startswith("/")
    assert not {".", ".."} & set(decoded.split("/"))


@pytest.mark.parametrize(
    ("raw", "count", "rest"),
    [
        (b"/user/ada/lab", 2, b"/lab"),
        (b"/user/ada", 2, b"/"),
        (b"/user/ada/", 2, b"/"),
        (b"/user/%61da/a//b", 2, b"/a//b"),
        (b"/x", 0, b"/x"),
    ],
)
def test_leading_segments_are_dropped_as_sent(raw: bytes, count: int, rest: bytes) -> None:
    assert drop_segments(raw, count) == rest
