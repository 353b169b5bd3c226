"""
Whom shares let into servers: those whose identity tokens must be made anew when the shares change or go.

Called within the unit that changes them, before they are gone; `Revocations.revoke_visits` takes the answer after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from perijove.hub.domain.shares import Share
from perijove.hub.ports import Unit

#: name of a user, and the audience of a server
Visits: TypeAlias = frozenset[tuple[str, str]]

NOBODY: Visits = frozenset()


async def visits_of(unit: Unit, shares: Iterable[Share]) -> Visits:
    """Everybody whom *shares* let in, by themselves or by a group, but for owners: they need none."""
    visits: set[tuple[str, str]] = set()
    for share in shares:
        audience = f"{share.owner}/{share.server_name}"
        visits |= {(name, audience) for name in await _names(unit, share) if name != share.owner}
    return frozenset(visits)


async def visits_of_servers(unit: Unit, server_ids: Iterable[int]) -> Visits:
    """Everybody whom shares of these servers let in."""
    return await visits_of(unit, await unit.shares.of_servers(server_ids))


async def _names(unit: Unit, share: Share) -> Iterable[str]:
    if not share.group:
        return (share.user,)
    group = await unit.groups.by_name(share.group)
    return await unit.groups.members(group.id) if group is not None else ()
