"""
One line for every request: what it says, and what it must not say.

Secrets are in query strings (hub tokens on WebSockets, OAuth codes, CSRF tokens), so their values are replaced; header
fields are not logged at all but for the two of the combined format. Whatever a client can choose is escaped, so that
nobody writes a line of their own. A line is shorter than `MAX_LINE`, which a pipe takes whole or not at all (POSIX
`write`, PIPE_BUF).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, Protocol, TypeAlias
from urllib.parse import unquote_to_bytes

#: Bytes of a line, its end among them: Linux' PIPE_BUF.
MAX_LINE: Final = 4096
#: Bytes that are shown of a target, of a referrer or agent, and of a name, escaped.
MAX_TARGET: Final = 2048
MAX_FIELD: Final = 512
MAX_NAME: Final = 256
#: Names, referrers and agents of which the escaped form is remembered.
MAX_NAMES: Final = 2048
#: Bytes that one byte or character becomes at most when it is escaped: two UTF-16 escapes of JSON.
_GROWTH: Final = 12
#: What stands for a secret, and for what is cut off.
HIDDEN: Final = b"***"
CUT: Final = b"..."
# As numbers: looking for bytes in bytes first tries them as one, and clears up after the exception.
_QUESTION: Final = ord("?")
_QUOTE: Final = ord('"')
_BACKSLASH: Final = ord("\\")
Format: TypeAlias = Literal["json", "combined"]

#: Parameters whose values are secrets, and parts of names that say so.
_SECRETS: Final = frozenset(
    {
        b"assertion", b"auth", b"code", b"jwt", b"key", b"otp", b"pass", b"samlresponse", b"session", b"session_state",
        b"sid", b"sig", b"signature", b"state", b"ticket",
    }
)  # fmt: skip
_SECRET_PARTS: Final = (b"token", b"secret", b"password", b"passwd", b"xsrf", b"csrf", b"api_key", b"apikey")
#: Queries without secrets, as Jupyter's pages send them all the time; all others are looked at.
_HARMLESS: Final = re.compile(
    rb"(?:(?:(?:content|contentProvider|format|hash|session_id|t|type|v)=)?+[0-9A-Za-z._~\-]*+(?:&|\Z))*+"
)
#: Between the parameters of an address inside a value.
_BORDER: Final = re.compile(rb"[?&;#/]")
#: How often something may be percent-encoded before it is hidden unread.
_MAX_DEPTH: Final = 4
#: Bytes that stand for themselves between quotes.
_PLAIN: Final = re.compile(rb"[ !#-\[\]-~]*+")
_ODD: Final = re.compile(rb"[^ !#-\[\]-~]")
#: The same outside of quotes.
_ODD_WORD: Final = re.compile(rb"[^!#-\[\]-~]")
_PLAIN_TEXT: Final = re.compile(r"[ !#-\[\]-~]*+")


_JSON: Final = (
    b'{"time":"%b.%03dZ","peer":"%b","method":"%b","target":"%b","status":%d,"bytes":%d,"received":%d,'
    b'"duration":%.6f,"route":%b,"user":%b}\n'
)
_COMBINED: Final = b'%b - %b [%b] "%b %b HTTP/1.%d" %d %d "%b" "%b"\n'


@dataclass(slots=True, kw_only=True)
class Served:
    """
    A request that is over.

    Not frozen: a WebSocket's is begun when it opens and finished when it closes, and one serves for all others.
    """

    #: seconds since the epoch at which it was over
    moment: float = 0.0
    #: address of the client, empty on a unix socket
    peer: str = ""
    #: `-` like the target if what was sent was no request
    method: bytes = b"-"
    #: path and query as sent
    target: bytes = b"-"
    minor: int = 1
    status: int = 0
    #: bytes from and to the client, heads among them
    received: int = 0
    sent: int = 0
    #: seconds from the end of the head, or for a WebSocket from its opening
    duration: float = 0.0
    #: path of the route; empty if there was none
    route: str = ""
    #: in whose name; empty on open routes
    user: str = ""
    #: fields of the request, for the combined format
    referer: bytes = b""
    agent: bytes = b""


class LineFormat(Protocol):
    """How a request becomes a line."""

    def render(self, served: Served) -> bytes:
        """The line, with its end."""


class JsonLines:
    """A JSON object a line."""

    def __init__(self) -> None:
        self._second = -1
        self._stamp = b""
        self._names: dict[str, bytes] = {}

    def render(self, served: Served) -> bytes:
        """Part of `LineFormat`."""
        second = int(served.moment)
        if second != self._second:
            self._second = second
            self._stamp = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode("ascii")
        target, names = served.target, self._names
        if _QUESTION in target:
            target = scrub(target)
        if len(target) > MAX_TARGET or _QUOTE in target or _BACKSLASH in target:
            target = _fit(target, MAX_TARGET, _json_escaped)
        return _JSON % (
            self._stamp,
            (served.moment - second) * 1000,
            served.peer.encode("ascii") or b"unix",
            served.method,
            target,
            served.status,
            served.sent,
            served.received,
            served.duration,
            names.get(served.route) or self._name(served.route),
            names.get(served.user) or self._name(served.user),
        )

    def _name(self, text: str) -> bytes:
        """A JSON string; the same routes and users come again and again."""
        if len(self._names) >= MAX_NAMES:
            self._names.clear()
        shown = self._names[text] = _json_text(text) if text else b"null"
        return shown


class CombinedLines:
    r"""The combined log format of Apache and nginx: bytes are those of head and body, odd bytes are `\xHH`."""

    def __init__(self) -> None:
        self._second = -1
        self._stamp = b""
        self._texts: dict[bytes, bytes] = {}

    def render(self, served: Served) -> bytes:
        """Part of `LineFormat`."""
        second = int(served.moment)
        if second != self._second:
            self._second = second
            self._stamp = datetime.fromtimestamp(second, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000").encode("ascii")
        target, texts = served.target, self._texts
        if _QUESTION in target:
            target = scrub(target)
        if len(target) > MAX_TARGET or _QUOTE in target or _BACKSLASH in target:
            target = _fit(target, MAX_TARGET, _quoted)
        return _COMBINED % (
            served.peer.encode("ascii") or b"unix",
            _fit(served.user.encode("utf-8", "replace"), MAX_NAME, _word) if served.user else b"-",
            self._stamp,
            served.method,
            target,
            served.minor,
            served.status,
            served.sent,
            texts.get(served.referer) or self._text(served.referer),
            texts.get(served.agent) or self._text(served.agent),
        )

    def _text(self, text: bytes) -> bytes:
        """A referrer or an agent; the same come again and again."""
        if len(self._texts) >= MAX_NAMES or len(text) > MAX_FIELD:
            self._texts.clear()
        shown = self._texts[text] = _fit(scrub(text), MAX_FIELD, _quoted) or b"-"
        return shown


def lines_of(name: Format) -> LineFormat:
    """The format called *name*."""
    return CombinedLines() if name == "combined" else JsonLines()


def scrub(target: bytes) -> bytes:
    """*target*, a path or an address, with the values of secret parameters replaced."""
    path, mark, query = target.partition(b"?")
    if not mark:
        return target
    if _HARMLESS.fullmatch(query):
        return target
    return path + mark + b"&".join(map(_scrub_pair, query.split(b"&")))


def _fit(text: bytes, limit: int, escape: Callable[[bytes], bytes]) -> bytes:
    """*text*, escaped, or as much of its beginning as takes *limit* bytes and the mark that it is cut."""
    shown = escape(text if len(text) <= limit else text[:limit])
    if len(text) <= limit and len(shown) <= limit:
        return shown
    return (shown if len(shown) <= limit else escape(text[: limit // _GROWTH])) + CUT


def _scrub_pair(pair: bytes) -> bytes:
    name, equals, value = pair.partition(b"=")
    if not equals:
        # Without a name in front, `?%74oken%3Dx` is one for whoever decodes first and splits then.
        return HIDDEN if _holds_secret(name) else pair
    return name + equals + HIDDEN if _is_secret(name) or _holds_secret(value) else pair


def _is_secret(name: bytes) -> bool:
    plain = _decoded(name)
    if plain is None:
        return True
    plain = plain.lower()
    return plain in _SECRETS or any(part in plain for part in _SECRET_PARTS)


def _holds_secret(value: bytes) -> bool:
    """Whether *value* is, decoded, an address with a secret in it: `next=%2Fhub%2F%3Ftoken%3D…`."""
    plain = _decoded(value)
    if plain is None:
        return True
    pairs = (piece.partition(b"=") for piece in _BORDER.split(plain))
    return any(equals and _is_secret(name) for name, equals, _ in pairs)


def _decoded(text: bytes) -> bytes | None:
    """*text* without percent-escapes however often it was encoded; None if that was too often."""
    for _ in range(_MAX_DEPTH):
        if b"%" not in text:
            return text
        plain = unquote_to_bytes(text)
        if plain == text:
            return text
        text = plain
    return None


def _json_escaped(text: bytes) -> bytes:
    """Part of a JSON string; a target has no other odd characters than these two."""
    if _QUOTE in text or _BACKSLASH in text:
        return text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return text


def _json_text(text: str) -> bytes:
    if len(text) <= MAX_NAME and _PLAIN_TEXT.fullmatch(text):
        return b'"%b"' % text.encode("ascii")
    shown = json.dumps(text[:MAX_NAME])
    if len(text) <= MAX_NAME and len(shown) <= MAX_NAME:
        return shown.encode("ascii")
    return json.dumps(text[: MAX_NAME // _GROWTH] + CUT.decode()).encode("ascii")


def _quoted(text: bytes) -> bytes:
    return text if _PLAIN.fullmatch(text) else _ODD.sub(_as_hex, text)


def _word(text: bytes) -> bytes:
    return _ODD_WORD.sub(_as_hex, text)


def _as_hex(match: re.Match[bytes]) -> bytes:
    return b"\\x%02X" % match[0][0]
