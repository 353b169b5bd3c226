"""
What is said about several hubs and several proxies, checked. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from perijove.config.traits import Perijove


def contradictions_of_hubs(perijove: Perijove, db_url: str) -> Iterator[tuple[str, str]]:
    """(name, what is wrong with it) of traits that cannot be."""
    if perijove.hubs > 1 and db_url.startswith("sqlite"):
        yield "hubs", "needs a database that several processes may write: set db_url to a PostgreSQL"
    if "#" in perijove.hub_name:
        yield "hub_name", "must not have a #, which ends it where hubs tell each other apart"
    for name, urls in (("hub_urls", perijove.hub_urls), ("proxy_api_urls", perijove.proxy_api_urls)):
        for url in urls:
            if not _is_origin(url):
                yield name, f"has {url!r}, which is no http://host:port, https://host:port or http+unix://%2Fpath"


def hub_name(perijove: Perijove, *, host: str, number: int) -> str:
    """What the *number*-th hub on this *host* registers as."""
    return f"{perijove.hub_name or host}-{number}"


def _is_origin(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"http", "https", "http+unix"} and bool(parts.netloc) and parts.path in {"", "/"}
