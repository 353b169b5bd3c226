"""
The table: which entry a decoded path belongs to. Longest prefix of whole segments; `/` is the default.

An `Entry` lives as long as requests may go where it says. Replacing a route by one that leads to the same
place under the same conditions keeps its entry (and the WebSockets on it); any other change retires it,
and whoever changed the table is told which entries are retired.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from perijove.proxy.core.confine import Fence
from perijove.proxy.core.errors import BadControlCall, BadRequest, TooManyRoutes
from perijove.proxy.core.limits import Limits
from perijove.proxy.core.paths import decode_path, encode_path
from perijove.proxy.core.statistics import KIND_KEYS, kind_of
from perijove.proxy.core.targets import Target, parse_target
from perijove.wire.routes import ACCESS, AUDIENCE, FALLBACKS, TARGET, UPGRADES, Access

#: Routes, unless told otherwise.
MAX_ROUTES: Final = Limits().routes
#: Fallbacks of one route.
MAX_FALLBACKS: Final = 8
#: Protocols that no route may allow.
_NEVER: Final = frozenset({b"h2", b"h2c", b"h3", b"http", b"http/1.0", b"http/1.1", b"http/2.0", b"tls", b"tls/1.0"})
#: What nearly all routes are; others are looked at more closely.
_PLAIN_TARGET: Final = re.compile(
    r"https?://[0-9a-z][0-9a-z.\-]{0,252}(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}))?"
    r"|http\+unix://%2[Ff](?:[\w.~\-]|%2[Ff])+",
    re.ASCII,
)
_PLAIN_PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[^\x00-\x20\x7f%/]+)+|/")
# One encoder for all: with separators of its own `json.dumps` would make one each time.
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
#: Keys that say what a route is for, and the flags that `packed` makes of them.
_KIND_FLAGS: Final = tuple((key, key[0]) for key in KIND_KEYS)
#: The object that was posted, or what `packed` made of it.
Body: TypeAlias = Mapping[str, Any] | bytes
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
        "fallbacks",
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
        #: who stands in for `target`, in this order
        self.fallbacks: tuple[Target, ...] = _fallbacks(body, self.target)
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

    @property
    def targets(self) -> tuple[Target, ...]:
        """All who may be asked, the first choice first."""
        return (self.target, *self.fallbacks)

    def leads_where(self, other: Entry) -> bool:
        """Whether what is open on *other* may stay open on this one."""
        return (self.target, self.fallbacks, self.access, self.audience, self.upgrades) == (
            other.target,
            other.fallbacks,
            other.access,
            other.audience,
            other.upgrades,
        )


class RouteTable:
    """
    All routes. What a route means is worked out at its first request: most of what it costs is paid then.
    """

    def __init__(self, *, host_routing: bool = False, limit: int = MAX_ROUTES) -> None:
        """
        Args:
            host_routing: whether the first segment of a route is a host name.
            limit: routes, the default one among them.
        """
        #: may be changed at any time
        self.limit = limit
        #: another number after each change of a route; activity is none
        self.version = 0
        self._bodies: dict[str, Body] = {}
        self._entries: dict[str, Entry] = {}
        #: when a route that is not in `_entries` was last used, in seconds since the epoch
        self._used: dict[str, float] = {}
        #: segments of a path -> how many routes have so many; and the most
        self._depths: dict[int, int] = {}
        self._deepest = 0
        self._skip = 1 if host_routing else 0
        # Pages ask for the same few paths again and again. Forgotten with every change of the table.
        self._known: dict[bytes, Entry | None] = {}

    def __len__(self) -> int:
        return len(self._bodies)

    def __iter__(self) -> Iterator[Entry]:
        return (self._entry(path) for path in list(self._bodies))

    def get(self, path: str) -> Entry | None:
        """The entry of exactly this route."""
        path = tidy(path)
        return self._entry(path) if path in self._bodies else None

    def bodies(self) -> Mapping[str, Body]:
        """Path -> body as it was given, of all routes."""
        return self._bodies

    def last_activity(self, path: str) -> float:
        """When the route at *path*, tidy, was last used, in seconds since the epoch; 0: that is not known."""
        entry = self._entries.get(path)
        return self._used.get(path, 0.0) if entry is None else entry.last_activity

    def note_activity(self, path: str, moment: float) -> None:
        """The route at *path*, tidy, was used at *moment*, in seconds since the epoch."""
        entry = self._entries.get(path)
        if entry is not None:
            entry.last_activity = max(moment, entry.last_activity)
        elif path in self._bodies:
            self._used[path] = max(moment, self._used.get(path, 0.0))

    def used_since(self, moment: float) -> dict[str, float]:
        """Path -> last activity of the routes that were asked for here and used after *moment*."""
        return {path: entry.last_activity for path, entry in self._entries.items() if entry.last_activity > moment}

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
        bodies = self._bodies
        # Cut to the deepest route first: a long path costs no more than a short one.
        parts = path.split("/", self._deepest + 1)
        prefix = "/".join(parts[: self._deepest + 1])
        while prefix:
            if prefix in bodies:
                return self._entry(prefix)
            prefix = prefix[: prefix.rfind("/")]
        return self._entry("/") if "/" in bodies else None

    def put(self, path: str, body: Body, *, now: float | None) -> list[Entry]:
        """
        Add or replace one route; answers the entries this retired.

        Args:
            path: with or without slashes around.
            body: what was posted, or what `packed` made of it.
            now: seconds since the epoch; None: somebody else keeps the time of last use.

        Raises:
            BadControlCall: *body* is not a route, or there are too many; nothing has changed.
        """
        path = tidy(path)
        if path not in self._bodies and len(self._bodies) >= self.limit:
            raise TooManyRoutes
        check(path, body)
        if self._bodies.get(path) != body:
            self._changed()
        return self._settle(path, body, now)

    def remove(self, path: str) -> list[Entry]:
        """Remove one route; answers the entry this retired, if there was one."""
        path = tidy(path)
        if path not in self._bodies:
            return []
        self._changed()
        return self._drop(path)

    def replace(self, bodies: Mapping[str, Body], *, now: float | None) -> list[Entry]:
        """
        Make the table exactly *bodies*, in one step; answers the entries this retired.

        A route that stays as it was has not been used by being repeated: it keeps its last activity.

        Raises:
            BadControlCall: one of them is not a route, or there are too many; nothing has changed.
        """
        if len(bodies) > self.limit:
            raise TooManyRoutes
        if not all(map(is_tidy, bodies)):
            bodies = {tidy(path): body for path, body in bodies.items()}
        known = self._bodies
        changed = [path for path, body in bodies.items() if known.get(path) != body]
        for path in changed:
            check(path, bodies[path])
        gone = [path for path in known if path not in bodies]
        if changed or gone:
            self._changed()
        retired = []
        for path in gone:
            retired += self._drop(path)
        for path in changed:
            retired += self._settle(path, bodies[path], now, is_use=False)
        return retired

    def _entry(self, path: str) -> Entry:
        entry = self._entries.get(path)
        if entry is None:
            used = self._used.pop(path, 0.0)
            entry = Entry(path=path, body=unpacked(self._bodies[path]), last_activity=used, skip=self._skip)
            self._entries[path] = entry
        return entry

    def _changed(self) -> None:
        """Some route is about to be another one, or none."""
        self._known.clear()
        self.version += 1

    def _settle(self, path: str, body: Body, now: float | None, *, is_use: bool = True) -> list[Entry]:
        """Put a route that has been checked."""
        if path not in self._bodies:
            level = level_of(path)
            self._depths[level] = self._depths.get(level, 0) + 1
            self._deepest = max(self._deepest, level)
        self._bodies[path] = body
        old = self._entries.get(path)
        if old is not None:
            fresh = Entry(path=path, body=unpacked(body), last_activity=now or 0.0, skip=self._skip)
            if fresh.leads_where(old):
                old.body, old.kind = fresh.body, fresh.kind
                if is_use:
                    old.last_activity = max(old.last_activity, fresh.last_activity)
                return []
            del self._entries[path]
            old.live = False
        if now is not None:
            self._used[path] = now
        return [] if old is None else [old]

    def _drop(self, path: str) -> list[Entry]:
        """Forget a route that is there. Depths are counted: looking at all routes would cost a millisecond."""
        del self._bodies[path]
        self._used.pop(path, None)
        level = level_of(path)
        self._depths[level] -= 1
        if not self._depths[level]:
            del self._depths[level]
            self._deepest = max(self._depths, default=0)
        old = self._entries.pop(path, None)
        if old is None:
            return []
        old.live = False
        return [old]


def check(path: str, body: Body) -> None:
    """
    Refuse what is not a route.

    Raises:
        BadControlCall: *body* is not.
    """
    # A hub sends ten thousand of the same kind at once; what is packed has been looked at by who packed it.
    if isinstance(body, bytes) or (_is_plain(body) and _PLAIN_PATH.fullmatch(path)):
        return
    try:
        Entry(path=path, body=body, last_activity=0.0)
    except BadRequest as exc:
        raise BadControlCall(f"Nobody can ask for this path: {exc}") from exc


def _is_plain(body: Mapping[str, Any]) -> bool:
    target, audience = body.get(TARGET), body.get(AUDIENCE, "")
    return (
        isinstance(target, str)
        and _PLAIN_TARGET.fullmatch(target) is not None
        and isinstance(audience, str)
        and body.get(ACCESS, "gated") in {"gated", "open"}
        and UPGRADES not in body
        and FALLBACKS not in body
    )


def packed(body: Mapping[str, Any]) -> bytes:
    """
    What a worker must know of *body*, which has been checked, in few bytes: of most routes a line of flags, the target
    and the audience, each a line; of others a JSON object.
    """
    target, audience = body[TARGET], body.get(AUDIENCE, "")
    if UPGRADES not in body and FALLBACKS not in body and _is_line(target) and _is_line(audience):
        flags = "o" if body.get(ACCESS) == "open" else "g"
        for key, flag in _KIND_FLAGS:
            if body.get(key):
                flags += flag
        return f"{flags}\n{target}\n{audience}".encode("ascii")
    kept = {key: body[key] for key in (TARGET, ACCESS, AUDIENCE, UPGRADES, FALLBACKS) if body.get(key)}
    if kept.get(ACCESS) == "gated":
        del kept[ACCESS]
    return _encode(kept | {key: 1 for key in KIND_KEYS if body.get(key)}).encode()


def unpacked(body: Body) -> Mapping[str, Any]:
    """The object that *body* is."""
    if not isinstance(body, bytes):
        return body
    if body.startswith(b"{"):
        content: Mapping[str, Any] = json.loads(body)
        return content
    flags, target, audience = body.decode("ascii").split("\n")
    kinds = {key: 1 for key, flag in _KIND_FLAGS if flag in flags}
    return {TARGET: target, ACCESS: "open" if "o" in flags else "gated", AUDIENCE: audience, **kinds}


def level_of(path: str) -> int:
    """How many segments a tidy path has."""
    return path.count("/") if path != "/" else 0


def tidy(path: str) -> str:
    """*path* with one leading and no trailing slash; the default route is `/`."""
    return path if is_tidy(path) else "/" + path.strip("/")


def is_tidy(path: str) -> bool:
    """Whether *path* is as it stands in the table."""
    return path == "/" or (path[:1] == "/" and path[1:2] != "/" and path[-1] != "/")


def _is_line(text: str) -> bool:
    """Whether *text* can stand in a line of `packed`."""
    return text.isascii() and "\n" not in text


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


def _fallbacks(body: Mapping[str, Any], target: Target) -> tuple[Target, ...]:
    urls = body.get(FALLBACKS, [])
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls) or len(urls) > MAX_FALLBACKS:
        raise BadControlCall(f"'{FALLBACKS}' must be a list of at most {MAX_FALLBACKS} strings")
    targets = tuple(map(parse_target, urls))
    if any(other.base != target.base for other in targets):
        # A request is made once, before it is known who takes it.
        raise BadControlCall(f"'{FALLBACKS}' must have the path of '{TARGET}'")
    return targets


def _protocols(body: Mapping[str, Any]) -> frozenset[bytes]:
    names = body.get(UPGRADES, [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name.isascii() for name in names):
        raise BadControlCall(f"'{UPGRADES}' must be a list of protocols")
    protocols = frozenset(name.lower().encode() for name in names)
    if protocols & _NEVER:
        # Another HTTP inside would be requests that nobody here has looked at.
        raise BadControlCall(f"'{UPGRADES}' must not name a protocol that carries HTTP")
    return protocols
