"""
What must hold for any bytes, target by target: each takes bytes, and raises what nobody may raise if it does not hold.

The parsers that contradict ours are h11, which is strict and not ours, and ours again: what we pass on must
mean the same to whoever reads it next.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final
from urllib.parse import unquote_to_bytes

import h11

from fuzz.pair import check_pair
from perijove.proxy.core.confine import DROPPED, Fence
from perijove.proxy.core.errors import BadRequest, BadResponse
from perijove.proxy.core.forwarding import forwarded_lines
from perijove.proxy.core.framing import BadFraming, ChunkedFrame, without_trailers
from perijove.proxy.core.gate import AskHub, Enter, Gate, Refuse
from perijove.proxy.core.heads import END_OF_HEAD, HOP_BY_HOP, REQUEST_LINE, check_head_size, split_fields
from perijove.proxy.core.paths import ROUTING_SEGMENTS, decode_path, drop_segments, encode_path
from perijove.proxy.core.relocation import Relocation
from perijove.proxy.core.requests import FieldsMemo, RequestHead, read_request
from perijove.proxy.core.responses import SWITCHING, plain_answer, read_response
from perijove.proxy.core.revocation import RevocationList
from perijove.proxy.core.routes import RouteTable
from perijove.proxy.core.targets import parse_target
from perijove.wire.identity import HUB_COOKIES, IDENTITY_COOKIE, IDENTITY_HEADER

_H11_LIMIT: Final = 256 * 1024
_PREFIX: Final = "/user/ada"
_HIDDEN: Final = {name.encode() for name in (IDENTITY_COOKIE, *HUB_COOKIES)}
_TARGET: Final = parse_target("http://192.0.2.1:80")
_RELOCATION: Final = Relocation(host=True, scheme=b"https")
_NO_VISITOR: Final = Gate(verify=lambda _token, _audience: None, revocations=RevocationList(), enter_path="/hub/enter")


def _table() -> RouteTable:
    table = RouteTable()
    for path in ("/", "/user/ada", "/user/ada/lab", "/services/x"):
        table.put(path, {"target": "http://192.0.2.1:80"}, now=1.0)
    return table


_TABLE: Final = _table()


def check_request(data: bytes) -> None:
    """
    A request head is refused with a reason, or what is passed on of it:

    - is lines that end in CRLF, with no other CR or LF, and one empty line;
    - reads the same again: method, target, version, body, what gated servers get;
    - says in one way where the body ends;
    - means the same to h11;
    - has no field that ends at this hop, no identity but ours, and for gated servers no cookie or token of the hub.

    And the door has an answer to it that fits into a head.
    """
    end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
    head = data[:end] if end >= len(END_OF_HEAD) else data
    memo = FieldsMemo()
    try:
        check_head_size(data, end if end >= len(END_OF_HEAD) else -1)
        request = read_request(head, memo)
    except BadRequest as exc:
        assert 400 <= exc.status < 500
        assert str(exc)
        return
    assert read_request(head, memo) == request, "what is remembered is not what is read"
    for gated in (True, False):
        added = forwarded_lines(request.fields, peer="192.0.2.7", trusted=not gated)
        with_added = request.render(target=request.target, gated=gated, added=added, to_hub=False)
        _check_lines(with_added)
        _check_h11_request(request, with_added)
        # What is added counts for the limit of fields, so it is left out here.
        _check_read_again(
            request, request.render(target=request.target, gated=gated, added=b"", to_hub=False), gated=gated
        )
    _check_door(request)


def _check_lines(head: bytes) -> None:
    assert head.endswith(END_OF_HEAD)
    assert head.count(END_OF_HEAD) == 1
    bare = head.replace(b"\r\n", b"")
    assert b"\r" not in bare
    assert b"\n" not in bare
    assert b"\0" not in bare


def _check_read_again(request: RequestHead, passed: bytes, *, gated: bool) -> None:
    again = read_request(passed, FieldsMemo())
    assert (again.method, again.target, again.minor) == (request.method, request.target, request.minor)
    assert (again.fields.length, again.fields.chunked) == (request.fields.length, request.fields.chunked)
    assert again.is_upgrade == request.is_upgrade
    assert again.fields.host == request.fields.host
    fields = split_fields(passed)
    names = [name for name, _, _ in fields]
    ends_here = HOP_BY_HOP - ({b"connection", b"upgrade"} if request.is_upgrade else set())
    assert not ends_here & set(names)
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
    assert not [name for name in names if name.startswith(b"proxy")]
    assert not [name for name in names if name.replace(b"_", b"-") == IDENTITY_HEADER.lower().encode()]
    assert again.fields.identities == ()
    if gated:
        assert again.fields.hub_token == ""
        cookies = [pair.partition(b"=")[0].strip() for n, v, _ in fields if n == b"cookie" for pair in v.split(b";")]
        assert not _HIDDEN & set(cookies)


def _check_h11_request(request: RequestHead, passed: bytes) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_H11_LIMIT)
    connection.receive_data(passed)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (request.method, request.target)
    assert event.http_version == b"1.%d" % request.minor
    after = connection.next_event()
    if request.has_body:
        assert after is h11.NEED_DATA
    else:
        assert isinstance(after, h11.EndOfMessage)


def _check_door(request: RequestHead) -> None:
    match _NO_VISITOR.decide(audience="ada/", request=request, now=1.0):
        case Enter(location=location):
            assert location.isascii()
            assert location.isprintable()
            assert " " not in location
        case AskHub(token=token):
            assert token
        case decision:
            assert isinstance(decision, Refuse), "nobody was let in, nobody may be"


def check_response(data: bytes) -> None:
    """
    A response head is refused, or what the client gets of it:

    - is lines that end in CRLF, with no other CR or LF, and one empty line;
    - reads the same again, and the body ends at the same place to us and to h11, whatever was asked;
    - has no field that ends at this hop;
    - has the same fields when its redirects are rewritten;
    - is what came, if the short way takes it;
    - of a gated server, has nothing that speaks for the whole host, and cookies below its own path alone.

    The first byte says what was asked and whether the server is gated.
    """
    method = (b"GET", b"HEAD", b"POST")[data[0] % 3] if data else b"GET"
    fence = Fence(_PREFIX) if data and data[0] & 4 else None
    end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
    try:
        head = read_response(data[1:end] if end >= len(END_OF_HEAD) else data[1:], fence)
    except BadResponse:
        assert plain_answer(data[1:end]) is None
        return
    passed = head.render()
    if (answer := plain_answer(data[1:end])) is not None:
        assert (head.length, passed, head.chunked, head.close) == (*answer, False, False)
    _check_lines(passed)
    again = read_response(passed, fence)
    assert again.render() == passed
    assert (again.status, again.is_interim) == (head.status, head.is_interim)
    frame, frame_again = head.body_frame(method), again.body_frame(method)
    assert (type(frame), frame.done) == (type(frame_again), frame_again.done)
    names = {name for name, _, _ in split_fields(passed.partition(b"\r\n")[2])}
    assert not HOP_BY_HOP & names
    assert not [name for name in names if name.startswith(b"proxy-")]
    if fence is not None:
        assert not DROPPED & names
        _check_cookies(passed)
    moved = replace(head, lines=_RELOCATION.apply(head.lines, target=_TARGET, host=b"hub.example.org")).render()
    _check_lines(moved)
    assert [name for name, _, _ in split_fields(moved)] == [name for name, _, _ in split_fields(passed)]
    if head.status != SWITCHING:
        _check_h11_response(method, passed, is_over=frame.done, is_interim=head.is_interim)


def _check_cookies(passed: bytes) -> None:
    for name, value, _ in split_fields(passed.partition(b"\r\n")[2]):
        if name != b"set-cookie":
            continue
        pair, *attributes = [part.strip() for part in value.split(b";")]
        keys = [attribute.partition(b"=")[0].strip().lower() for attribute in attributes]
        paths = [
            attribute.partition(b"=")[2].strip() for attribute in attributes if attribute.lower().startswith(b"path=")
        ]
        cookie = pair.partition(b"=")[0].strip()
        assert cookie
        assert cookie not in _HIDDEN
        assert not cookie.lower().startswith(b"__host-")
        assert b"domain" not in keys
        assert keys.count(b"path") == 1
        inside = posixpath.normpath(unquote_to_bytes(paths[-1]).decode("utf-8"))
        assert inside == _PREFIX or inside.startswith(_PREFIX + "/")


def _check_h11_response(method: bytes, passed: bytes, *, is_over: bool, is_interim: bool) -> None:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_H11_LIMIT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(passed)
    event = connection.next_event()
    assert isinstance(event, h11.InformationalResponse if is_interim else h11.Response)
    if not is_interim:
        assert isinstance(connection.next_event(), h11.EndOfMessage) == is_over


def check_chunks(data: bytes) -> None:
    """
    A chunked body ends at the same byte, or is refused, whole and in pieces of any size (the first byte says).
    If we take it for complete, so does h11, with the same end and content; and what is passed on of it has the
    same content, and no trailers.
    """
    if not data:
        return
    step, data = data[0] % 17 + 1, data[1:]
    whole, pieces = _follow(data, len(data) or 1), _follow(data, step)
    assert whole[0] == pieces[0], "where it is cut makes a difference"
    if whole[0] is None or not whole[1]:
        return
    passed = whole[2]
    assert pieces[2] == passed
    end, content, _ = _h11_chunks(data)
    assert end == whole[0]
    assert _h11_chunks(passed) == (len(passed), content, [])


def _follow(data: bytes, step: int) -> tuple[int | None, bool, bytes]:
    """Where the body ends (None: it is refused), whether it is complete, and what is passed on."""
    frame, total, passed = ChunkedFrame(), 0, b""
    for start in range(0, len(data), step):
        piece = data[start : start + step]
        try:
            end = frame.feed(piece, 0)
        except BadFraming:
            return None, False, passed
        total += end
        passed += without_trailers(frame, piece, 0, end)
        if frame.done:
            break
        assert end == len(piece)
    return total, frame.done, passed


def _h11_chunks(data: bytes) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """Where h11 sees the end, what it has read, and the trailers."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_H11_LIMIT)
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    content = b""
    while True:
        match connection.next_event():
            case h11.Data(data=piece):
                content += piece
            case h11.EndOfMessage(headers=trailers):
                return (
                    len(data) - len(connection.trailing_data[0]),
                    content,
                    [(bytes(n), bytes(v)) for n, v in trailers],
                )
            case h11.Request():
                pass
            case event:
                raise AssertionError(f"h11 sees no end: {event}")


def check_path(data: bytes) -> None:
    """
    A path is refused, or decoded to one that:

    - has no `.` or `..` and no control character, and begins with a slash;
    - where it decides the route has the same segments to whoever decodes and tidies it, once or twice over;
    - comes back when it is encoded, unless an encoded slash made two segments of one below the route;
    - finds the route that stands in the table for it, at the first look-up and from memory.

    What a fence takes for inside is inside to a browser.
    """
    if REQUEST_LINE.fullmatch(b"GET " + data + b" HTTP/1.1") is None or b"?" in data:
        return
    drop_segments(data, 2)
    try:
        path = decode_path(data)
    except BadRequest:
        assert not _has_route(data), "a path that is refused has a route"
        return
    segments = path.split("/")[1:]
    assert path.startswith("/")
    assert not {".", ".."} & set(segments)
    assert not [char for char in path if char < " " or char == "\x7f"]
    tidied = posixpath.normpath(path).split("/")[1:]
    assert [s for s in segments[:ROUTING_SEGMENTS] if s] == [s for s in tidied[:ROUTING_SEGMENTS] if s]
    raw_segments = [unquote_to_bytes(segment).decode() for segment in data.split(b"/")[1:]]
    assert raw_segments[:ROUTING_SEGMENTS] == segments[:ROUTING_SEGMENTS]
    if b"%2f" not in data.lower() and "//" not in path:
        assert decode_path(encode_path(path).encode("ascii")) == path
    found = _TABLE.find(path)
    assert _TABLE.find_raw(data) is found
    assert _TABLE.find_raw(data) is found
    assert found is not None
    assert found.path in {"/", path} or path.startswith(found.path + "/")
    line = b"Service-Worker-Allowed: " + data
    if Fence(_PREFIX).confine(b"service-worker-allowed", data, line) == line:
        assert posixpath.normpath(path) == _PREFIX or posixpath.normpath(path).startswith(_PREFIX + "/")


def _has_route(path: bytes) -> bool:
    with suppress(BadRequest):
        return _TABLE.find_raw(path) is not None
    return False


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "request": check_request,
    "response": check_response,
    "chunks": check_chunks,
    "path": check_path,
    "pair": check_pair,
}
