"""
Whether the sealed entries of the audit log are those that were sealed: which was changed, which is missing, which
have changed places. Pure.

What no look at the chain alone can tell: whether all of it was made anew by somebody who can write to the database,
or its end cut off. That takes a link that was kept elsewhere: `known`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from perijove.hub.domain.audit import GENESIS, AuditEntry, seal_of
from perijove.hub.domain.errors import InvalidRequest

#: damaged entries among which pairs that have changed places are looked for
_COMPARED: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A place of the chain and the hash that stands there."""

    sequence: int = 0
    sealed_hash: str = GENESIS

    @classmethod
    def of(cls, entry: AuditEntry | None) -> Self:
        """Where *entry* is; the beginning if there is none."""
        return cls() if entry is None else cls(sequence=entry.sequence, sealed_hash=entry.sealed_hash)

    @classmethod
    def from_fact(cls, text: str | None) -> Self:
        """As `to_fact` wrote it; the beginning if nothing was written."""
        if text is None:
            return cls()
        sequence, sealed_hash = json.loads(text)
        return cls(sequence=int(sequence), sealed_hash=str(sealed_hash))

    @classmethod
    def from_words(cls, text: str) -> Self:
        """
        `<sequence>:<hash>`, as people write it down.

        Raises:
            InvalidRequest: it is something else.
        """
        sequence, _, sealed_hash = text.strip().partition(":")
        if not (sequence.isascii() and sequence.isdecimal()) or len(sealed_hash) != len(GENESIS):
            raise InvalidRequest(f"{text[:99]!r} is not <sequence>:<hash>.")
        return cls(sequence=int(sequence), sealed_hash=sealed_hash.lower())

    def to_fact(self) -> str:
        """For the store."""
        return json.dumps([self.sequence, self.sealed_hash])

    def __str__(self) -> str:
        return f"{self.sequence}:{self.sealed_hash}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Misfit:
    entry: AuditEntry
    before: str


class Verifier:
    """Is shown the chain entry by entry, and tells in the end what is wrong with it."""

    def __init__(self, *, start: Link | None = None, known: Link | None = None) -> None:
        """
        Args:
            start: the last link of what was forgotten on purpose.
            known: a link that was kept elsewhere.
        """
        self._start = self.last = start or Link()
        self._known = known
        self._known_fits: bool | None = None
        self._gaps: list[tuple[int, int]] = []
        self._misfits: list[_Misfit] = []
        #: entries that were looked at
        self.count = 0
        self._look_for_known()

    def look(self, entry: AuditEntry) -> None:
        """The next entry of the chain, in its order."""
        self.count += 1
        expected = self.last.sequence + 1
        if entry.sequence != expected:
            # What stood before this one is not there: its own seal cannot be checked.
            self._gaps.append((expected, entry.sequence - 1))
        elif seal_of(entry, sequence=entry.sequence, before=self.last.sealed_hash) != entry.sealed_hash:
            self._misfits.append(_Misfit(entry=entry, before=self.last.sealed_hash))
        self.last = Link.of(entry)
        self._look_for_known()

    def faults(self) -> list[str]:
        """A sentence for each thing that is wrong, in the order of the chain as far as it has one."""
        found = [_gap(first, last) for first, last in self._gaps]
        swapped = dict(_swapped(self._misfits[:_COMPARED]))
        for misfit in self._misfits:
            place = misfit.entry.sequence
            if place not in swapped:
                found.append(_changed(misfit.entry))
            elif place < swapped[place]:
                found.append(f"Entries {place} and {swapped[place]} have changed places.")
        return found + self._about_known()

    def _look_for_known(self) -> None:
        if self._known is not None and self.last.sequence == self._known.sequence:
            self._known_fits = self.last.sealed_hash == self._known.sealed_hash

    def _about_known(self) -> list[str]:
        if self._known is None or self._known_fits:
            return []
        place = self._known.sequence
        if self._known_fits is False:
            return [f"The seal of entry {place} is not the one that was kept: the log up to there was made anew."]
        if place > self.last.sequence:
            return [f"The log ends at entry {self.last.sequence}, but there was an entry {place}: the end is missing."]
        if place < self._start.sequence:
            return [f"Entry {place} is older than what is kept, so that it tells nothing: the log begins later."]
        return []


def _gap(first: int, last: int) -> str:
    return f"Entry {first} is missing." if first == last else f"Entries {first} to {last} are missing."


def _changed(entry: AuditEntry) -> str:
    place = entry.sequence
    return (
        f"Entry {place} ({entry.action.value} by {entry.actor or 'nobody known'}, {entry.at:%Y-%m-%d %H:%M:%S}) does "
        f"not fit its seal: it was changed, or the seal of entry {place - 1} was."
    )


def _swapped(misfits: list[_Misfit]) -> Iterator[tuple[int, int]]:
    """Pairs of places, each either way round, whose entries would fit if they stood at the other's."""
    for index, one in enumerate(misfits):
        for other in misfits[index + 1 :]:
            if _fits(one.entry, other) and _fits(other.entry, one):
                yield one.entry.sequence, other.entry.sequence
                yield other.entry.sequence, one.entry.sequence


def _fits(entry: AuditEntry, place: _Misfit) -> bool:
    return seal_of(entry, sequence=place.entry.sequence, before=place.before) == place.entry.sealed_hash
