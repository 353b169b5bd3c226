"""
Which requests haproxy may answer by itself, and how a route stands in its map.

The rule of this file: what haproxy decides, it decides exactly as `RouteTable` and `Gate` would. So it looks only at
paths that can be read in one way (`PLAIN_PATH`); a route that no such path can belong to is not in the map, and one
that haproxy cannot serve is there as `WORKER`, so that nothing shorter takes its requests. Everything else goes to the
built-in worker.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from ipaddress import ip_address
from typing import Final

from perijove.proxy.core.routes import Entry
from perijove.proxy.core.statistics import Kind
from perijove.proxy.core.targets import Target

#: Paths that are what they look like: no escapes, no dot segments, no empty segments, nothing special on the way to
#: haproxy. PCRE and Python read this pattern alike; `'` is not in it, so that it can stand between two in haproxy's
#: configuration.
PLAIN_PATH: Final = r"^(?:/(?!\.{1,2}(?:/|$))[0-9A-Za-z._~@!$&()*+,:=-]+)*/?$"
#: Backends that the servers of each `statistics.Kind` are spread over: haproxy finds a server by walking through the
#: list of its backend.
SHARDS: Final = 64

_PLAIN_PATH: Final = re.compile(PLAIN_PATH.removesuffix("$") + r"\Z")
#: What stands in a URL as it is decoded, also when it is written into a cookie's path (`encode_path`).
_UNESCAPED: Final = re.compile(r"[0-9A-Za-z._~@/-]+")
_SOCKET_PATH: Final = re.compile(r"/[0-9A-Za-z._~@+=/-]{1,106}")
_TAG_LENGTH: Final = 32
_SERVER_NAME: Final = re.compile(r"k([0-9])r([0-9]+)")


class Way(Enum):
    """What is done with requests of a route."""

    HUB = "h"  #: passed on as they are
    SERVICE = "s"  #: passed on without the cookies that sign somebody in
    GATED = "g"  #: passed on if their statement is known to be good
    WORKER = "w"  #: left to the built-in worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A route as haproxy has it."""

    way: Way
    #: name of the server in haproxy, unique for ever; empty with `Way.WORKER`
    server: str = ""
    #: where that server is, in haproxy's words
    address: str = ""
    #: of the audience (`audience_tag`), if gated
    tag: str = ""
    #: what a gated server is confined to, as it stands in URLs
    prefix: str = ""

    @property
    def full_name(self) -> str:
        """Backend and server, as the runtime socket names it."""
        return f"{backend_of(self.server)}/{self.server}"

    @property
    def value(self) -> str:
        """What the map holds; the configuration takes it apart (`haproxy_config.py`)."""
        if self.way is Way.WORKER:
            return str(self.way.value)
        return "|".join((self.way.value, backend_of(self.server), self.server, self.tag, self.prefix))


def backends() -> list[str]:
    """The names of all backends with servers."""
    return [f"b{kind.value}x{number}" for kind in Kind for number in range(SHARDS)]


def backend_of(server: str) -> str:
    """The backend that holds the server *server*."""
    match = _SERVER_NAME.fullmatch(server)
    assert match is not None
    return f"b{match[1]}x{int(match[2]) % SHARDS}"


def map_key(path: str) -> str | None:
    """How the route *path* stands in the map; None if no plain path can belong to it."""
    if path == "/":
        return "/"
    return path + "/" if _PLAIN_PATH.match(path) else None


def place(entry: Entry, *, number: int, is_door_on: bool, prepends_path: bool) -> Place:
    """
    What haproxy is told about *entry*.

    Args:
        entry: the route.
        number: of the server, never used before.
        is_door_on: whether gated routes are gated.
        prepends_path: whether the path of the target is put in front.
    """
    address = server_address(entry.target)
    way = _way_of(entry, is_door_on=is_door_on)
    # A server of haproxy's is one address; who stands in for whom is the worker's business.
    if address is None or entry.fallbacks or (prepends_path and entry.target.base):
        way = Way.WORKER
    if way is Way.GATED and (not entry.audience or not _UNESCAPED.fullmatch(entry.path) or entry.path == "/"):
        way = Way.WORKER
    if way is Way.WORKER or address is None:
        return Place(way=Way.WORKER)
    is_gated = way is Way.GATED
    return Place(
        way=way,
        server=f"k{int(entry.kind)}r{number}",
        address=address,
        tag=audience_tag(entry.audience) if is_gated else "",
        prefix=entry.prefix if is_gated else "",
    )


def audience_tag(audience: str) -> str:
    """A name for *audience* without any special character."""
    return sha256(audience.encode()).hexdigest()[:_TAG_LENGTH]


def server_address(target: Target) -> str | None:
    """*target* in haproxy's words; None if that cannot be said: haproxy resolves no names at run time."""
    if target.tls:
        return None
    if target.socket:
        return f"unix@{target.socket}" if _SOCKET_PATH.fullmatch(target.socket) else None
    try:
        address = ip_address(target.host)
    except ValueError:
        return None
    if "%" in target.host or not target.port > 0:
        return None
    return f"ipv{address.version}@{address}:{target.port}"


def _way_of(entry: Entry, *, is_door_on: bool) -> Way:
    # As `Frontend` has it: without a door everything is open, and cookies are whosever they are.
    if entry.path == "/" and entry.access == "open":
        return Way.HUB
    if not is_door_on:
        return Way.HUB
    return Way.GATED if entry.access == "gated" else Way.SERVICE
