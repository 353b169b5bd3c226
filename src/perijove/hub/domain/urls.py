"""
Where a server lives below the deployment's prefix: as a URL, as a route, and as an audience.
"""

from __future__ import annotations

from urllib.parse import quote

#: what `quote` leaves alone in a path segment here (contract h maps route keys back with the same set)
_SAFE = "@~"


def segment(name: str) -> str:
    """*name* as a segment of a URL's path."""
    # Most names are plain words, and looking is a tenth of the work.
    return name if name.isascii() and name.isalnum() else quote(name, safe=_SAFE)


def server_url(base_url: str, user: str, server: str) -> str:
    """URL path of a server, with both slashes: `/user/ada/` or `/user/ada/work/` (contract a)."""
    own = f"{base_url}user/{segment(user)}/"
    return f"{own}{segment(server)}/" if server else own


def server_route(base_url: str, user: str, server: str) -> str:
    """Path of a server's route: percent-decoded, no trailing slash (contract h)."""
    return f"{base_url}user/{user}/{server}".rstrip("/")


def split_audience(audience: str) -> tuple[str, str]:
    """Owner and server name of an audience such as `ada/` or `ada/work`."""
    owner, _, name = audience.partition("/")
    return owner, name
