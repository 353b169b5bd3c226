"""
Who may no longer pass although the signature is good: revoked sessions and users.

A revocation names a session or a user, all servers or one, and a moment: statements issued until then are
refused, later ones (the person signed in anew) are good.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from perijove.wire.control import Revocation
from perijove.wire.identity import IdentityClaims

#: How many are remembered; the oldest is forgotten first. The background recheck catches what is forgotten.
MAX_REVOCATIONS: Final = 100_000


def names(revocation: Revocation, claims: IdentityClaims | None) -> bool:
    """Whether *revocation* concerns what was let in with *claims*; None is what came in without any."""
    return (
        claims is not None
        and (claims.sid == revocation.sid if revocation.sid else claims.sub == revocation.user)
        and revocation.audience in {"", claims.aud}
        and claims.iat <= revocation.before
    )


class RevocationList:
    """All revocations in force, by (kind, name, audience)."""

    def __init__(self, *, limit: int = MAX_REVOCATIONS) -> None:
        self._before: dict[tuple[str, str, str], int] = {}
        self._limit = limit
        #: grows with every revocation: what was good at one number is good until the next
        self.version = 0

    def __len__(self) -> int:
        return len(self._before)

    def __iter__(self) -> Iterator[Revocation]:
        for (kind, name, audience), before in self._before.items():
            if kind == "sid":
                yield Revocation(before=before, sid=name, audience=audience)
            else:
                yield Revocation(before=before, user=name, audience=audience)

    def add(self, revocation: Revocation) -> None:
        """Remember *revocation*; of two for the same, the later moment counts."""
        self.version += 1
        name = revocation.sid or revocation.user
        key = ("sid" if revocation.sid else "user", name, revocation.audience)
        known = self._before.pop(key, 0)
        self._before[key] = max(known, revocation.before)
        while len(self._before) > self._limit:
            del self._before[next(iter(self._before))]

    def refuses(self, claims: IdentityClaims) -> bool:
        """Whether *claims* have been revoked."""
        known = self._before
        if not known:
            return False
        return any(
            claims.iat <= known.get(key, -1)
            for key in (
                ("sid", claims.sid, ""),
                ("sid", claims.sid, claims.aud),
                ("user", claims.sub, ""),
                ("user", claims.sub, claims.aud),
            )
        )
