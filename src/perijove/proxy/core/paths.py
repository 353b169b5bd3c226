"""
What a raw request path names: decoding for routing, with a fixed answer for everything doubtful.

The route is looked up with the decoded path; the server behind it gets the path as it was sent. So a
path that two programs could read differently *where it decides the route* is refused:

| in the path | answer |
|---|---|
| malformed escape (`%zz`, `%4`), not UTF-8, an encoded control character | 400, anywhere |
| a segment `.` or `..`, encoded or not | 400, anywhere: browsers never send one |
| an empty segment (`//`) or an encoded slash (`%2f`) | 400 in the first two segments; data below |

Below the first two segments `//` and `%2f` are data: jupyter-server-proxy has whole URLs in its paths.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from perijove.proxy.core.errors import BadRequest

#: How many leading segments (`/user/<name>`, `/services/<name>`) must be unambiguous.
ROUTING_SEGMENTS: Final = 2

_DOUBTFUL: Final = re.compile(rb"%|//|/\.{1,2}(?:/|\Z)")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DOTS: Final = frozenset({".", ".."})
#: Characters left alone in a path, as JupyterHub's `url_escape_path` does.
_SAFE: Final = "@~/"


def decode_path(raw: bytes) -> str:
    """
    The decoded path that routes are compared with; *raw* is the path as sent, without the query.

    Raises:
        BadRequest: the path could be read in two ways.
    """
    if _DOUBTFUL.search(raw) is None:
        return raw.decode("ascii")
    if _BAD_ESCAPE.search(raw):
        raise BadRequest("The path has a malformed percent-escape.")
    segments = [_decode_segment(segment) for segment in raw.split(b"/")[1:]]
    for depth, segment in enumerate(segments):
        is_last = depth == len(segments) - 1
        # Also behind an encoded slash, which some servers decode before they look for these.
        if not _DOTS.isdisjoint(segment.split("/")):
            raise BadRequest("The path has a dot segment.")
        if depth < ROUTING_SEGMENTS and ("/" in segment or (not segment and not is_last)):
            raise BadRequest("The path has an empty segment or an encoded slash where it decides the route.")
    return "/" + "/".join(segments)


def encode_path(path: str) -> str:
    """A decoded path as it stands in a URL."""
    return quote(path, safe=_SAFE)


def drop_segments(raw: bytes, count: int) -> bytes:
    """*raw* without its first *count* segments; at least `/`."""
    parts = raw.split(b"/", count + 1)
    return b"/" + parts[count + 1] if len(parts) > count + 1 else b"/"


def _decode_segment(raw: bytes) -> str:
    try:
        segment = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise BadRequest("The path is not UTF-8.") from exc
    if _CONTROL.search(segment):
        raise BadRequest("The path has a control character.")
    return segment
