"""
Make the corpus that the targets begin with from the tables of the tests: `python -m fuzz.seeds`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fuzz.pair import SEPARATOR
from tests.support.messages import (
    LEGAL_ANSWERS,
    LEGAL_REQUESTS,
    REFUSED_ANSWERS,
    REFUSED_CHUNKS,
    REFUSED_HEADS,
    REFUSED_PATHS,
)

CORPUS: Final = Path(__file__).parent / "corpus"
#: Larger ones teach a fuzzer nothing but patience.
MAX_SEED: Final = 4096
_CREDENTIALS: Final = (
    b"GET /user/ada/lab?token=x HTTP/1.1\r\nHost: h\r\nCookie: a=b; perijove-identity=t; jupyterhub-session-id=s\r\n"
    b"Authorization: token abc\r\nX-Forwarded-For: 1\r\nX_Perijove_Identity: f\r\nX-Perijove-Identity: f\r\n"
    b"Accept: text/html\r\n"
    b"Origin: http://h\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\n\r\n"
)
_PLANTED: Final = (
    b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/user/ada/x; Domain=h\r\nSet-Cookie: __Host-a=b\r\n"
    b"Clear-Site-Data: *\r\nService-Worker-Allowed: /user/ada/\r\nContent-Length: 0\r\n\r\n"
)
_SWITCH: Final = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello"
_ASK: Final = b"GET /user/ada/x HTTP/1.1\r\nHost: h\r\n\r\n"
_UPGRADE: Final = b"GET /user/ada/x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nahead"


def requests() -> Iterator[tuple[str, bytes]]:
    """Heads."""
    yield from ((f"refused {case}", case.data) for case in REFUSED_HEADS)
    yield from ((f"legal {case}", case.data) for case in LEGAL_REQUESTS)
    yield "credentials", _CREDENTIALS


def responses() -> Iterator[tuple[str, bytes]]:
    """Heads, with a byte in front."""
    yield from ((f"refused {case}", b"\0" + case.data) for case in REFUSED_ANSWERS)
    yield from ((f"legal {case}", (b"\1" if case.method == b"HEAD" else b"\4") + case.data) for case in LEGAL_ANSWERS)
    yield "planted", b"\4" + _PLANTED
    yield "redirect", b"\4HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1:80/a?b#c\r\nContent-Length: 0\r\n\r\n"


def chunks() -> Iterator[tuple[str, bytes]]:
    """Bodies, with a byte in front."""
    yield from ((f"refused {why}", b"\2" + body) for why, _, body in REFUSED_CHUNKS)
    for case in LEGAL_REQUESTS:
        head, _, body = case.data.partition(b"\r\n\r\n")
        if b"chunked" in head.lower():
            yield f"legal {case}", b"\1" + body


def paths() -> Iterator[tuple[str, bytes]]:
    """Paths."""
    yield from ((f"refused {number}", path) for number, path in enumerate(REFUSED_PATHS))
    for path in (b"/", b"/user/ada/lab", b"/user/%61da/x", b"/services/x/a%2fb//c", b"/user/a%20b/", b"/hub/%C3%A9"):
        yield f"legal {path.decode()}", path


def pairs() -> Iterator[tuple[str, bytes]]:
    """Settings, client, servers."""
    yield from ((f"request {case}", b"\0" + case.data) for case in LEGAL_REQUESTS)
    yield from ((f"chunks {why}", b"\x18" + head + body) for why, head, body in REFUSED_CHUNKS)
    answers = [*((str(case), case.data, case.closes) for case in LEGAL_ANSWERS)]
    answers += [(str(case), case.data, False) for case in REFUSED_ANSWERS]
    for why, data, closes in answers:
        rest = _ASK + _ASK + SEPARATOR + (b"C" if closes else b"K") + data + SEPARATOR + b"K" + _PLANTED
        yield f"answer {why}", b"\1" + rest
        yield f"answer in pieces {why}", b"\x19" + rest
        yield f"answer cut off {why}", b"\1" + _ASK + SEPARATOR + b"C" + data[:-1]
    yield "tunnel", b"\0" + _UPGRADE + SEPARATOR + b"K" + _SWITCH
    own = _UPGRADE.replace(b"websocket", b"X-Own")
    for settings in (b"\0", b"\4"):
        yield f"own protocol {settings[0]}", settings + own + SEPARATOR + b"K" + _SWITCH
    yield "stale", b"\0" + _ASK + _ASK + SEPARATOR + b"CHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + SEPARATOR + b"C"
    upload = next(case.data for case in LEGAL_REQUESTS if case.why == "length")
    yield "early", b"\x0a" + upload + _ASK + SEPARATOR + b"KHTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n"


SEEDS: Final = {"request": requests, "response": responses, "chunks": chunks, "path": paths, "pair": pairs}


def seeds(target: str) -> dict[str, bytes]:
    """File name and content of every seed of *target*."""
    named = ((re.sub(r"[^0-9A-Za-z]+", "-", name).strip("-").lower(), data) for name, data in SEEDS[target]())
    return {name: data for name, data in named if len(data) <= MAX_SEED}


def main() -> None:
    """Write them all; what is there already under another name stays."""
    for target in SEEDS:
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds(target).items():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
