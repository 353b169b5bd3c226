"""
Which members of the JSON of a user, a group or a service somebody may see (contract d, “visibility”).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

_NAMED: Final = frozenset({"kind", "name"})

#: scope -> members of the user model that it shows
_SHOWS: Final[Mapping[str, frozenset[str]]] = {
    "read:users": _NAMED | {"user_info", "admin", "roles", "groups", "server", "pending", "created", "last_activity"},
    "read:users:name": _NAMED | {"user_info", "admin"},
    "read:users:groups": _NAMED | {"groups"},
    "read:users:activity": _NAMED | {"last_activity"},
    "read:servers": _NAMED | {"servers"},
    "read:roles:users": _NAMED | {"roles", "admin"},
    "admin:auth_state": _NAMED | {"auth_state"},
}

#: any one of these shows something of a user
READ_SCOPES: Final = (
    "read:users",
    "read:users:name",
    "read:servers",
    "read:users:groups",
    "read:users:activity",
    "read:roles:users",
)


#: scope -> members of the group model that it shows
_GROUP_SHOWS: Final[Mapping[str, frozenset[str]]] = {
    "read:groups": _NAMED | {"users", "properties"},
    "read:groups:name": _NAMED,
    "read:roles:groups": _NAMED | {"roles"},
}
#: any one of these shows something of a group
GROUP_READ_SCOPES: Final = tuple(_GROUP_SHOWS)

#: scope -> members of the service model that it shows
_SERVICE_SHOWS: Final[Mapping[str, frozenset[str]]] = {
    "read:services": _NAMED | {"admin", "url", "prefix", "command", "pid", "info", "display", "access"},
    "read:services:name": _NAMED | {"admin"},
    "read:roles:services": _NAMED | {"roles", "admin"},
}
#: any one of these shows something of a service
SERVICE_READ_SCOPES: Final = tuple(_SERVICE_SHOWS)

#: sets of scopes that are remembered
_REMEMBERED: Final = 1024


class Visibility:
    """What a holder of *scopes* may see of anybody: what does not depend on whom is found once."""

    def __init__(self, scopes: frozenset[str]) -> None:
        self._scopes = scopes
        everywhere = [members for scope, members in _SHOWS.items() if scope in scopes]
        self._everywhere: frozenset[str] = frozenset().union(*everywhere)
        narrowed = {text.partition("!")[0] for text in scopes if "!" in text}
        self._is_narrowed = any(scope in narrowed and scope not in scopes for scope in _SHOWS)
        #: names of the scopes that are held, whatever they are filtered to: `may` refuses all others for everything
        self.names = narrowed | scopes
        self._last: tuple[str, frozenset[str]] = ("", frozenset())

    def of(self, user: str) -> frozenset[str]:
        """Members of *user*'s model; empty: nothing, not even that they exist."""
        if not self._is_narrowed:
            return self._everywhere
        # Who holds narrowed scopes mostly asks about one and the same user: themselves.
        if self._last[0] != user:
            self._last = (user, visible_fields(self._scopes, user))
        return self._last[1]


@lru_cache(maxsize=_REMEMBERED)
def visibility_of(scopes: frozenset[str]) -> Visibility:
    """What a holder of *scopes* may see: follows from them alone, so it is remembered for those who ask often."""
    return Visibility(scopes)


def visible_fields(scopes: frozenset[str], user: str) -> frozenset[str]:
    """Members of *user*'s model that a holder of *scopes* may see; empty: nothing, not even that they exist."""
    shown: set[str] = set()
    for scope, members in _SHOWS.items():
        if scope in scopes or f"{scope}!user={user}" in scopes:
            shown |= members
        elif scope == "read:servers" and any(text.startswith(f"{scope}!server={user}/") for text in scopes):
            # A filter to one server shows `servers`, cut down to what it reaches.
            shown |= members
    return frozenset(shown)


def visible_group_fields(scopes: frozenset[str], group: str) -> frozenset[str]:
    """Members of *group*'s model that a holder of *scopes* may see; empty: nothing."""
    return _shown(_GROUP_SHOWS, scopes, f"!group={group}")


def visible_service_fields(scopes: frozenset[str], service: str) -> frozenset[str]:
    """Members of *service*'s model that a holder of *scopes* may see; empty: nothing."""
    return _shown(_SERVICE_SHOWS, scopes, f"!service={service}")


def _shown(shows: Mapping[str, frozenset[str]], scopes: frozenset[str], narrowed: str) -> frozenset[str]:
    held = (members for scope, members in shows.items() if scope in scopes or f"{scope}{narrowed}" in scopes)
    return frozenset[str]().union(*held)
