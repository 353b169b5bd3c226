"""
What a response head means, and how it is sent on to the client.

A server behind the proxy may be hostile: what is not understood exactly is `BadResponse`, which the
client sees as 502.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from perijove.proxy.core.confine import CONFINED, Fence
from perijove.proxy.core.errors import BadResponse
from perijove.proxy.core.framing import ChunkedFrame, EofFrame, Frame, LengthFrame
from perijove.proxy.core.heads import (
    HOP_BY_HOP,
    LENGTH,
    MAX_FIELDS,
    RESPONSE,
    dropped_with,
    list_items,
    split_fields,
)

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
#: The fields that change what is done with an answer. Most answers have one of these, their length: looking
#: for a few names in the whole block costs a quarter of looking at each field.
_TELLING: Final = re.compile(
    rb"\r\n(" + b"|".join(sorted(_FRAMING | HOP_BY_HOP | CONFINED)) + rb"|proxy-[^:]*+):[ \t]*+([^\r]*+)"
)
#: A head that is not longer has not too many fields: the shortest has four bytes.
_FEW_BYTES: Final = 4 * MAX_FIELDS
_NO_CONTENT: Final = 204
_NOT_MODIFIED: Final = 304
#: Statuses whose answers have a body if they state a length.
_COMMON: Final = frozenset({200, 201, 302, 400, 403, 404})


def _any_of(names: Iterable[bytes]) -> bytes:
    """A pattern for *names*, by their first letters: most lines begin with none of these, and each try costs."""
    ends: dict[bytes, list[bytes]] = {}
    for name in sorted(names):
        ends.setdefault(name[:1], []).append(name[1:])
    return b"|".join(b"%b(?:%b)" % (letter, b"|".join(found)) for letter, found in ends.items())


#: A field line of a lower-case head that changes nothing.
_PLAIN_LINE: Final = (
    rb"(?!(?:"
    + _any_of(_FRAMING | HOP_BY_HOP | CONFINED)
    + rb"|proxy-[^:]*+):)[!#$%&'*+\-.^_`|~0-9a-z]++:[\t\x20-\x7e\x80-\xff]*+\r\n"
)
#: What says that the connection stays open, which is so anyway: written by nginx and Node, and for this hop only.
_STAYS: Final = rb"(connection:[ \t]*+keep-alive[ \t]*+\r\n(?:keep-alive:[\t\x20-\x7e\x80-\xff]*+\r\n)?)?"
#: A lower-case head of which only the length is of note: strictness and meaning in one look.
_PLAIN: Final = re.compile(
    rb"http/1\.1 (?:"
    + b"|".join(str(status).encode() for status in sorted(_COMMON))
    + rb")(?: [\t\x20-\x7e\x80-\xff]*+)?\r\n(?:"
    + _PLAIN_LINE
    + rb")*"
    + _STAYS
    + rb"(?:"
    + _PLAIN_LINE
    + rb")*content-length:[ \t]*+([0-9]{1,15})[ \t]*+\r\n(?:"
    + _PLAIN_LINE
    + rb")*"
    + _STAYS
    + rb"(?:"
    + _PLAIN_LINE
    + rb")*\r\n"
)
_VERSION: Final = b"HTTP/1.1 "
SWITCHING: Final = 101
FIRST_FINAL: Final = 200


@dataclass(slots=True, kw_only=True)
class ResponseHead:
    """A response head that was understood."""

    status: int
    minor: int
    reason: bytes
    #: whether the server will close the connection after this
    close: bool
    #: bytes of body, None if not stated
    length: int | None
    chunked: bool
    #: field lines for the client
    lines: bytes

    @property
    def is_interim(self) -> bool:
        """Whether a further head follows this one on the same request (RFC 9110 section 15.2)."""
        return self.status < FIRST_FINAL and self.status != SWITCHING

    def body_frame(self, method: bytes) -> Frame:
        """Where its body ends, as the answer to *method* (RFC 9112 section 6.3)."""
        if method == b"HEAD" or self.status < FIRST_FINAL or self.status in {_NO_CONTENT, _NOT_MODIFIED}:
            return LengthFrame(0)
        if self.chunked:
            return ChunkedFrame()
        return EofFrame() if self.length is None else LengthFrame(self.length)

    def render(self, *, added: bytes = b"") -> bytes:
        """The head for the client, with lines of the proxy's own."""
        return b"HTTP/1.1 %d%b\r\n%b%b\r\n" % (self.status, self.reason, self.lines, added)


def plain_answer(head: bytes) -> tuple[int, bytes] | None:
    """
    How many bytes of body follow *head* and the head for the client, if nothing else of it is of note; None if it
    needs `read_response`.

    Most answers are like this, and most of what an answer costs is saved.
    """
    match = _PLAIN.fullmatch(head.lower())
    # The version is written in capitals (RFC 9112 section 2.3), which the lower-case head does not tell.
    if (
        match is None
        or not head.startswith(_VERSION)
        or (len(head) > _FEW_BYTES and head.count(b"\n") > MAX_FIELDS + 2)
    ):
        return None
    before, length, behind = match.groups()
    for group, stays in ((3, behind), (1, before)):
        if stays:
            head = head[: match.start(group)] + head[match.end(group) :]
    return int(length), head


def read_response(head: bytes, fence: Fence | None) -> ResponseHead:
    """
    Understand *head*, everything up to and with the empty line.

    Args:
        head: the bytes.
        fence: the limits of a gated server, None for an open one.

    Raises:
        BadResponse: it is not exactly what RFC 9112 says, or could be read in two ways.
    """
    match = RESPONSE.fullmatch(head)
    if match is None:
        raise BadResponse
    minor, status, block = int(match[1]), int(match[2]), match[4]
    if block.count(b"\n") > MAX_FIELDS:
        raise BadResponse("The response has too many fields.")
    values: dict[bytes, list[bytes]] = {}
    for name, value in _TELLING.findall(b"\r\n" + block.lower()):
        values.setdefault(name, []).append(value.rstrip(b" \t"))
    connection = list_items(values.get(b"connection", []))
    length, chunked = _read_framing(values, minor)
    # RFC 9110 section 8.6: no length on these two, and nobody should be tempted to wait for one.
    bodiless = status < FIRST_FINAL or status == _NO_CONTENT
    if bodiless or not values.keys() <= _FRAMING:
        dropped = dropped_with(connection) | (_FRAMING if bodiless else frozenset())
        block = _kept_lines(block, dropped, fence)
    return ResponseHead(
        status=status,
        minor=minor,
        reason=match[3],
        close=b"close" in connection or (minor == 0 and b"keep-alive" not in connection),
        length=length,
        chunked=chunked,
        lines=block,
    )


def _read_length(value: bytes) -> int:
    if LENGTH.fullmatch(value.rstrip(b" \t")) is None:
        raise BadResponse("The response's Content-Length is malformed.")
    return int(value)


def _read_framing(values: dict[bytes, list[bytes]], minor: int) -> tuple[int | None, bool]:
    lengths, codings = values.get(b"content-length"), values.get(b"transfer-encoding")
    if codings:
        if lengths or minor == 0 or codings != [b"chunked"]:
            raise BadResponse("The response's framing is ambiguous.")
        return None, True
    if lengths:
        if len(lengths) > 1:
            raise BadResponse("The response has two Content-Length fields.")
        return _read_length(lengths[0]), False
    return None, False


def _kept_lines(block: bytes, dropped: frozenset[bytes], fence: Fence | None) -> bytes:
    lines: list[bytes] = []
    for name, value, line in split_fields(block):
        if name in dropped or name.startswith(b"proxy-"):
            continue
        kept: bytes | None = line
        if fence is not None and name in CONFINED:
            kept = fence.confine(name, value, line)
        if kept is not None:
            lines.append(kept)
    lines.append(b"")
    return b"\r\n".join(lines)
