from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perijove.proxy.core.errors import BadRequest
from perijove.proxy.core.requests import (
    MAX_BROWSER,
    MAX_IDENTITIES,
    FieldsMemo,
    RequestHead,
    read_request,
    strip_cookies,
)

HOST = b"Host: hub.example.org\r\n"


def read(head: bytes) -> RequestHead:
    return read_request(head, FieldsMemo())


def get(*lines: bytes, start: bytes = b"GET /x HTTP/1.1") -> RequestHead:
    return read(b"\r\n".join([start, HOST[:-2], *lines]) + b"\r\n\r\n")


def sent(request: RequestHead, *, gated: bool = False) -> list[bytes]:
    return request.render(target=request.target, gated=gated, added=b"").split(b"\r\n")[1:-2]


BAD_HEADS = {
    "leading CRLF": b"\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "bare LF in the request line": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "bare LF between fields": b"GET / HTTP/1.1\r\nA: b\n" + HOST + b"\r\n",
    "bare CR in a value": b"GET / HTTP/1.1\r\nA: b\rc\r\n" + HOST + b"\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nA: b\0c\r\n" + HOST + b"\r\n",
    "DEL in a value": b"GET / HTTP/1.1\r\nA: b\x7fc\r\n" + HOST + b"\r\n",
    "folded line": b"GET / HTTP/1.1\r\nA: b\r\n c\r\n" + HOST + b"\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\nA : b\r\n" + HOST + b"\r\n",
    "name that is no token": b"GET / HTTP/1.1\r\nA(: b\r\n" + HOST + b"\r\n",
    "empty name": b"GET / HTTP/1.1\r\n: b\r\n" + HOST + b"\r\n",
    "line without colon": b"GET / HTTP/1.1\r\nA\r\n" + HOST + b"\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "empty host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host with a space": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "host with a user": b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "absolute form": b"GET http://a/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk form": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "no path": b"GET HTTP/1.1\r\n" + HOST + b"\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    "tab for a space": b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "fragment": b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n",
    "raw bytes in the target": "GET /é HTTP/1.1\r\n".encode() + HOST + b"\r\n",
    "HTTP/0.9": b"GET /\r\n" + HOST + b"\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "lower-case version": b"GET / http/1.1\r\n" + HOST + b"\r\n",
    "long method": b"G" * 33 + b" / HTTP/1.1\r\n" + HOST + b"\r\n",
}


@pytest.mark.parametrize("head", BAD_HEADS.values(), ids=BAD_HEADS.keys())
def test_a_head_of_odd_shape_is_refused(head: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        read(head)

    assert caught.value.status == 400


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: gzip"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: chunked, chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: x", b"transfer-encoding: chunked"],
        [b"Transfer-Encoding: \x0bchunked"],
        [b"Content-Length: 5", b"Content-Length: 5"],
        [b"Content-Length: 5, 5"],
        [b"Content-Length: +5"],
        [b"Content-Length: -1"],
        [b"Content-Length: 0x5"],
        [b"Content-Length:"],
        [b"Content-Length: 5 5"],
        [b"Content-Length: 1234567890123456"],
        [b"Transfer-Encoding:"],
    ],
)
def test_ambiguous_framing_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(BadRequest) as caught:
        get(*lines)

    assert caught.value.status == 400


def test_http_1_0_has_no_chunks() -> None:
    with pytest.raises(BadRequest):
        get(b"Transfer-Encoding: chunked", start=b"POST /x HTTP/1.0")


@pytest.mark.parametrize("name", [b"Authorization: a", b"Origin: http://a", b"Expect: 100-continue", b"Upgrade: x"])
def test_fields_that_decide_may_not_come_twice(name: bytes) -> None:
    with pytest.raises(BadRequest):
        get(name, name)


def test_there_is_a_limit_of_fields() -> None:
    with pytest.raises(BadRequest) as caught:
        get(*[b"A: b"] * 100)

    assert caught.value.status == 431


def test_only_100_continue_can_be_expected() -> None:
    with pytest.raises(BadRequest) as caught:
        get(b"Expect: tea")

    assert caught.value.status == 417
    assert get(b"Expect: 100-Continue").fields.expects_continue


def test_the_proxy_is_no_forward_proxy() -> None:
    with pytest.raises(BadRequest) as caught:
        get(start=b"CONNECT /x HTTP/1.1")

    assert caught.value.status == 405


def test_hop_by_hop_fields_end_here() -> None:
    request = get(
        b"Connection: keep-alive, X-Drop", b"Keep-Alive: 5", b"X-Drop: 1", b"TE: trailers", b"Trailer: x",
        b"Proxy-Authorization: x", b"Proxy-Connection: x", b"Proxy: x", b"Upgrade: h2c", b"Accept: a",
    )  # fmt: skip

    assert sent(request) == [HOST[:-2], b"Accept: a"]


def test_connection_cannot_remove_what_makes_the_request() -> None:
    lines = [b"Cookie: a=b", b"Authorization: Basic x", b"Content-Length: 1"]
    request = get(b"Connection: host, cookie, authorization, content-length", *lines)

    assert sent(request) == [HOST[:-2], *lines]


@pytest.mark.parametrize(
    "line",
    [b"X-Perijove-Identity: x", b"x-perijove-identity: x", b"X_Perijove_Identity: x",
     b"X-Perijove_Identity: x",
     b"Content_Length: 3", b"Transfer_Encoding: chunked", b"X_Forwarded_For: x", b"X_Real_IP: 1"],
)  # fmt: skip
@pytest.mark.parametrize("gated", [True, False])
def test_forged_fields_and_their_twins_are_removed(line: bytes, gated: bool) -> None:  # noqa: FBT001  # parameter
    """
    WSGI-like servers read `X_A` as `X-A`.
    """
    assert sent(get(line), gated=gated) == [HOST[:-2]]


@pytest.mark.parametrize(
    "line",
    [
        b"X-Forwarded-For: 1",
        b"X-Forwarded-Proto: https",
        b"Forwarded: for=1",
        b"X-Real-IP: 1",
        b"X-Scheme: x",
    ],
)
def test_where_a_request_came_from_is_not_for_the_client_to_say(line: bytes) -> None:
    request = get(line, b"Connection: x-forwarded-for")

    assert sent(request) == [HOST[:-2]]
    assert request.fields.forwarded_lines == line + b"\r\n"


def test_a_gated_server_sees_no_credentials_of_the_hub() -> None:
    request = get(
        b"Cookie: a=1; perijove-identity=T1; jupyterhub-session-id=s; _xsrf=x; perijove-identity=T2",
        b"Cookie: jupyterhub-hub-login=h",
        b"Authorization: token abc",
    )

    assert sent(request, gated=True) == [HOST[:-2], b"Cookie: a=1; _xsrf=x"]
    assert len(sent(request)) == 4
    assert request.fields.identities == ("T1", "T2")
    assert request.fields.hub_token == "abc"


def test_a_service_sees_no_sign_in_cookie_either() -> None:
    """
    Over TLS it has the path `/`. Tokens and the id of the session are for services to see.
    """
    request = get(
        b"Cookie: a=1; __Host-jupyterhub-hub-login=h; jupyterhub-session-id=s",
        b"Cookie: perijove-identity=T1",
        b"Authorization: token abc",
    )
    head = request.render(target=b"/services/x", gated=False, added=b"", to_hub=False)

    assert head.split(b"\r\n")[2:-2] == [b"Cookie: a=1; jupyterhub-session-id=s", b"Authorization: token abc"]


def test_other_authorization_is_the_servers_own() -> None:
    request = get(b"Authorization: Basic eDp5")

    assert b"Authorization: Basic eDp5" in sent(request, gated=True)
    assert request.fields.hub_token == ""


@pytest.mark.parametrize("value", [b"token\tabc", b"Token abc def", b"bearer", b"token  ", b"Bearer a, Basic b"])
def test_what_may_be_a_misspelt_hub_token_stays_here(value: bytes) -> None:
    request = get(b"Authorization: " + value)

    assert sent(request, gated=True) == [HOST[:-2]]
    assert request.fields.hub_token == ""


@pytest.mark.parametrize("scheme", [b"token", b"Token", b"bearer", b"Bearer"])
def test_hub_tokens_come_in_two_schemes(scheme: bytes) -> None:
    assert get(b"Authorization: " + scheme + b" abc").fields.hub_token == "abc"


def test_the_number_of_identity_cookies_looked_at_is_bounded() -> None:
    """
    Each may cost a signature check.
    """
    cookies = b"; ".join([b"perijove-identity=x"] * 50)

    assert len(get(b"Cookie: " + cookies).fields.identities) == MAX_IDENTITIES


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"a=1", b"a=1"),
        (b"perijove-identity=x", b""),
        (b"perijove-identity =x; b=2", b"b=2"),
        (b"perijove-identity; b=2", b"b=2"),
        (b"__Host-jupyterhub-hub-login=x;jupyterhub-user-ada=y", b"jupyterhub-user-ada=y"),
        (b"perijove-browser=x; __Host-perijove-browser=y; a=b", b"a=b"),
        (b"a=perijove-identity=x", b"a=perijove-identity=x"),
    ],
)
def test_cookies_are_stripped_by_exact_name(value: bytes, kept: bytes) -> None:
    assert strip_cookies(value) == kept


def test_other_protocols_are_passed_on_where_they_are_allowed() -> None:
    lines = (b"Connection: Upgrade", b"Upgrade: TCP/2")
    request = get(*lines)
    assert not request.is_upgrade

    request.allow_upgrade({b"tcp/2"})

    assert request.upgrade == b"tcp/2"
    assert b"Connection: Upgrade\r\nUpgrade: tcp/2\r\n" in request.render(target=b"/", gated=False, added=b"")


@pytest.mark.parametrize(
    ("start", "lines"),
    [
        (b"GET /x HTTP/1.0", (b"Connection: Upgrade", b"Upgrade: tcp")),
        (b"GET /x HTTP/1.1", (b"Connection: Upgrade", b"Upgrade: tcp, websocket")),
        (b"GET /x HTTP/1.1", (b"Connection: Upgrade", b"Upgrade: udp")),
        (b"GET /x HTTP/1.1", (b"Upgrade: tcp",)),
        (b"POST /x HTTP/1.1", (b"Connection: Upgrade", b"Upgrade: tcp", b"Content-Length: 1")),
        (b"POST /x HTTP/1.1", (b"Connection: Upgrade", b"Upgrade: tcp", b"Transfer-Encoding: chunked")),
    ],
)
def test_an_upgrade_that_is_not_plain_is_not_passed_on(start: bytes, lines: tuple[bytes, ...]) -> None:
    request = get(*lines, start=start)

    request.allow_upgrade({b"tcp", b""})

    assert not request.is_upgrade
    assert b"upgrade" not in request.render(target=b"/", gated=False, added=b"").lower()


def test_only_websockets_are_upgrades() -> None:
    lines = [b"Connection: Upgrade", b"Upgrade: WebSocket"]

    assert get(*lines).is_upgrade
    assert not get(*lines, b"Content-Length: 3").is_upgrade
    assert not get(*lines, start=b"POST /x HTTP/1.1").is_upgrade
    assert not get(*lines, start=b"GET /x HTTP/1.0").is_upgrade
    assert not get(b"Connection: Upgrade", b"Upgrade: h2c").is_upgrade
    assert not get(b"Upgrade: websocket").is_upgrade


def test_an_upgrade_is_passed_on_as_the_proxys_own() -> None:
    request = get(b"Connection: keep-alive, Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: k")

    assert sent(request) == [
        HOST[:-2],
        b"Sec-WebSocket-Key: k",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
    ]


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        (b"content-length: \t0005 ", b"Content-Length: 5"),
        (b"Content-Length:0", b"Content-Length: 0"),
        (b"transfer-ENCODING:CHUNKED\t", b"Transfer-Encoding: chunked"),
    ],
)
@pytest.mark.parametrize("gated", [True, False])
def test_framing_is_forwarded_in_its_plainest_form(line: bytes, plain: bytes, gated: bool) -> None:  # noqa: FBT001
    """
    A server that knows only `chunked` in lower case, or reads zeros as octal, must not see another body than we do.
    """
    assert sent(get(line, b"A: b"), gated=gated) == [HOST[:-2], plain, b"A: b"]


def test_the_body_is_framed_as_forwarded() -> None:
    assert get(b"Content-Length: 3").body_frame().feed(b"abcdef", 0) == 3
    assert get(b"Transfer-Encoding: Chunked").body_frame().feed(b"0\r\n\r\nGET", 0) == 5
    assert get().body_frame().done


@pytest.mark.parametrize(("method", "safe"), [(b"GET", True), (b"HEAD", True), (b"POST", False), (b"DELETE", False)])
def test_only_safe_methods_may_be_repeated(method: bytes, safe: bool) -> None:  # noqa: FBT001  # parameter
    assert get(start=method + b" /x HTTP/1.1").is_idempotent is safe


def test_a_get_with_a_body_may_not_be_repeated() -> None:
    assert not get(b"Content-Length: 1").is_idempotent


def test_equal_blocks_are_read_once_and_uploads_are_not_remembered() -> None:
    memo = FieldsMemo(limit=2)
    upload = HOST + b"Content-Length: 1\r\n"

    assert memo.read(HOST) is memo.read(HOST)
    assert memo.read(upload) is not memo.read(upload)


def test_the_memo_is_bounded() -> None:
    memo = FieldsMemo(limit=2)
    first = memo.read(HOST)
    for number in range(3):
        memo.read(HOST + b"A: %d\r\n" % number)

    assert memo.read(HOST) is not first


def test_the_bytes_in_the_memo_are_bounded() -> None:
    """
    A stranger's heads may be 64 KB each; two thousand of them, read, would be half a gigabyte.
    """
    memo = FieldsMemo(limit_bytes=10_000)
    first = memo.read(HOST)
    memo.read(HOST + b"A: %b\r\n" % (b"x" * 9_990))

    assert memo.read(HOST) is not first


def test_an_endless_identity_cookie_is_none() -> None:
    assert get(b"Cookie: perijove-identity=" + b"x" * 9000).fields.identities == ()


def test_a_memo_of_size_zero_remembers_nothing() -> None:
    memo = FieldsMemo(limit=0)

    assert memo.read(HOST) is not memo.read(HOST)


@settings(deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_bytes_break_the_parser(line: bytes, fields: bytes) -> None:
    for head in (
        line + b"\r\n" + HOST + fields + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + fields + b"\r\n\r\n",
    ):
        try:
            request = read(head)
        except BadRequest:
            continue
        rendered = request.render(target=request.target, gated=True, added=b"")

        assert b"\n" not in rendered.replace(b"\r\n", b"")
        assert rendered.count(b"\r\n\r\n") == 1


@settings(deadline=None)
@given(st.lists(st.sampled_from([
    b"Connection: close, x-a", b"X-A: 1", b"Cookie: a=b; perijove-identity=t", b"Authorization: bearer x",
    b"X-Forwarded-For: 9", b"Content-Length: 0", b"Accept: text/html", b"X_Perijove_Identity: f",
]), unique=True))  # fmt: skip
def test_what_is_sent_on_reads_the_same_again(lines: list[bytes]) -> None:
    """
    Two proxies in a row agree about where the request ends and what it says.
    """
    first = get(*lines)
    second = read(first.render(target=first.target, gated=True, added=b""))

    assert second.fields.gated_lines == first.fields.gated_lines
    assert (second.fields.length, second.fields.chunked) == (first.fields.length, first.fields.chunked)
    assert second.fields.identities == ()
    assert second.fields.hub_token == ""


def test_the_path_ends_at_the_first_question_mark() -> None:
    assert get(start=b"GET /a?b?c HTTP/1.1").path == b"/a"


@pytest.mark.parametrize(
    ("lines", "has_body"),
    [
        ((), False),
        ((b"Content-Length: 0",), False),
        ((b"Content-Length: 1",), True),
        ((b"Transfer-Encoding: chunked",), True),
    ],
)
def test_a_body_is_what_has_a_length_or_chunks(lines: tuple[bytes, ...], has_body: bool) -> None:  # noqa: FBT001
    request = get(*lines)

    assert (request.has_body, request.is_idempotent) == (has_body, not has_body)


def test_cookies_that_statements_are_bound_to_are_read_as_they_were_sent() -> None:
    """
    Both names and every value: which of them counts is for the gate to say.
    """
    long = b"x" * (MAX_BROWSER + 1)
    request = get(
        b"Cookie: a=1; perijove-browser=one; __Host-perijove-browser=two; perijove-browser=" + long,
        b"Cookie: __Host-perijove-browser=three; xperijove-browser=no",
    )

    assert request.fields.browsers == (
        ("perijove-browser", "one"),
        ("__Host-perijove-browser", "two"),
        ("__Host-perijove-browser", "three"),
    )
