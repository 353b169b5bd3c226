"""
Where a body ends (RFC 9112 section 6), counted over the bytes that are relayed and never re-encoded.

A frame is fed every byte of its body in order, in pieces of any size, and says how many belong to it. It is
fed *before* a piece is passed on, so the byte that would end a malformed line never reaches the other side.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final, Protocol

from perijove.proxy.core.errors import ProxyError

#: Longest chunk-size line with its extensions.
MAX_CHUNK_LINE: Final = 4096
#: All trailer fields together.
MAX_TRAILERS: Final = 8192

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
#: With extensions as RFC 9112, section 7.1.1 has them, without the white space that it merely tolerates. What else
#: stands there is a field that was smuggled, or nonsense: some of it aiohttp never answers.
_CHUNK_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,12})(?:;" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?)*\r\n"
)
_TRAILER_LINE: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n")


class BadFraming(ProxyError):
    """A chunked body is malformed."""


class Frame(Protocol):
    """Where one body ends."""

    done: bool
    #: whether only the end of the connection ends this body
    until_eof: bool
    #: where in what was fed last its trailers begin, with the empty line behind them; -1: not there
    trailers_at: int

    def feed(self, data: bytes, start: int) -> int:
        """
        Count `data[start:]`; answers the offset behind the last byte that belongs to this body.

        Raises:
            BadFraming: the body is malformed.
        """
        ...


class LengthFrame:
    """A body of `Content-Length` bytes."""

    __slots__ = ("_left", "done")
    until_eof = False
    trailers_at = -1

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0

    def feed(self, data: bytes, start: int) -> int:
        """Count bytes."""
        there = len(data) - start
        if there < self._left:
            self._left -= there
            return start + there
        end = start + self._left
        self._left = 0
        self.done = True
        return end


class EofFrame:
    """A body that ends with the connection."""

    __slots__ = ("done",)
    until_eof = True
    trailers_at = -1

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: bytes, start: int) -> int:  # noqa: ARG002  # all of it belongs to the body
        """Everything belongs to the body."""
        return len(data)


class _Part(Enum):
    SIZE = auto()  #: in a chunk-size line
    DATA = auto()  #: in the bytes of a chunk
    DATA_END = auto()  #: at the CRLF behind them
    TRAILERS = auto()  #: in the lines behind the last chunk


class ChunkedFrame:
    """A body in chunks."""

    __slots__ = ("_left", "_line", "_part", "_trailers", "done", "trailers_at")
    until_eof = False

    def __init__(self) -> None:
        self.done = False
        self.trailers_at = -1
        self._part = _Part.SIZE
        self._line = b""
        self._left = 0
        self._trailers = 0

    def feed(self, data: bytes, start: int) -> int:
        """Follow the chunks."""
        position, end = start, len(data)
        self.trailers_at = start if self._part is _Part.TRAILERS and not self.done else -1
        while position < end and not self.done:
            if self._part is _Part.DATA:
                step = min(self._left, end - position)
                self._left -= step
                position += step
                if self._left == 0:
                    self._part = _Part.DATA_END
            else:
                position = self._read_line(data, position)
        return position

    def _read_line(self, data: bytes, position: int) -> int:
        newline = data.find(b"\n", position)
        stop = newline + 1 if newline >= 0 else len(data)
        line = self._line + data[position:stop]
        if len(line) > MAX_CHUNK_LINE:
            raise BadFraming("A chunk line is too long.")
        if newline < 0:
            if self._part is _Part.DATA_END and line != b"\r":
                raise BadFraming("A chunk is longer than its size says.")
            self._line = line
            return stop
        self._line = b""
        self._end_line(line)
        if self._part is _Part.TRAILERS and self.trailers_at < 0:
            self.trailers_at = stop
        return stop

    def _end_line(self, line: bytes) -> None:
        if self._part is _Part.SIZE:
            match = _CHUNK_LINE.fullmatch(line)
            if match is None:
                raise BadFraming("A chunk size is malformed.")
            self._left = int(match[1], 16)
            self._part = _Part.DATA if self._left else _Part.TRAILERS
        elif self._part is _Part.DATA_END:
            if line != b"\r\n":
                raise BadFraming("A chunk is longer than its size says.")
            self._part = _Part.SIZE
        elif line == b"\r\n":
            self.done = True
        else:
            self._trailers += len(line)
            if _TRAILER_LINE.fullmatch(line) is None or self._trailers > MAX_TRAILERS:
                raise BadFraming("A trailer is malformed.")


def without_trailers(frame: Frame, data: bytes, start: int, end: int) -> bytes:
    """
    What to pass on of `data[start:end]`, which *frame* has just been fed: all but its trailer fields.

    Some servers, and some proxies in front of us, take them for fields of the head, of this message or even of the
    next one on the connection; so a client could say there what is taken from its heads, and a server what it is
    confined in. RFC 9110 section 6.5.1 lets an intermediary drop them, and browsers show them to nobody.
    """
    if frame.trailers_at >= 0:
        return data[start : frame.trailers_at] + (b"\r\n" if frame.done else b"")
    return data if start == 0 and end == len(data) else data[start:end]
