"""
What a request head means, and how it is sent on.

`read_request` parses a head; `RequestFields` is what its field block says, and depends on nothing else, so
that equal blocks (a browser repeats itself) are read once: see `FieldsMemo`. `RequestHead.render` writes
the head that the server behind the proxy gets.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from perijove.proxy.core.errors import BadRequest
from perijove.proxy.core.framing import ChunkedFrame, Frame, LengthFrame
from perijove.proxy.core.heads import (
    FIELDS,
    LENGTH,
    MAX_FIELDS,
    REQUEST_LINE,
    dropped_with,
    list_items,
    split_fields,
)
from perijove.proxy.core.limits import Limit
from perijove.wire.identity import BROWSER_COOKIES, HUB_COOKIES, IDENTITY_COOKIE, IDENTITY_HEADER, SESSION_COOKIE

_IDENTITY: Final = IDENTITY_HEADER.lower().encode()
_IDENTITY_COOKIE: Final = IDENTITY_COOKIE.encode()
_HIDDEN_COOKIES: Final = frozenset({_IDENTITY_COOKIE, *(name.encode() for name in (*HUB_COOKIES, *BROWSER_COOKIES))})
_BROWSER_NAME: Final = BROWSER_COOKIES[0].encode()
_BROWSER_COOKIES: Final = frozenset(name.encode() for name in BROWSER_COOKIES)
#: What a service must not see; the id of the session is for services to see (contract section i).
_SIGN_IN_COOKIES: Final = _HIDDEN_COOKIES - {SESSION_COOKIE.encode()}
#: Identity cookies looked at in one request: one per server whose path matches, and some slack.
MAX_IDENTITIES: Final = 8
#: Longest identity cookie: the longest name that a statement may have makes 4 KB.
MAX_IDENTITY: Final = 8 * 1024
#: Longest value of the cookies that they are bound to; ours are far shorter.
MAX_BROWSER: Final = 128
#: Field blocks remembered, and their bytes; all are forgotten when there are more. What is remembered of a block is
#: some four times its size, and strangers may send what they like.
MAX_MEMO: Final = 2048
MAX_MEMO_BYTES: Final = 4 * 1024 * 1024

#: RFC 6455 section 4.1: by GET. Other protocols are passed on where a route says so.
_WEBSOCKET: Final = (b"websocket",)
_REPEATABLE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_PROTOCOL: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]{1,32}(?:/[!#$%&'*+\-.^_`|~0-9a-z]{1,32})?")
_HOST: Final = re.compile(rb"[0-9A-Za-z.\-_~%!$&'()*+,;=:\[\]]+")
_HUB_TOKEN: Final = re.compile(rb"(?:token|bearer) +([!-~]+)", re.IGNORECASE)
_HUB_SCHEME: Final = re.compile(rb"(?:token|bearer)\b", re.IGNORECASE)
#: Fields of which a second one would be read differently by different programs.
_SINGLE: Final = (b"content-length", b"transfer-encoding", b"authorization", b"origin", b"upgrade", b"expect")
#: What says where a request came from; a client's own is not believed. Tornado trusts the last two.
_FORWARDED: Final = frozenset({b"forwarded", b"x-real-ip", b"x-scheme"})
#: Fields whose twins with `_` for `-` become the same variable in CGI-like servers.
_GUARDED: Final = frozenset({_IDENTITY, b"content-length", b"transfer-encoding", *_FORWARDED})


@dataclass(slots=True, kw_only=True)
class RequestFields:
    """
    What the fields of a request say. Never changed once read; not frozen because that costs a microsecond.
    """

    host: bytes
    #: whether `Connection: close` was asked for
    close: bool
    #: bytes of body; 0 without one
    length: int
    chunked: bool
    #: whether bytes of a body follow
    has_body: bool
    expects_continue: bool
    #: the protocol to go on with, in lower case, of a request without a body that asks for another one
    upgrade: bytes
    origin: bytes
    fetch_site: bytes
    fetch_mode: bytes
    accepts_html: bool
    #: the hub API token of `Authorization: token …` or `bearer …`
    hub_token: str
    #: values of the identity cookies, in the order sent
    identities: tuple[str, ...]
    #: names and values of the cookies that identity tokens may be bound to
    browsers: tuple[tuple[str, str], ...]
    #: what was sent in the identity header, which counts only from whoever stands in front of this proxy
    sent_identity: str
    #: for the access log
    referer: bytes
    agent: bytes
    #: field lines for the server: all but those that end here and those in `forwarded`
    lines: bytes
    #: the same for a gated server: without hub tokens and hub cookies
    gated_lines: bytes
    #: the `X-Forwarded-*` lines as sent
    forwarded_lines: bytes
    #: values of `X-Forwarded-*` by the part behind that prefix, lower case
    forwarded: dict[bytes, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class RequestHead:
    """A request head that was understood."""

    method: bytes
    #: path and query as sent
    target: bytes
    #: minor version, 0 or 1
    minor: int
    fields: RequestFields
    #: the request line as sent, with its CRLF
    line: bytes
    #: the protocol that is gone on with if the server agrees, in lower case; empty: HTTP
    upgrade: bytes = b""

    @property
    def path(self) -> bytes:
        """The path as sent."""
        return self.target.partition(b"?")[0]

    @property
    def is_upgrade(self) -> bool:
        """Whether this asks for another protocol, and is passed on as that."""
        return self.upgrade != b""

    @property
    def has_body(self) -> bool:
        """Whether bytes of a body follow."""
        return self.fields.has_body

    @property
    def is_idempotent(self) -> bool:
        """Whether sending it twice does no harm: safe methods without a body."""
        return self.method in _REPEATABLE and not self.fields.has_body

    @property
    def upgrade_lines(self) -> bytes:
        """What both sides are told of a change of protocol."""
        return b"Connection: Upgrade\r\nUpgrade: %b\r\n" % self.upgrade if self.upgrade else b""

    def allow_upgrade(self, protocols: Collection[bytes]) -> None:
        """Pass on the wish for another protocol if it is one of *protocols*; a WebSocket's always is."""
        if self.minor == 1 and self.fields.upgrade in protocols:
            self.upgrade = self.fields.upgrade

    def body_frame(self) -> Frame:
        """Where its body ends."""
        return ChunkedFrame() if self.fields.chunked else LengthFrame(self.fields.length)

    def render(self, *, target: bytes, gated: bool, added: bytes, to_hub: bool = True) -> bytes:
        """
        The head for the server.

        Args:
            target: what to ask there.
            gated: whether tokens and cookies of the hub are withheld.
            added: lines of the proxy's own.
            to_hub: whether it is the hub, whose sign-in cookies are nobody else's.
        """
        return self.render_line(target) + self.render_fields(gated=gated, added=added, to_hub=to_hub)

    def render_line(self, target: bytes) -> bytes:
        """The request line for the server, which is asked for *target*."""
        if target is self.target:
            return self.line
        return b"%b %b HTTP/1.%d\r\n" % (self.method, target, self.minor)

    def render_fields(self, *, gated: bool, added: bytes, to_hub: bool = True) -> bytes:
        """All of `render` behind the request line; depends on the fields and on whether they open a WebSocket."""
        lines = self.fields.gated_lines if gated else self.fields.lines
        if not (gated or to_hub):
            lines = without_sign_in(lines)
        return b"%b%b%b\r\n" % (lines, added, self.upgrade_lines)


class FieldsMemo:
    """
    Remembers what field blocks mean: exact matches only. Holds cookies, so it is bounded and never dumped.
    """

    def __init__(
        self,
        *,
        limit: int = MAX_MEMO,
        limit_bytes: int = MAX_MEMO_BYTES,
        max_fields: int = MAX_FIELDS,
        replaced: frozenset[bytes] = frozenset(),
    ) -> None:
        """
        Args:
            limit: field blocks that are remembered.
            limit_bytes: bytes of them.
            max_fields: fields of one block.
            replaced: names of fields, in lower case, that are not sent on: the proxy writes its own.
        """
        #: what has been read
        self.known: dict[bytes, RequestFields] = {}
        self._bytes = 0
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._max_fields = max_fields
        self._replaced = replaced

    def read(self, block: bytes) -> RequestFields:
        """
        The meaning of *block*.

        Raises:
            BadRequest: it has none.
        """
        fields = self.known.get(block)
        if fields is None:
            fields = read_fields(block, self._max_fields, self._replaced)
            # Uploads and upgrades seldom repeat.
            if self._limit and not (fields.chunked or fields.length or fields.upgrade):
                if len(self.known) >= self._limit or self._bytes + len(block) > self._limit_bytes:
                    self.known.clear()
                    self._bytes = 0
                self.known[block] = fields
                self._bytes += len(block)
        return fields


def read_request(head: bytes, memo: FieldsMemo) -> RequestHead:
    """
    Understand *head*, everything up to and with the empty line.

    Raises:
        BadRequest: it is not exactly what RFC 9112 says, or could be read in two ways.
    """
    end = head.find(b"\r\n")
    match = REQUEST_LINE.fullmatch(head, 0, end)
    if match is None:
        raise BadRequest
    method, target, minor = match.groups()
    if method == b"CONNECT":
        raise BadRequest("This is no forward proxy.", status=405)
    block = head[end + 2 : -2]
    fields = memo.known.get(block) or memo.read(block)
    if minor == b"1":
        request = RequestHead(method, target, 1, fields, head[: end + 2])
        if fields.upgrade and method == b"GET":
            request.allow_upgrade(_WEBSOCKET)
        return request
    if fields.chunked:
        raise BadRequest("HTTP/1.0 has no Transfer-Encoding.")
    return RequestHead(method, target, 0, fields, head[: end + 2])


def read_fields(block: bytes, max_fields: int = MAX_FIELDS, replaced: frozenset[bytes] = frozenset()) -> RequestFields:
    """
    Understand a field block, without the empty line; fields called *replaced* are read and not sent on.

    Raises:
        BadRequest: it is malformed, or fields are missing, doubled or contradict each other.
    """
    if FIELDS.fullmatch(block) is None:
        raise BadRequest
    triples = split_fields(block)
    if len(triples) > max_fields:
        raise BadRequest("The request has too many fields.", status=431, limit=Limit.FIELDS)
    values: dict[bytes, list[bytes]] = {}
    for name, value, _ in triples:
        values.setdefault(name, []).append(value)
    for name in _SINGLE:
        if len(values.get(name, ())) > 1:
            raise BadRequest(f"The request has two {name.decode()} fields.")
    connection = list_items(values.get(b"connection", []))
    length, chunked = _read_framing(values)
    authorization = b"".join(values.get(b"authorization", []))
    token = _HUB_TOKEN.fullmatch(authorization)
    # Also what is not quite a token: most likely it is one, misspelt, and the server has no use for it.
    is_ours = _HUB_SCHEME.match(authorization) is not None
    if chunked or b"content-length" in values:
        triples = [_with_plain_framing(triple) for triple in triples]
    lines, gated_lines, forwarded_lines = _sort_lines(
        triples, dropped_with(connection) | replaced, hides_authorization=is_ours
    )
    return RequestFields(
        host=_read_host(values),
        close=b"close" in connection,
        length=length,
        chunked=chunked,
        has_body=chunked or length > 0,
        expects_continue=_read_expect(values),
        upgrade=b"" if length or chunked else _read_upgrade(values, connection),
        origin=_joined(values, b"origin"),
        fetch_site=_joined(values, b"sec-fetch-site"),
        fetch_mode=_joined(values, b"sec-fetch-mode"),
        accepts_html=b"text/html" in _joined(values, b"accept").lower(),
        hub_token=token[1].decode("ascii") if token else "",
        identities=_read_identities(values.get(b"cookie", [])),
        browsers=_read_browsers(values.get(b"cookie", [])),
        sent_identity=_read_sent_identity(values.get(_IDENTITY, [])),
        referer=_joined(values, b"referer"),
        agent=_joined(values, b"user-agent"),
        lines=lines,
        gated_lines=gated_lines,
        forwarded_lines=forwarded_lines,
        forwarded={name[12:]: b",".join(found) for name, found in values.items() if name.startswith(b"x-forwarded-")},
    )


def strip_cookies(value: bytes, hidden: frozenset[bytes] = _HIDDEN_COOKIES) -> bytes:
    """A `Cookie` value without the hub's cookies."""
    pairs = [pair.strip(b" \t") for pair in value.split(b";")]
    return b"; ".join(pair for pair in pairs if pair and pair.partition(b"=")[0].strip() not in hidden)


def without_sign_in(lines: bytes) -> bytes:
    """
    Field lines without the cookies that sign somebody in at the hub or let them into a server.

    Over TLS the sign-in cookie has the path `/`, so browsers send it to services as well.
    """
    kept = bytearray()
    for name, value, line in split_fields(lines):
        if name != b"cookie":
            kept += line + b"\r\n"
        elif cookies := strip_cookies(value, _SIGN_IN_COOKIES):
            kept += b"Cookie: %b\r\n" % cookies
    return bytes(kept)


def _read_host(values: dict[bytes, list[bytes]]) -> bytes:
    hosts = values.get(b"host", [])
    if len(hosts) != 1 or _HOST.fullmatch(hosts[0]) is None:
        raise BadRequest("The request must name exactly one host.")
    return hosts[0]


def _read_framing(values: dict[bytes, list[bytes]]) -> tuple[int, bool]:
    """RFC 9112 section 6.3, refusing all that it merely tolerates."""
    lengths, codings = values.get(b"content-length"), values.get(b"transfer-encoding")
    if codings:
        if lengths or codings[0].lower() != b"chunked":
            raise BadRequest("The request's framing is ambiguous.")
        return 0, True
    if lengths:
        if LENGTH.fullmatch(lengths[0]) is None:
            raise BadRequest("The request's Content-Length is malformed.")
        return int(lengths[0]), False
    return 0, False


def _with_plain_framing(triple: tuple[bytes, bytes, bytes]) -> tuple[bytes, bytes, bytes]:
    """
    What frames the body is said in the one way that everybody reads alike, whatever case, zeros and space were sent.
    """
    name, value, _ = triple
    if name == b"content-length":
        return name, value, b"Content-Length: %d" % int(value)
    if name == b"transfer-encoding":
        return name, value, b"Transfer-Encoding: chunked"
    return triple


def _read_expect(values: dict[bytes, list[bytes]]) -> bool:
    expect = values.get(b"expect")
    if expect and expect[0].lower() != b"100-continue":
        raise BadRequest("Only 100-continue can be expected.", status=417)
    return bool(expect)


def _read_upgrade(values: dict[bytes, list[bytes]], connection: set[bytes]) -> bytes:
    """RFC 9110 section 7.8, of which one protocol and no list is understood."""
    protocol = _joined(values, b"upgrade").lower() if b"upgrade" in connection else b""
    return protocol if _PROTOCOL.fullmatch(protocol) else b""


def _read_identities(cookies: list[bytes]) -> tuple[str, ...]:
    found = []
    for cookie in cookies:
        for pair in cookie.split(b";"):
            name, _, value = pair.partition(b"=")
            if name.strip() == _IDENTITY_COOKIE and len(value) <= MAX_IDENTITY:
                found.append(value.strip().decode("latin-1"))
    return tuple(found[:MAX_IDENTITIES])


def _read_browsers(cookies: list[bytes]) -> tuple[tuple[str, str], ...]:
    found = []
    for cookie in cookies:
        if _BROWSER_NAME not in cookie:
            continue
        for pair in cookie.split(b";"):
            name, _, value = pair.partition(b"=")
            if name.strip() in _BROWSER_COOKIES and len(value) <= MAX_BROWSER:
                found.append((name.strip().decode("ascii"), value.strip().decode("latin-1")))
    return tuple(found[:MAX_IDENTITIES])


def _read_sent_identity(values: list[bytes]) -> str:
    return values[0].decode("latin-1") if len(values) == 1 and len(values[0]) <= MAX_IDENTITY else ""


def _joined(values: dict[bytes, list[bytes]], name: bytes) -> bytes:
    found = values.get(name)
    return b",".join(found) if found else b""


def _sort_lines(
    triples: list[tuple[bytes, bytes, bytes]], dropped: frozenset[bytes], *, hides_authorization: bool
) -> tuple[bytes, bytes, bytes]:
    """The lines for any server, for a gated server, and those about where the request came from."""
    lines, gated_lines, forwarded_lines = bytearray(), bytearray(), bytearray()
    for name, value, line in triples:
        if name in dropped and not _tells_origin(name):
            continue
        if name == _IDENTITY or name.startswith(b"proxy") or (b"_" in name and _is_twin(name)):
            continue
        if _tells_origin(name):
            forwarded_lines += line + b"\r\n"
            continue
        lines += line + b"\r\n"
        if name == b"cookie":
            kept = strip_cookies(value)
            gated_lines += b"Cookie: %b\r\n" % kept if kept else b""
        elif name != b"authorization" or not hides_authorization:
            gated_lines += line + b"\r\n"
    return bytes(lines), bytes(gated_lines), bytes(forwarded_lines)


def _tells_origin(name: bytes) -> bool:
    return name.startswith(b"x-forwarded-") or name in _FORWARDED


def _is_twin(name: bytes) -> bool:
    plain = name.replace(b"_", b"-")
    return plain in _GUARDED or _tells_origin(plain)
