"""
What a client gets of what it asks: what it may have, and of that what the person has (contract b).

A scope that the *client* may not have refuses the request; one that the *person* has not is left out.
Telling who somebody is, and being let in, is in every token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from perijove.hub.oauth.clients import OAuthClient
from perijove.hub.oauth.errors import ScopeNotAllowed
from perijove.hub.scopes.catalog import CATALOG, INHERIT
from perijove.hub.scopes.custom import is_custom
from perijove.hub.scopes.errors import BadScope
from perijove.hub.scopes.expansion import Holder
from perijove.hub.scopes.grammar import Filter, FilterKind, Scope, parse
from perijove.hub.scopes.intersection import intersect

Expand: TypeAlias = Callable[[Sequence[str], Holder], frozenset[str]]

#: who somebody is: always granted
IDENTITY: Final = ("read:users:name!user", "read:users:groups!user")
#: an older client's word for that
_IDENTIFY: Final = "identify"


def required_scopes(client: OAuthClient) -> tuple[str, ...]:
    """What every token for *client* has."""
    return (client.access_scope, *IDENTITY)


def negotiate(
    client: OAuthClient,
    asked: Sequence[str] | None,
    *,
    user: str,
    owned: frozenset[str],
    scopes_of_role: Callable[[str], Sequence[str] | None],
    expand: Expand,
) -> tuple[str, ...]:
    """
    The scopes of a token for *client*, if *user* agrees.

    Args:
        client: who asks.
        asked: scopes, or as older clients have it names of roles; None: all that it may have.
        user: name of the person who is asked.
        owned: all that this person may do, expanded.
        scopes_of_role: what a role stands for; None if there is none of that name.
        expand: all that scopes allow a holder, with this deployment's own; raises BadScope.

    Raises:
        ScopeNotAllowed: one of them does not exist, or is not for this client.
    """
    holder = client.holder(user)
    allowed = _known(client.allowed_scopes, holder, expand)
    allowed_expanded = expand((*required_scopes(client), *allowed), holder)
    wanted = allowed if asked is None else _without_roles(asked, scopes_of_role)
    granted = dict.fromkeys(required_scopes(client))
    for scope in wanted:
        granted.update(dict.fromkeys(_granted(scope, _meant(scope, holder, expand), holder, allowed_expanded, owned)))
    return tuple(granted)


def _meant(scope: str, holder: Holder, expand: Expand) -> frozenset[str]:
    try:
        return expand((scope,), holder)
    except BadScope as exc:
        raise ScopeNotAllowed(str(exc)) from exc


def _granted(
    scope: str, meant: frozenset[str], holder: Holder, allowed: frozenset[str], owned: frozenset[str]
) -> Iterable[str]:
    if INHERIT in meant:
        if INHERIT not in allowed:
            raise ScopeNotAllowed("This application may not have the scope inherit.")
        return (INHERIT,)
    if intersect(meant, allowed) != meant:
        raise ScopeNotAllowed(f"This application may not have the scope {scope}.")
    held = intersect(meant, owned)
    # All of it: by its own name, which people can read. Some of it: just that.
    return (_settled(scope, holder),) if held == meant and meant else sorted(held)


def _settled(scope: str, holder: Holder) -> str:
    """Once a token is given, nobody knows to which server or service: `!server` and `!service` get their values."""
    parsed = parse(scope)
    narrowed = parsed.filter
    if narrowed is None or narrowed.value or narrowed.kind is FilterKind.USER:
        return scope
    return str(Scope(parsed.name, Filter(narrowed.kind, holder.own(narrowed.kind))))


def _without_roles(asked: Sequence[str], scopes_of_role: Callable[[str], Sequence[str] | None]) -> Iterable[str]:
    for word in asked:
        if word == _IDENTIFY:
            continue
        name = word.partition("!")[0]
        role = None if name in CATALOG or is_custom(name) else scopes_of_role(word)
        yield from (word,) if role is None else role


def _known(scopes: Sequence[str], holder: Holder, expand: Expand) -> Sequence[str]:
    """Declared ones that exist: a callable of the configuration may say anything, and nonsense allows nothing."""
    known = []
    for scope in scopes:
        try:
            expand((scope,), holder)
        except BadScope:
            continue
        known.append(scope)
    return known
