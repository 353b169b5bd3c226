"""
What a response head means, and how it is sent on to the client.

A server behind the proxy may be hostile: what is not understood exactly is `BadResponse`, which the
client sees as 502.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from perijove.proxy.core.confine import CONFINED, Fence
from perijove.proxy.core.errors import BadResponse
from perijove.proxy.core.framing import ChunkedFrame, EofFrame, Frame, LengthFrame
from perijove.proxy.core.heads import LENGTH, MAX_FIELDS, RESPONSE, dropped_with, list_items, split_fields

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_NO_CONTENT: Final = 204
_NOT_MODIFIED: Final = 304
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
    minor, status = int(match[1]), int(match[2])
    triples = split_fields(match[4])
    if len(triples) > MAX_FIELDS:
        raise BadResponse("The response has too many fields.")
    connection = list_items([value for name, value, _ in triples if name == b"connection"])
    length, chunked = _read_framing(triples, minor)
    # RFC 9110 section 8.6: no length on these two, and nobody should be tempted to wait for one.
    bodiless = status < FIRST_FINAL or status == _NO_CONTENT
    dropped = dropped_with(connection) | (_FRAMING if bodiless else frozenset())
    return ResponseHead(
        status=status,
        minor=minor,
        reason=match[3],
        close=b"close" in connection or (minor == 0 and b"keep-alive" not in connection),
        length=length,
        chunked=chunked,
        lines=_kept_lines(triples, dropped, fence),
    )


def _read_framing(triples: list[tuple[bytes, bytes, bytes]], minor: int) -> tuple[int | None, bool]:
    lengths = [value for name, value, _ in triples if name == b"content-length"]
    codings = [value for name, value, _ in triples if name == b"transfer-encoding"]
    if codings:
        if lengths or minor == 0 or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise BadResponse("The response's framing is ambiguous.")
        return None, True
    if lengths:
        if len(lengths) > 1 or LENGTH.fullmatch(lengths[0]) is None:
            raise BadResponse("The response's Content-Length is malformed.")
        return int(lengths[0]), False
    return None, False


def _kept_lines(
    triples: list[tuple[bytes, bytes, bytes]], dropped: frozenset[bytes], fence: Fence | None
) -> bytes:
    lines: list[bytes] = []
    for name, value, line in triples:
        if name in dropped or name.startswith(b"proxy-"):
            continue
        kept: bytes | None = line
        if fence is not None and name in CONFINED:
            kept = fence.confine(name, value, line)
        if kept is not None:
            lines.append(kept)
    lines.append(b"")
    return b"\r\n".join(lines)
