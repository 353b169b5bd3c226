"""
Which scopes can be shared with others, and who may share them (contract d33 and d37).

Whatever is shared is narrowed to one server, and nobody gives what they have not.
"""

from __future__ import annotations

from collections.abc import Iterable

from perijove.hub.scopes.catalog import METASCOPES
from perijove.hub.scopes.decision import HasScopes, ServerResource, may
from perijove.hub.scopes.errors import BadScope
from perijove.hub.scopes.expansion import Holder, expand
from perijove.hub.scopes.grammar import Filter, FilterKind, parse


def bare_scopes(scopes: Iterable[str], server: ServerResource) -> tuple[str, ...]:
    """
    *scopes* without their filter, which is none or *server*, in order.

    Raises:
        BadScope: one does not exist, has another filter, or means nothing for a single server.
    """
    return tuple(sorted({_bare(text, server) for text in scopes}))


def not_held(giver: HasScopes, scopes: Iterable[str], server: ServerResource) -> tuple[str, ...]:
    """Those of bare *scopes* that *giver* lacks for *server*, or anything that comes with them."""
    return tuple(
        name
        for name in scopes
        if not all(may(giver, parse(text).name, server) for text in expand([_narrowed(name, server)], Holder()))
    )


def _bare(text: str, server: ServerResource) -> str:
    scope = parse(text)
    wanted = Filter(FilterKind.SERVER, f"{server.user}/{server.server}")
    if scope.name in METASCOPES:
        raise BadScope(f"The scope {scope.name!r} cannot be shared.")
    if scope.filter not in {None, wanted}:
        raise BadScope(f"!{scope.filter} not allowed on sharing {text}, only !{wanted}")
    if not expand([_narrowed(scope.name, server)], Holder()):
        raise BadScope(f"The scope {scope.name!r} means nothing for one server.")
    return scope.name


def _narrowed(name: str, server: ServerResource) -> str:
    return f"{name}!server={server.user}/{server.server}"
