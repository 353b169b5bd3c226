"""
What one worker counts, and how the counts of several become one.

Plain numbers without locks: a worker has one thread. Counters only grow; the gauges (`Gauges`) say how things are at
one moment. `to_json` and `from_json` carry both over the link between a worker and its parent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import IntEnum
from typing import Any, Final, Self

from perijove.proxy.core.limits import Limit

#: Upper bounds of the latency histogram in seconds; what is slower is in one more bucket.
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_FIRST_BUCKET: Final = BUCKETS[0]
#: The status of requests that ended without one: the client went away, or was cut off (nginx's number for it).
ABANDONED: Final = 499
#: The status of requests that became a WebSocket.
SWITCHED: Final = 101
#: What separates two kinds in `Statistics.requests`.
STATUSES: Final = 1000


class Kind(IntEnum):
    """What a request was for, by the route it belonged to."""

    HUB = 0
    USER = 1
    SERVICE = 2
    OTHER = 3


class Verdict(IntEnum):
    """What the door said."""

    ALLOWED = 0
    ENTERED = 1  #: sent to the hub's entrance
    REFUSED = 2
    ASKED = 3  #: the hub was asked about a token first


#: Keys of a route's body that say what it is for.
KIND_KEYS: Final = ("hub", "user", "service")


def kind_of(path: str, body: Mapping[str, Any]) -> Kind:
    """The kind of the route at *path*, from what the hub says about it (contract section h)."""
    if path == "/" or body.get("hub"):
        return Kind.HUB
    if body.get("user"):
        return Kind.USER
    return Kind.SERVICE if body.get("service") else Kind.OTHER


@dataclass(slots=True, kw_only=True)
class Gauges:
    """How things are now; workers' values add up."""

    clients: int = 0
    tunnels: int = 0
    pool_idle: int = 0


class Statistics:
    """Counters of one worker, or of several together."""

    __slots__ = (
        "bytes_in", "bytes_out", "dropped_lines", "gauges", "latency", "limits", "pool_made", "pool_reused", "requests",
        "seconds", "verdicts",
    )  # fmt: skip

    def __init__(self) -> None:
        #: kind * 1000 + status -> requests that have ended
        self.requests: dict[int, int] = {}
        #: one number per bucket and one for all that is slower, not cumulative
        self.latency = [0] * (len(BUCKETS) + 1)
        #: the sum of what is in `latency`
        self.seconds = 0.0
        #: bytes from and to clients, of requests and tunnels that have ended
        self.bytes_in = 0
        self.bytes_out = 0
        #: by `Verdict`
        self.verdicts = [0] * len(Verdict)
        #: name of a limit -> refusals
        self.limits: dict[str, int] = {}
        #: connections to servers that were made, and requests that found an idle one
        self.pool_made = 0
        self.pool_reused = 0
        #: lines of the access log that could not be written
        self.dropped_lines = 0
        self.gauges = Gauges()

    def ended(self, kind: int, status: int, seconds: float) -> None:
        """A request has been answered, after so many seconds."""
        key = kind * STATUSES + status
        requests = self.requests
        requests[key] = requests.get(key, 0) + 1
        # Most are in the first one.
        self.latency[0 if seconds <= _FIRST_BUCKET else bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

    def upgraded(self, kind: int) -> None:
        """A WebSocket was opened: a request that was answered 101, and how long it lasts is no latency."""
        key = kind * STATUSES + SWITCHED
        self.requests[key] = self.requests.get(key, 0) + 1

    def refused(self, limit: Limit) -> None:
        """Somebody was refused something."""
        self.limits[limit.value] = self.limits.get(limit.value, 0) + 1

    def by_kind(self) -> Iterable[tuple[Kind, int, int]]:
        """Kind, status and how many requests."""
        return ((Kind(key // STATUSES), key % STATUSES, count) for key, count in sorted(self.requests.items()))

    def by_status(self) -> dict[int, int]:
        """Status -> requests of all kinds."""
        found: dict[int, int] = {}
        for _, status, count in self.by_kind():
            found[status] = found.get(status, 0) + count
        return found

    def add(self, other: Statistics) -> None:
        """Count what *other* has counted, too."""
        _add(self.requests, other.requests)
        _add(self.limits, other.limits)
        self.latency = [mine + theirs for mine, theirs in zip(self.latency, other.latency, strict=True)]
        self.verdicts = [mine + theirs for mine, theirs in zip(self.verdicts, other.verdicts, strict=True)]
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for gauge in fields(Gauges):
            value = getattr(self.gauges, gauge.name) + getattr(other.gauges, gauge.name)
            setattr(self.gauges, gauge.name, value)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that says all of it."""
        return {
            "requests": {str(key): count for key, count in self.requests.items()},
            "limits": dict(self.limits),
            "latency": list(self.latency),
            "verdicts": list(self.verdicts),
            "gauges": asdict(self.gauges),
            **{name: getattr(self, name) for name in _SUMS},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """What `to_json` answered."""
        made = cls()
        made.requests = {int(key): count for key, count in content["requests"].items()}
        made.limits = dict(content["limits"])
        made.latency = list(content["latency"])
        made.verdicts = list(content["verdicts"])
        made.gauges = Gauges(**content["gauges"])
        for name in _SUMS:
            setattr(made, name, content[name])
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """Everything there is to say at one moment."""

    statistics: Statistics
    #: routes in the table
    routes: int
    #: whether there is a door
    door: bool
    workers: int
    #: how often a worker was replaced
    restarts: int
    #: calls of the control API by what they did: `get`, `add`, `delete`
    api_calls: Mapping[str, int]
    #: status -> calls of the control API
    api_statuses: Mapping[int, int]


def merge(parts: Iterable[Statistics]) -> Statistics:
    """What all of *parts* have counted together."""
    total = Statistics()
    for part in parts:
        total.add(part)
    return total


_SUMS: Final = ("seconds", "bytes_in", "bytes_out", "pool_made", "pool_reused", "dropped_lines")


def _add(mine: dict[Any, int], theirs: Mapping[Any, int]) -> None:
    for key, count in theirs.items():
        mine[key] = mine.get(key, 0) + count
