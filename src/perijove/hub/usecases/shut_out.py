"""
Taking back at the doors what a server's name opened, when the server goes away or gets another name.

Identity tokens are made for a name. A server that is made later under the same name is another one, and whoever was
let into the old one has no business in it.
"""

from __future__ import annotations

from collections.abc import Iterable

from perijove.hub.domain.servers import Server
from perijove.hub.ports import Unit
from perijove.hub.usecases.sign_out import Revocations


async def visitors_of(unit: Unit, server: Server) -> frozenset[str]:
    """Names of those whom shares let into *server*."""
    shares = await unit.shares.of_servers([server.id])
    names = {share.group for share in shares if share.group}
    groups, _ = await unit.groups.page(offset=0, limit=len(names), names=names) if names else ((), 0)
    members = await unit.groups.members_of([group.id for group in groups]) if groups else {}
    users = {share.user for share in shares if share.user}
    return frozenset(users.union(*members.values()))


async def shut_out(revocations: Revocations, server: Server, visitors: Iterable[str]) -> None:
    """Refuse *visitors* at the door of *server*, as it was called, until they are let in anew."""
    for name in sorted(visitors):
        await revocations.revoke(user=name, audience=server.key)
