"""
The table: which entry a decoded path belongs to. Longest prefix of whole segments; `/` is the default.

An `Entry` lives as long as requests may go where it says. Replacing a route by one that leads to the same
place under the same conditions keeps its entry (and the WebSockets on it); any other change retires it,
and whoever changed the table is told which entries are retired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from perijove.proxy.core.confine import Fence
from perijove.proxy.core.errors import BadControlCall, TooManyRoutes
from perijove.proxy.core.limits import Limits
from perijove.proxy.core.paths import decode_path, encode_path
from perijove.proxy.core.statistics import kind_of
from perijove.proxy.core.targets import Target, parse_target
from perijove.wire.routes import ACCESS, AUDIENCE, TARGET, UPGRADES, Access

#: Routes, unless told otherwise.
MAX_ROUTES: Final = Limits().routes
#: Protocols that no route may allow.
_NEVER: Final = frozenset({b"h2", b"h2c", b"h3", b"http", b"http/1.0", b"http/1.1", b"http/2.0", b"tls", b"tls/1.0"})
#: Paths of which the entry is remembered, and the longest of them.
MAX_KNOWN: Final = 2048
MAX_KNOWN_LENGTH: Final = 256


class Entry:
    """One route. Mutable on purpose: the data plane stores the time of the last byte here."""

    __slots__ = (
        "access",
        "audience",
        "body",
        "depth",
        "fence",
        "kind",
        "last_activity",
        "level",
        "live",
        "path",
        "prefix",
        "target",
        "upgrades",
    )

    def __init__(self, *, path: str, body: Mapping[str, Any], last_activity: float, skip: int = 0) -> None:
        """
        Args:
            path: decoded path in the table, no trailing slash.
            body: the JSON object that was posted.
            last_activity: seconds since the epoch.
            skip: leading segments of *path* that are not part of a URL's path (1 with host routing).

        Raises:
            BadControlCall: *body* is not a route.
        """
        self.path = path
        self.body = dict(body)
        #: what its requests are counted as
        self.kind = kind_of(path, body)
        self.last_activity = last_activity
        #: False as soon as no further request may go to `target` on behalf of this route
        self.live = True
        self.target: Target = parse_target(_text(body, TARGET))
        self.access: Access = _access(body)
        self.audience = _text(body, AUDIENCE, "")
        #: protocols other than WebSocket that may take over a connection, in lower case
        self.upgrades: frozenset[bytes] = _protocols(body)
        segments = path.split("/")[1:][skip:] if path != "/" else []
        #: how many segments the path in the table has
        self.level = path.count("/") if path != "/" else 0
        #: how many segments of a URL's path belong to the route
        self.depth = len(segments)
        #: the route as it stands in URLs, without a trailing slash; empty for the default
        self.prefix = encode_path("".join(f"/{segment}" for segment in segments))
        #: what a gated server may say about the rest of the host
        self.fence = Fence(self.prefix)

    def leads_where(self, other: Entry) -> bool:
        """Whether what is open on *other* may stay open on this one."""
        return (self.target, self.access, self.audience, self.upgrades) == (
            other.target,
            other.access,
            other.audience,
            other.upgrades,
        )


class RouteTable:
    """All routes."""

    def __init__(self, *, host_routing: bool = False, limit: int = MAX_ROUTES) -> None:
        """
        Args:
            host_routing: whether the first segment of a route is a host name.
            limit: routes, the default one among them.
        """
        #: may be changed at any time
        self.limit = limit
        self._entries: dict[str, Entry] = {}
        #: segments of a path -> how many entries have so many; and the most
        self._depths: dict[int, int] = {}
        self._deepest = 0
        self._skip = 1 if host_routing else 0
        # Pages ask for the same few paths again and again. Forgotten with every change of the table.
        self._known: dict[bytes, Entry | None] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, path: str) -> Entry | None:
        """The entry of exactly this route."""
        return self._entries.get(tidy(path))

    def find_raw(self, raw: bytes) -> Entry | None:
        """
        The entry that a request for the path as sent belongs to.

        Raises:
            BadRequest: the path could be read in two ways.
        """
        known = self._known
        if raw in known:
            return known[raw]
        entry = self.find(decode_path(raw))
        if len(raw) <= MAX_KNOWN_LENGTH:
            if len(known) >= MAX_KNOWN:
                known.clear()
            known[raw] = entry
        return entry

    def find(self, path: str) -> Entry | None:
        """The entry that a request for the decoded *path* belongs to."""
        entries = self._entries
        # Cut to the deepest route first: a long path costs no more than a short one.
        parts = path.split("/", self._deepest + 1)
        prefix = "/".join(parts[: self._deepest + 1])
        while prefix:
            entry = entries.get(prefix)
            if entry is not None:
                return entry
            prefix = prefix[: prefix.rfind("/")]
        return entries.get("/")

    def put(self, path: str, body: Mapping[str, Any], *, now: float) -> list[Entry]:
        """
        Add or replace one route; answers the entries this retired.

        Raises:
            BadControlCall: *body* is not a route, or there are too many; nothing has changed.
        """
        if tidy(path) not in self._entries and len(self._entries) >= self.limit:
            raise TooManyRoutes
        return self._settle({tidy(path): self._entry(path, body, now)})

    def remove(self, path: str) -> list[Entry]:
        """Remove one route; answers the entries this retired, none if there was no such route."""
        entry = self._entries.pop(tidy(path), None)
        if entry is None:
            return []
        self._forget(entry)
        return _retire([entry])

    def replace(self, bodies: Mapping[str, Mapping[str, Any]], *, now: float) -> list[Entry]:
        """
        Make the table exactly *bodies*, in one step; answers the entries this retired.

        A route that stays as it was has not been used by being repeated: it keeps its last activity.

        Raises:
            BadControlCall: one of them is not a route, or there are too many; nothing has changed.
        """
        if len(bodies) > self.limit:
            raise TooManyRoutes
        fresh = {tidy(path): self._entry(path, body, now) for path, body in bodies.items()}
        gone = [self._entries.pop(path) for path in list(self._entries) if path not in fresh]
        for entry in gone:
            self._forget(entry)
        return _retire(gone) + self._settle(fresh, is_use=False)

    def _entry(self, path: str, body: Mapping[str, Any], now: float) -> Entry:
        return Entry(path=tidy(path), body=body, last_activity=now, skip=self._skip)

    def _settle(self, fresh: Mapping[str, Entry], *, is_use: bool = True) -> list[Entry]:
        retired = []
        for path, entry in fresh.items():
            old = self._entries.get(path)
            if old is not None and entry.leads_where(old):
                old.body, old.kind = entry.body, entry.kind
                if is_use:
                    old.last_activity = entry.last_activity
                continue
            if old is not None:
                retired.append(old)
                self._forget(old)
            self._entries[path] = entry
            self._depths[entry.level] = self._depths.get(entry.level, 0) + 1
            self._deepest = max(self._deepest, entry.level)
        self._known.clear()
        return _retire(retired)

    def _forget(self, entry: Entry) -> None:
        """An entry is no longer in the table. Counting, because looking at all would cost a millisecond."""
        self._known.clear()
        left = self._depths[entry.level] = self._depths[entry.level] - 1
        if not left:
            del self._depths[entry.level]
            self._deepest = max(self._depths, default=0)


def tidy(path: str) -> str:
    """*path* with one leading and no trailing slash; the default route is `/`."""
    return "/" + path.strip("/")


def _retire(entries: list[Entry]) -> list[Entry]:
    for entry in entries:
        entry.live = False
    return entries


def _text(body: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = body.get(key, default)
    if not isinstance(value, str):
        raise BadControlCall(f"Must specify '{key}' as string")
    return value


def _access(body: Mapping[str, Any]) -> Access:
    value = body.get(ACCESS, "gated")
    if value == "gated":
        return "gated"
    if value == "open":
        return "open"
    raise BadControlCall(f"'{ACCESS}' must be 'gated' or 'open'")


def _protocols(body: Mapping[str, Any]) -> frozenset[bytes]:
    names = body.get(UPGRADES, [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name.isascii() for name in names):
        raise BadControlCall(f"'{UPGRADES}' must be a list of protocols")
    protocols = frozenset(name.lower().encode() for name in names)
    if protocols & _NEVER:
        # Another HTTP inside would be requests that nobody here has looked at.
        raise BadControlCall(f"'{UPGRADES}' must not name a protocol that carries HTTP")
    return protocols
