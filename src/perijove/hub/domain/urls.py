"""
Where a server lives below the deployment's prefix: as a URL, as a route, and as an audience.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit

#: what `quote` leaves alone in a path segment here (contract h maps route keys back with the same set)
_SAFE = "@~"
#: what a redirection URI may be written with: nothing that a browser drops or reads as something else
_URI: Final = re.compile(r"[\x21-\x7e]+")
#: host and port, without user information, and without what would end a directive of a content policy
_HOST: Final = re.compile(r"[A-Za-z0-9._\-\[\]:]+")


def segment(name: str) -> str:
    """*name* as a segment of a URL's path."""
    # Most names are plain words, and looking is a tenth of the work.
    return name if name.isascii() and name.isalnum() else quote(name, safe=_SAFE)


def server_url(base_url: str, user: str, server: str) -> str:
    """URL path of a server, with both slashes: `/user/ada/` or `/user/ada/work/` (contract a)."""
    own = f"{base_url}user/{segment(user)}/"
    return f"{own}{segment(server)}/" if server else own


def service_url(base_url: str, service: str) -> str:
    """URL path of a service, with both slashes: `/services/grader/` (contract g)."""
    return f"{base_url}services/{segment(service)}/"


def server_route(base_url: str, user: str, server: str) -> str:
    """Path of a server's route: percent-decoded, no trailing slash (contract h)."""
    return f"{base_url}user/{user}/{server}".rstrip("/")


def service_route(base_url: str, service: str) -> str:
    """Path of a service's route: percent-decoded, no trailing slash (contract h)."""
    return f"{base_url}services/{service}"


def split_audience(audience: str) -> tuple[str, str]:
    """Owner and server name of an audience such as `ada/` or `ada/work`."""
    owner, _, name = audience.partition("/")
    return owner, name


def is_redirect_uri(text: str) -> bool:
    """Whether *text* can be where OAuth answers go: a path of this host, or an http(s) URL (RFC 6749, 3.1.2)."""
    if not _URI.fullmatch(text) or "#" in text or "\\" in text:
        return False
    if text.startswith("/"):
        return not text.startswith("//")
    try:
        url = urlsplit(text)
        is_port_right = url.port is None or url.port > 0
    except ValueError:
        return False
    is_host = _HOST.fullmatch(url.netloc) is not None and bool(url.hostname)
    return url.scheme in {"http", "https"} and is_host and is_port_right
