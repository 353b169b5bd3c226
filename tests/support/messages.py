"""
Messages that are HTTP and such as only look like it, with the numbers of the proxy's traps.

They are what unit tests read, what the fuzz targets begin with, and what is sent to real servers through a
real proxy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HOST: Final = b"Host: hub.example.org\r\n"
_CL, _TE = b"Content-Length: ", b"Transfer-Encoding: "


@dataclass(frozen=True, slots=True)
class Refused:
    """Bytes that must be refused, and why they matter."""

    trap: int
    why: str
    data: bytes
    status: int = 400

    def __str__(self) -> str:
        return f"{self.trap}: {self.why}"


@dataclass(frozen=True, slots=True)
class Legal:
    """Requests, one behind the other, and what is in them: (method, target, body)."""

    why: str
    data: bytes
    means: tuple[tuple[bytes, bytes, bytes], ...]

    def __str__(self) -> str:
        return self.why


@dataclass(frozen=True, slots=True)
class LegalAnswer:
    """An answer, and what the client gets for it if that is not the same."""

    why: str
    data: bytes
    gets: bytes = b""
    method: bytes = b"GET"
    #: whether the server closes behind it
    closes: bool = False

    def __str__(self) -> str:
        return self.why


def head(*lines: bytes, start: bytes = b"POST /user/ada/x HTTP/1.1", host: bytes = HOST) -> bytes:
    """A head of *lines*."""
    return (
        b"\r\n".join([start, host[:-2], *lines]) + b"\r\n\r\n" if host else b"\r\n".join([start, *lines]) + b"\r\n\r\n"
    )


def _get(line: bytes = b"GET /user/ada/x HTTP/1.1", fields: bytes = HOST) -> bytes:
    return line + b"\r\n" + fields + b"\r\n"


_NEXT: Final = b"GET /user/ada/smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
_CHUNKS: Final = b"5\r\nhello\r\n0\r\n\r\n"
_CHUNKED: Final = _TE + b"chunked"


def _framing() -> list[Refused]:
    doubtful = {
        1: [
            ("length and chunks", [_CL + b"5", _CHUNKED], _CHUNKS),
            ("chunks and length", [_CHUNKED, _CL + b"5"], _CHUNKS),
            ("chunks and length 0", [_CHUNKED, _CL + b"0"], _CHUNKS),
            ("gzip", [_TE + b"gzip"], _CHUNKS),
            ("gzip, chunked", [_TE + b"gzip, chunked"], _CHUNKS),
            ("chunked, gzip", [_TE + b"chunked, gzip"], _CHUNKS),
            ("chunked, chunked", [_TE + b"chunked, chunked"], _CHUNKS),
            ("chunked and nothing", [_TE + b"chunked,"], _CHUNKS),
            ("identity", [_TE + b"identity"], b""),
            ("xchunked", [_TE + b"xchunked"], _CHUNKS),
            ("quoted chunked", [_TE + b'"chunked"'], _CHUNKS),
            ("chunked with a parameter", [_TE + b"chunked;q=1"], _CHUNKS),
            ("two codings", [_CHUNKED, _CHUNKED], _CHUNKS),
            ("two different codings", [_TE + b"identity", _CHUNKED], _CHUNKS),
            ("empty coding", [_TE], b""),
            ("vertical tab before chunked", [_TE + b"\x0bchunked"], _CHUNKS),
            ("form feed behind chunked", [_TE + b"chunked\x0c"], _CHUNKS),
            ("space in the name of the coding's field", [b"Transfer-Encoding : chunked"], _CHUNKS),
            ("folded coding", [b"Transfer-Encoding:\r\n chunked"], _CHUNKS),
        ],
        2: [
            ("two lengths", [_CL + b"5", _CL + b"6"], b"hello!"),
            ("two equal lengths", [_CL + b"5", _CL + b"5"], b"hello"),
            ("list of equal lengths", [_CL + b"5, 5"], b"hello"),
            ("list of lengths", [_CL + b"5,6"], b"hello"),
            ("signed length", [_CL + b"+5"], b"hello"),
            ("negative length", [_CL + b"-5"], b"hello"),
            ("hexadecimal length", [_CL + b"0x5"], b"hello"),
            ("length with an underscore", [_CL + b"1_0"], b"hellohello"),
            ("length with a point", [_CL + b"5.0"], b"hello"),
            ("length with an exponent", [_CL + b"5e0"], b"hello"),
            ("two numbers", [_CL + b"5 5"], b"hello"),
            ("empty length", [_CL], b""),
            ("length of a word", [_CL + b"five"], b"hello"),
            ("length of 16 digits", [_CL + b"1234567890123456"], b"hello"),
            ("length that overflows", [_CL + b"18446744073709551621"], b"hello"),
            ("digits that are not ASCII", [_CL + b"\xd9\xa5"], b"hello"),
            ("space in the name of the length's field", [b"Content-Length : 5"], b"hello"),
            ("folded length", [b"Content-Length:\r\n 5"], b"hello"),
            ("quoted length", [_CL + b'"5"'], b"hello"),
        ],
    }
    found = [
        Refused(trap, why, head(*lines) + body + _NEXT)
        for trap, cases in doubtful.items()
        for why, lines, body in cases
    ]
    old = head(_CHUNKED, start=b"POST /user/ada/x HTTP/1.0")
    return [*found, Refused(1, "chunks in HTTP/1.0", old + _CHUNKS)]


def _shapes() -> list[Refused]:
    odd = {
        "empty line in front": b"\r\n" + _get(),
        "bare line feed in front": b"\n" + _get(),
        "bare LF everywhere": b"GET /user/ada/x HTTP/1.1\nHost: x\n\n" + _NEXT,
        "bare LF behind the request line": b"GET /user/ada/x HTTP/1.1\n" + HOST + b"\r\n",
        "bare LF between fields": _get(fields=b"A: b\n" + HOST),
        "bare LF at the end of the head": _get()[:-2] + b"\n" + _NEXT,
        "bare CR behind the request line": b"GET /user/ada/x HTTP/1.1\r" + HOST + b"\r\n",
        "bare CR in a value": _get(fields=HOST + b"A: b\rc\r\n"),
        "bare CR hides a field": _get(fields=HOST + b"A: b\rContent-Length: 40\r\n") + _NEXT,
        "CR CR LF": _get(fields=HOST + b"A: b\r\r\n"),
        "NUL in a value": _get(fields=HOST + b"A: b\0c\r\n"),
        "NUL in a name": _get(fields=HOST + b"A\0: b\r\n"),
        "NUL in the target": _get(b"GET /user/ada/\0 HTTP/1.1"),
        "DEL in a value": _get(fields=HOST + b"A: b\x7f\r\n"),
        "escape in a value": _get(fields=HOST + b"A: \x1b[2J\r\n"),
        "folded field": _get(fields=HOST + b"A: b\r\n c\r\n"),
        "folded first field": _get(fields=b" A: b\r\n" + HOST),
        "folded with a tab": _get(fields=HOST + b"A: b\r\n\tc\r\n"),
        "space before the colon": _get(fields=HOST + b"A : b\r\n"),
        "tab before the colon": _get(fields=HOST + b"A\t: b\r\n"),
        "name with parentheses": _get(fields=HOST + b"A(b): c\r\n"),
        "name with a space": _get(fields=HOST + b"A b: c\r\n"),
        "name that is not ASCII": _get(fields=HOST + "É: c\r\n".encode()),
        "empty name": _get(fields=HOST + b": c\r\n"),
        "line without a colon": _get(fields=HOST + b"nothing\r\n"),
        "no host": _get(fields=b"A: b\r\n"),
        "empty host": _get(fields=b"Host:\r\n"),
        "two hosts": _get(fields=HOST + b"Host: evil.example\r\n"),
        "two equal hosts": _get(fields=HOST + HOST),
        "host with a path": _get(fields=b"Host: a/b\r\n"),
        "host with a user": _get(fields=b"Host: a@b\r\n"),
        "host with a space": _get(fields=b"Host: a b\r\n"),
        "host in a fold": _get(fields=b"Host:\r\n a\r\n"),
        "absolute form": _get(b"GET http://evil.example/user/ada/x HTTP/1.1"),
        "authority form": _get(b"GET evil.example:80 HTTP/1.1"),
        "asterisk form": _get(b"OPTIONS * HTTP/1.1"),
        "no slash in front": _get(b"GET user/ada/x HTTP/1.1"),
        "backslash in front": _get(b"GET \\user\\ada HTTP/1.1"),
        "no target": _get(b"GET HTTP/1.1"),
        "two spaces": _get(b"GET  /user/ada/x HTTP/1.1"),
        "two spaces before the version": _get(b"GET /user/ada/x  HTTP/1.1"),
        "space behind the version": _get(b"GET /user/ada/x HTTP/1.1 "),
        "space in front": _get(b" GET /user/ada/x HTTP/1.1"),
        "tab for a space": _get(b"GET\t/user/ada/x\tHTTP/1.1"),
        "space in the target": _get(b"GET /user/ada/a b HTTP/1.1"),
        "fragment": _get(b"GET /user/ada/x#y HTTP/1.1"),
        "quote in the target": _get(b"GET /user/ada/\x80 HTTP/1.1"),
        "HTTP/0.9": b"GET /user/ada/x\r\n\r\n",
        "HTTP/0.9 with fields": b"GET /user/ada/x\r\n" + HOST + b"\r\n",
        "HTTP/0.9 with a version": _get(b"GET /user/ada/x HTTP/0.9"),
        "HTTP/1.2": _get(b"GET /user/ada/x HTTP/1.2"),
        "HTTP/2.0": _get(b"GET /user/ada/x HTTP/2.0"),
        "HTTP/1.10": _get(b"GET /user/ada/x HTTP/1.10"),
        "HTTP/01.1": _get(b"GET /user/ada/x HTTP/01.1"),
        "HTTP/1,1": _get(b"GET /user/ada/x HTTP/1,1"),
        "lower-case version": _get(b"GET /user/ada/x http/1.1"),
        "HTTPS/1.1": _get(b"GET /user/ada/x HTTPS/1.1"),
        "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "method with a colon": _get(b"GE:T /user/ada/x HTTP/1.1"),
        "method that is not ASCII": "GÉT /user/ada/x HTTP/1.1\r\n".encode() + HOST + b"\r\n",
        "no method": _get(b"/user/ada/x HTTP/1.1"),
        "long method": _get(b"G" * 33 + b" /user/ada/x HTTP/1.1"),
        "handshake of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "greeting of SSH": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "two origins": _get(fields=HOST + b"Origin: http://a\r\nOrigin: http://b\r\n"),
        "two authorizations": _get(fields=HOST + b"Authorization: a\r\nAuthorization: b\r\n"),
        "two upgrades": _get(fields=HOST + b"Upgrade: websocket\r\nUpgrade: h2c\r\n"),
    }
    return [Refused(3, why, data) for why, data in odd.items()]


def _limits() -> list[Refused]:
    return [
        Refused(5, "expectation of tea", head(b"Expect: tea", _CL + b"5") + b"hello", 417),
        Refused(5, "two expectations", head(b"Expect: 100-continue", b"Expect: 100-continue", _CL + b"5") + b"hello"),
        Refused(6, "CONNECT to an authority", _get(b"CONNECT evil.example:443 HTTP/1.1")),
        Refused(6, "CONNECT to a path", _get(b"CONNECT /user/ada/x HTTP/1.1"), 405),
        Refused(18, "long target", _get(b"GET /user/ada/" + b"x" * 9000 + b" HTTP/1.1"), 414),
        Refused(18, "many fields", head(*[b"A: b"] * 100), 431),
        Refused(18, "large head", head(b"A: " + b"x" * 66_000), 431),
        Refused(18, "head that never ends", b"GET /user/ada/x HTTP/1.1\r\nA: " + b"x" * 66_000, 431),
    ]


#: Refused by reading the head alone.
REFUSED_HEADS: Final = [*_framing(), *_shapes(), *_limits()]

_BAD_CHUNKS: Final = {
    "size that is no number": b"zz\r\nhello\r\n0\r\n\r\n",
    "signed size": b"+5\r\nhello\r\n0\r\n\r\n",
    "negative size": b"-5\r\nhello\r\n0\r\n\r\n",
    "size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size with an underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "no size but an extension": b";a=b\r\nhello\r\n0\r\n\r\n",
    "space behind the size": b"5 \r\nhello\r\n0\r\n\r\n",
    "tab behind the size": b"5\t\r\nhello\r\n0\r\n\r\n",
    "space before the size": b" 5\r\nhello\r\n0\r\n\r\n",
    "space before an extension": b"5 ;a=b\r\nhello\r\n0\r\n\r\n",
    "size of 13 digits": b"0000000000005\r\nhello\r\n0\r\n\r\n",
    "size that overflows": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "bare LF behind the size": b"5\nhello\r\n0\r\n\r\n",
    "bare CR behind the size": b"5\rhello\r\n0\r\n\r\n",
    "bare LF in an extension": b"5;a\nhello\r\n0\r\n\r\n",
    "bare CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "NUL in an extension": b"5;a\0\r\nhello\r\n0\r\n\r\n",
    "bare LF behind the data": b"5\r\nhello\n0\r\n\r\n",
    "bare CR behind the data": b"5\r\nhello\r0\r\n\r\n",
    "nothing behind the data": b"5\r\nhello0\r\n\r\n",
    "more data than the size": b"5\r\nhelloXX\r\n0\r\n\r\n",
    "bare LF behind the last chunk": b"5\r\nhello\r\n0\n\r\n",
    "bare LF at the end": b"5\r\nhello\r\n0\r\n\n",
    "bare LF behind a trailer": b"0\r\nA: b\n\r\n",
    "folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
    "trailer without a colon": b"0\r\nnothing\r\n\r\n",
    "trailer with a space": b"0\r\nA : b\r\n\r\n",
    "NUL in a trailer": b"0\r\nA: \0\r\n\r\n",
    "request in a trailer": b"0\r\n" + _NEXT,
    "a field as an extension": b"5;X-Name: value\r\nhello\r\n0\r\n\r\n",
    "a field as the last extension": b"5\r\nhello\r\n0;X-Name:value\r\n\r\n",
    "an extension without a name": b"5;\r\nhello\r\n0\r\n\r\n",
    "an extension without a value": b"5;a=\r\nhello\r\n0\r\n\r\n",
    "an open quotation in an extension": b'5;a="b\r\nhello\r\n0\r\n\r\n',
    "space behind a semicolon": b"5; a=b\r\nhello\r\n0\r\n\r\n",
    "long extension": b"5;" + b"x" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
    "long trailers": b"0\r\n" + (b"A: " + b"x" * 1000 + b"\r\n") * 10 + b"\r\n",
}
#: Chunked requests of which the head is good: (why, head, body). Trap 4.
REFUSED_CHUNKS: Final = [(why, head(_CHUNKED), body) for why, body in _BAD_CHUNKS.items()]

#: Trap 19: paths that two programs read differently where it decides the route.
REFUSED_PATHS: Final = [
    b"//user/ada/", b"/user//ada/", b"/./user/ada/", b"/user/./ada", b"/user/../user/ada/", b"/user/ada/..",
    b"/user/ada/../eve/", b"/user/ada/.", b"/user/ada/%2e%2e/eve", b"/user/ada/%2E%2e/eve", b"/user/ada/.%2e/eve",
    b"/user/ada/%2e/x", b"/user%2fada/", b"/user/ada%2Flab", b"/user/ada/%", b"/user/ada/%4", b"/user/ada/%zz",
    b"/user/ada/%00", b"/user/ada/%0d%0aA:%20b", b"/user/ada/%7f", b"/user/ada/%ff", b"/user/ada/%c0%ae%c0%ae/eve",
    b"/user/ada/%u002e", b"/%2e%2e/",
]  # fmt: skip

_X: Final = b"/user/ada/x"
#: What the proxy understands: streams of requests.
LEGAL_REQUESTS: Final = [
    Legal("a plain GET", _get(), ((b"GET", _X, b""),)),
    Legal("no space behind the colon", _get(fields=HOST + b"A:b\r\n"), ((b"GET", _X, b""),)),
    Legal("tabs and spaces around a value", _get(fields=HOST + b"A: \t b \t\r\n"), ((b"GET", _X, b""),)),
    Legal("empty value", _get(fields=HOST + b"A:\r\n"), ((b"GET", _X, b""),)),
    Legal("value that is not ASCII", _get(fields=HOST + "A: é\r\n".encode()), ((b"GET", _X, b""),)),
    Legal("odd token", _get(fields=HOST + b"!#$%&'*+-.^_`|~9: b\r\n"), ((b"GET", _X, b""),)),
    Legal("odd method", head(start=b"M-SEARCH /user/ada/x HTTP/1.1"), ((b"M-SEARCH", _X, b""),)),
    Legal("lower-case method", head(start=b"get /user/ada/x HTTP/1.1"), ((b"get", _X, b""),)),
    Legal(
        "odd target",
        head(start=b"GET /user/ada/a|b?<c>^{d}`\\ HTTP/1.1"),
        ((b"GET", b"/user/ada/a|b?<c>^{d}`\\", b""),),
    ),
    Legal("HTTP/1.0", head(start=b"GET /user/ada/x HTTP/1.0"), ((b"GET", _X, b""),)),
    Legal("HEAD", head(start=b"HEAD /user/ada/x HTTP/1.1"), ((b"HEAD", _X, b""),)),
    Legal("OPTIONS", head(start=b"OPTIONS /user/ada/x HTTP/1.1"), ((b"OPTIONS", _X, b""),)),
    Legal("length 0", head(_CL + b"0"), ((b"POST", _X, b""),)),
    Legal("length", head(_CL + b"5") + b"hello", ((b"POST", _X, b"hello"),)),
    Legal("length with zeros in front", head(_CL + b"0005") + b"hello", ((b"POST", _X, b"hello"),)),
    Legal("length with spaces around", head(_CL + b" \t5 ") + b"hello", ((b"POST", _X, b"hello"),)),
    Legal("GET with a body", head(_CL + b"5", start=b"GET /user/ada/x HTTP/1.1") + b"hello", ((b"GET", _X, b"hello"),)),
    Legal("no chunks", head(_CHUNKED) + b"0\r\n\r\n", ((b"POST", _X, b""),)),
    Legal("chunks", head(_CHUNKED) + _CHUNKS, ((b"POST", _X, b"hello"),)),
    Legal("Chunked", head(b"transfer-encoding:CHUNKED") + _CHUNKS, ((b"POST", _X, b"hello"),)),
    Legal("several chunks", head(_CHUNKED) + b"2\r\nhe\r\n1\r\nl\r\n2\r\nlo\r\n0\r\n\r\n", ((b"POST", _X, b"hello"),)),
    Legal("size with zeros in front", head(_CHUNKED) + b"0005\r\nhello\r\n000\r\n\r\n", ((b"POST", _X, b"hello"),)),
    Legal("capital size", head(_CHUNKED) + b"A\r\nhellohello\r\n0\r\n\r\n", ((b"POST", _X, b"hellohello"),)),
    Legal("extensions", head(_CHUNKED) + b'5;a=b;c="d e"\r\nhello\r\n0;x\r\n\r\n', ((b"POST", _X, b"hello"),)),
    Legal("trailers", head(_CHUNKED) + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nB:\r\n\r\n", ((b"POST", _X, b"hello"),)),
    Legal(
        "chunk that looks like an end",
        head(_CHUNKED) + b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
        ((b"POST", _X, b"\r\n0\r\n\r\n"),),
    ),
    Legal("body that looks like a request", head(_CL + b"%d" % len(_NEXT)) + _NEXT, ((b"POST", _X, _NEXT),)),
    Legal(
        "two requests", _get() + _get(b"GET /user/ada/y HTTP/1.1"), ((b"GET", _X, b""), (b"GET", b"/user/ada/y", b""))
    ),
    Legal(
        "a body between requests",
        _get() + head(_CL + b"5") + b"hello" + _get(b"GET /user/ada/y HTTP/1.1"),
        ((b"GET", _X, b""), (b"POST", _X, b"hello"), (b"GET", b"/user/ada/y", b"")),
    ),
    Legal(
        "chunks between requests",
        head(_CHUNKED) + _CHUNKS + head(_CHUNKED) + b"0\r\nA: b\r\n\r\n" + _get(),
        ((b"POST", _X, b"hello"), (b"POST", _X, b""), (b"GET", _X, b"")),
    ),
    Legal(
        "the last request of two",
        head(b"Connection: close", start=b"GET /user/ada/x HTTP/1.1") + _NEXT,
        ((b"GET", _X, b""),),
    ),
    Legal(
        "hop-by-hop fields",
        _get(fields=HOST + b"Connection: x-a, keep-alive\r\nX-A: 1\r\nTE: trailers\r\nKeep-Alive: 5\r\n"),
        ((b"GET", _X, b""),),
    ),
    Legal(
        "an upgrade with a body",
        head(b"Connection: Upgrade", b"Upgrade: websocket", _CL + b"5", start=b"GET /user/ada/x HTTP/1.1") + b"hello",
        ((b"GET", _X, b"hello"),),
    ),
    Legal(
        "an upgrade to something else",
        _get(fields=HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"),
        ((b"GET", _X, b""),),
    ),
    Legal(
        "a connection that names the length",
        head(b"Connection: content-length, host", _CL + b"5") + b"hello",
        ((b"POST", _X, b"hello"),),
    ),
    Legal(
        "twins of the length",
        head(_CL + b"5", b"Content_Length: 9", b"Transfer_Encoding: chunked") + b"hello",
        ((b"POST", _X, b"hello"),),
    ),
    Legal("large cookies", _get(fields=HOST + b"Cookie: a=" + b"x" * 8000 + b"\r\n"), ((b"GET", _X, b""),)),
]

_OK: Final = b"HTTP/1.1 200 OK\r\n"
_CLOSE: Final = b"Connection: close\r\n"
LEGAL_ANSWERS: Final = [
    LegalAnswer("a length", _OK + b"Content-Length: 5\r\n\r\nhello"),
    LegalAnswer("length 0", _OK + b"Content-Length: 0\r\n\r\n"),
    LegalAnswer("no reason", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
    LegalAnswer("chunks", _OK + b"Transfer-Encoding: chunked\r\n\r\n" + _CHUNKS),
    LegalAnswer(
        "chunks with extensions and trailers",
        _OK + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
        _OK + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
    ),
    LegalAnswer("until the end", _OK + b"A: b\r\n\r\nhello", _OK + b"A: b\r\n" + _CLOSE + b"\r\nhello", closes=True),
    LegalAnswer("nothing until the end", _OK + b"\r\n", _OK + _CLOSE + b"\r\n", closes=True),
    LegalAnswer(
        "interim answers",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        + _OK
        + b"Content-Length: 2\r\n\r\nok",
    ),
    LegalAnswer(
        "204 without a length",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ),
    LegalAnswer("304 with a length", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    LegalAnswer("HEAD with a length", _OK + b"Content-Length: 5\r\n\r\n", method=b"HEAD"),
    LegalAnswer("HEAD with chunks", _OK + b"Transfer-Encoding: chunked\r\n\r\n", method=b"HEAD"),
    LegalAnswer(
        "hop-by-hop fields",
        _OK + b"Connection: x-a\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n",
        _OK + b"Content-Length: 0\r\n\r\n",
    ),
    LegalAnswer(
        "HTTP/1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", _OK + b"Content-Length: 2\r\n\r\nok", closes=True
    ),
    LegalAnswer("an error with a body", b"HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nsorry"),
]

#: Answers for which the client gets a 502.
REFUSED_ANSWERS: Final = [
    Refused(1, "length and chunks", _OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNKS),
    Refused(1, "gzip, chunked", _OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + _CHUNKS),
    Refused(1, "two codings", _OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNKS),
    Refused(1, "unknown coding", _OK + b"Transfer-Encoding: identity\r\n\r\nhello"),
    Refused(1, "chunks in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNKS),
    Refused(2, "two lengths", _OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    Refused(2, "two equal lengths", _OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    Refused(2, "list of lengths", _OK + b"Content-Length: 5, 5\r\n\r\nhello"),
    Refused(2, "signed length", _OK + b"Content-Length: +5\r\n\r\nhello"),
    Refused(2, "empty length", _OK + b"Content-Length:\r\n\r\nhello"),
    Refused(3, "bare LF", b"HTTP/1.1 200 OK\nContent-Length: 5\n\r\n\r\nhello"),
    Refused(3, "folded field", _OK + b"A: b\r\n c\r\nContent-Length: 5\r\n\r\nhello"),
    Refused(3, "space before the colon", _OK + b"Content-Length : 5\r\n\r\nhello"),
    Refused(3, "NUL", _OK + b"A: \0\r\nContent-Length: 5\r\n\r\nhello"),
    Refused(3, "bare CR", _OK + b"A: b\rSet-Cookie: c\r\nContent-Length: 5\r\n\r\nhello"),
    Refused(3, "empty line in front", b"\r\n" + _OK + b"Content-Length: 5\r\n\r\nhello"),
    Refused(3, "HTTP/0.9", b"hello\r\n\r\n"),
    Refused(3, "lower-case version", b"http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    Refused(3, "HTTP/2", b"HTTP/2 200 OK\r\n\r\n"),
    Refused(3, "status of two digits", b"HTTP/1.1 20 OK\r\n\r\n"),
    Refused(3, "status 999", b"HTTP/1.1 999 X\r\n\r\n"),
    Refused(4, "malformed size", _OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    Refused(4, "bare LF behind the size", _OK + b"Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n"),
    Refused(4, "more data than the size", _OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX\r\n0\r\n\r\n"),
    Refused(5, "interim answers without end", b"HTTP/1.1 103 X\r\n\r\n" * 17 + _OK + b"Content-Length: 0\r\n\r\n"),
    Refused(6, "switch that nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    Refused(18, "many fields", _OK + b"A: b\r\n" * 101 + b"\r\n"),
    Refused(18, "head that never ends", _OK + b"A: " + b"x" * 66_000),
]
