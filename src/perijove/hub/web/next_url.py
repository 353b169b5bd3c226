"""
Where to go after signing in: a path on this host, or nothing. The one place that judges redirect targets.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from perijove.hub.domain.origins import ONE_ORIGIN, Origins

#: Longer ones are no address that a person visited.
MAX_NEXT: Final = 4096
# Browsers drop tabs and newlines from URLs and read a backslash as a slash: neither may be near a redirect.
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f\\]")


def safe_next(text: str, *, host: str, origins: Origins = ONE_ORIGIN) -> str:
    """
    *text* as a path on this host, with its query and fragment; "" if it is anything else.

    A full URL of *host* (with port, as the Host header has it) is reduced to its path, and so is one of any origin
    that is the hub's or below it: who lives there, the path says.
    """
    if len(text) > MAX_NEXT or text.startswith("//") or _FORBIDDEN.search(text):
        return ""
    parts = _split(text)
    if parts is None:
        return ""
    is_here = parts.scheme in {"http", "https"} and parts.netloc == host
    is_ours = is_here or origins.owns(parts.scheme, parts.netloc)
    if (parts.scheme or parts.netloc) and not is_ours:
        return ""
    path = SplitResult("", "", parts.path, parts.query, parts.fragment).geturl()
    return path if path.startswith("/") and not path.startswith("//") else ""


def _split(text: str) -> SplitResult | None:
    try:
        return urlsplit(text)
    except ValueError:
        return None
