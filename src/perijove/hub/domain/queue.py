"""
Whose turn it is to start.

Fair between groups first, then between the users of a group, then first come, first served: the group that has had
the fewest starts goes next, in it the user who has had the fewest, and of that user the start that was asked for first.
So a class of two hundred that begins at nine does not keep a single researcher waiting, and nobody who asks for
ten servers delays a neighbour. Users of no group share like one.

Starts are counted from when the last of those who wait has come: who comes late shares from then on, and neither
makes up for what the others had before nor pays for it. Pure: rows in, an order out.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heappush
from math import ceil
from typing import Final, TypeVar

Key = TypeVar("Key")

#: the share of those who are in no group
NO_GROUP: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A start that waits, is under way or is over, as little of it as the order needs."""

    server_id: int
    user_id: int
    queued_at: datetime
    groups: tuple[str, ...] = ()
    #: when its process was made, once it is over; a start that is under way always counts
    began: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a start stands in the queue."""

    #: how many go before it
    ahead: int
    #: about how long it takes until its turn; None before any start has shown how long one takes
    seconds: int | None = None

    @property
    def words(self) -> str:
        """For the person who waits."""
        about = "" if self.seconds is None else f", about {self.seconds} s"
        return f"Waiting in line: {self.ahead} before you{about}"


def in_order(waiting: Sequence[Entry], others: Iterable[Entry] = ()) -> list[Entry]:
    """*waiting* in the order in which they start; *others* are those under way, and those over that may count."""
    if not waiting:
        return []
    share = _shares(waiting)
    groups: dict[str, list[Entry]] = defaultdict(list)
    had: dict[str, list[Entry]] = defaultdict(list)
    for entry in waiting:
        groups[share(entry)].append(entry)
    for entry in others:
        had[share(entry)].append(entry)
    since = _all_wait_since(groups)
    lines = {group: deque(_of_one_group(entries, had[group])) for group, entries in groups.items()}
    heads = [(_count(had[group], since), *_age(line[0]), group) for group, line in lines.items()]
    heapify(heads)
    order: list[Entry] = []
    while heads:
        starts, _, _, group = heappop(heads)
        line = lines[group]
        order.append(line.popleft())
        if line:
            heappush(heads, (starts + 1, *_age(line[0]), group))
    return order


def fair_since(waiting: Sequence[Entry]) -> datetime | None:
    """Starts that were over before that count for nobody; None if nobody waits."""
    return min((entry.queued_at for entry in waiting), default=None)


def places(order: Sequence[Entry], *, limit: int, start_seconds: float | None) -> Mapping[int, Place]:
    """
    Where everybody in *order* stands, by server id.

    Args:
        order: what `in_order` answered.
        limit: most starts at once.
        start_seconds: how long a start takes of late, if that is known.
    """
    return {
        entry.server_id: Place(
            ahead=ahead,
            seconds=None if start_seconds is None else ceil((ahead + 1) * start_seconds / max(1, limit)),
        )
        for ahead, entry in enumerate(order)
    }


def _of_one_group(waiting: Iterable[Entry], had: Sequence[Entry]) -> Iterable[Entry]:
    """The same between the users of one group."""
    lines: dict[int, deque[Entry]] = defaultdict(deque)
    for entry in sorted(waiting, key=_age):
        lines[entry.user_id].append(entry)
    since = _all_wait_since(lines)
    starts = Counter(entry.user_id for entry in had if _counts(entry, since))
    heads = [(starts[user_id], *_age(line[0]), user_id) for user_id, line in lines.items()]
    heapify(heads)
    while heads:
        begun, _, _, user_id = heappop(heads)
        line = lines[user_id]
        yield line.popleft()
        if line:
            heappush(heads, (begun + 1, *_age(line[0]), user_id))


def _all_wait_since(lines: Mapping[Key, Iterable[Entry]]) -> datetime:
    """Since when there has been somebody in each of these lines."""
    return max(min(entry.queued_at for entry in line) for line in lines.values())


def _count(entries: Iterable[Entry], since: datetime) -> int:
    return sum(_counts(entry, since) for entry in entries)


def _counts(entry: Entry, since: datetime) -> bool:
    return entry.began is None or entry.began >= since


def _age(entry: Entry) -> tuple[datetime, int]:
    return entry.queued_at, entry.server_id


def _shares(waiting: Iterable[Entry]) -> Callable[[Entry], str]:
    """Tells the group that an entry counts for: of several, the one in which the fewest wait."""
    size = Counter(group for entry in waiting for group in entry.groups)
    return lambda entry: min(entry.groups, key=lambda name: (size[name], name), default=NO_GROUP)
