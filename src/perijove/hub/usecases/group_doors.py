"""
Whom to refuse at the proxies' doors when people leave a group, until the hub has let them in anew with what is left.

Looked up within the unit that ends the membership, before it is gone; `close` comes after that unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from perijove.hub.domain.groups import Group
from perijove.hub.ports import Unit
from perijove.hub.usecases.identify import SERVICE_TOKEN
from perijove.hub.usecases.load_roles import RoleBook
from perijove.hub.usecases.sign_out import Revocations

#: people who are read at once
_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Who is to be refused."""

    users: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()

    def __or__(self, other: Doors) -> Doors:
        """Both together."""
        return Doors(users=self.users | other.users, services=self.services | other.services)


class GroupDoors:
    """Finds them, and has them refused."""

    def __init__(self, *, roles: RoleBook, revocations: Revocations) -> None:
        self._roles = roles
        self._revocations = revocations

    async def left(self, unit: Unit, group: Group, leaving: Iterable[str]) -> Doors:
        """Who may do less once *leaving* have left *group*: they themselves, and whoever reaches its members."""
        going = frozenset(leaving)
        if not going:
            return Doors()
        gives = self._roles.roles_of_group(group.name) or await unit.shares.with_group(group.id)
        users = set(going if gives else ())
        services: set[str] = set()
        for role in self._roles.roles_over_group(group.name):
            users |= role.users or set()
            services |= role.services
            for name in role.groups:
                holders = await unit.groups.by_name(name)
                users |= set(await unit.groups.members(holders.id)) if holders is not None else set()
        users |= await self._managed_holders(unit, group)
        return Doors(users=frozenset(users), services=frozenset(services))

    async def _managed_holders(self, unit: Unit, group: Group) -> set[str]:
        """Whom the sign-in method gave roles that reach the members of *group*."""
        if not self._roles.is_managed:
            return set()
        found: set[str] = set()
        for what in (f"!group={group.name}", *(role.name for role in self._roles.roles_over_group(group.name))):
            after = 0
            while page := await unit.users.with_managed_roles(after=after, limit=_BATCH, mentioning=what):
                # A name may be a part of another's; then one is refused who needs only come in again.
                found |= {user.name for user in page}
                after = page[-1].id
        return found

    async def close(self, doors: Doors) -> None:
        """Refuse them from now on, and close what they have open."""
        for user in sorted(doors.users):
            await self._revocations.revoke(user=user)
        for service in sorted(doors.services):
            await self._revocations.revoke(sid=f"token:{SERVICE_TOKEN}{service}")
