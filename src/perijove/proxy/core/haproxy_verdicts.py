"""
Which statements haproxy may let in by itself: those that the gate has found good, for a short while.

haproxy verifies no signature. The built-in worker does, once; what it has let in is told to haproxy as a key of a map,
`<statement>|<tag of the audience>`, with the moment until which that is believed. After that moment one request goes
to the worker again, which knows by that who is still there. A revocation takes the keys away.

The rule of this file: a key is in at most one of "to be told", "told" and "to be taken back".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from perijove.proxy.core.haproxy_routes import audience_tag
from perijove.proxy.core.revocation import names
from perijove.wire.control import Revocation
from perijove.wire.identity import IdentityClaims

#: Seconds for which a verdict is believed, at most.
VERDICT_SECONDS: Final = 60.0
#: Verdicts in haproxy; more people than that use the worker.
MAX_VERDICTS: Final = 20_000
#: Visits remembered, so that a revocation finds the servers on which something may still be open.
MAX_VISITS: Final = 50_000

#: A compact JWS (RFC 7515 section 7.1): it needs no escaping anywhere.
_STATEMENT: Final = re.compile(r"[0-9A-Za-z_.-]{1,8192}")


@dataclass(slots=True, kw_only=True)
class _Verdict:
    claims: IdentityClaims
    #: seconds since the epoch
    until: int
    is_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictChanges:
    """What haproxy has to be told, in this order."""

    #: keys to take back
    gone: list[str]
    #: key -> until, of keys that are in the map
    renewed: dict[str, int]
    #: key -> until, of keys that are not
    new: dict[str, int]


class Verdicts:
    """The verdicts that haproxy has or is about to have."""

    def __init__(self, *, lifetime: float = VERDICT_SECONDS, limit: int = MAX_VERDICTS) -> None:
        """
        Args:
            lifetime: seconds for which a verdict is believed.
            limit: how many there are at once.
        """
        #: may be changed at any time
        self.lifetime = lifetime
        self._limit = limit
        self._known: dict[str, _Verdict] = {}
        self._untold: set[str] = set()
        self._gone: set[str] = set()
        #: (sid, user, audience) -> iat of the oldest statement, most recent visit last
        self._visits: dict[tuple[str, str, str], int] = {}

    def __len__(self) -> int:
        return len(self._known)

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self._untold or self._gone)

    def learn(self, *, identity: str, claims: IdentityClaims, now: float) -> None:
        """The gate has let *identity* in."""
        until = int(min(now + self.lifetime, claims.exp))
        if until <= now or _STATEMENT.fullmatch(identity) is None:
            return
        key = f"{identity}|{audience_tag(claims.aud)}"
        known = self._known.get(key)
        if known is None and len(self._known) >= self._limit:
            return
        self._remember_visit(claims)
        if known is None:
            # Taken back and let in again before haproxy has heard of either: it may have the key.
            is_told = key in self._gone
            self._gone.discard(key)
            self._known[key] = _Verdict(claims=claims, until=until, is_told=is_told)
        elif until > known.until:
            known.until = until
        else:
            return
        self._untold.add(key)

    def revoke(self, revocation: Revocation) -> set[str]:
        """Take back what *revocation* names; answers the audiences where something of theirs may be open."""
        for key in [key for key, verdict in self._known.items() if names(revocation, verdict.claims)]:
            self._forget(key)
        found = {visit for visit, iat in self._visits.items() if _names_visit(revocation, visit, iat)}
        for visit in found:
            del self._visits[visit]
        return {audience for _, _, audience in found}

    def expire(self, *, now: float) -> None:
        """Take back what is no longer believed."""
        for key in [key for key, verdict in self._known.items() if verdict.until <= now]:
            self._forget(key)

    def clear(self) -> None:
        """Take back everything: the keys have changed."""
        for key in list(self._known):
            self._forget(key)

    def restart(self) -> None:
        """A haproxy that knows nothing has taken the place of the last."""
        self._known.clear()
        self._untold.clear()
        self._gone.clear()

    def take_changes(self) -> VerdictChanges:
        """What to tell haproxy; it counts as told."""
        gone, untold = sorted(self._gone), self._untold
        self._gone, self._untold = set(), set()
        verdicts = {key: self._known[key] for key in untold}
        changes = VerdictChanges(
            gone=gone,
            renewed={key: verdict.until for key, verdict in verdicts.items() if verdict.is_told},
            new={key: verdict.until for key, verdict in verdicts.items() if not verdict.is_told},
        )
        for verdict in verdicts.values():
            verdict.is_told = True
        return changes

    def _forget(self, key: str) -> None:
        verdict = self._known.pop(key)
        self._untold.discard(key)
        if verdict.is_told:
            self._gone.add(key)

    def _remember_visit(self, claims: IdentityClaims) -> None:
        visit = (claims.sid, claims.sub, claims.aud)
        self._visits[visit] = min(self._visits.pop(visit, claims.iat), claims.iat)
        if len(self._visits) > MAX_VISITS:
            del self._visits[next(iter(self._visits))]


def _names_visit(revocation: Revocation, visit: tuple[str, str, str], iat: int) -> bool:
    sid, user, audience = visit
    return (
        (sid == revocation.sid if revocation.sid else user == revocation.user)
        and revocation.audience in {"", audience}
        and iat <= revocation.before
    )
