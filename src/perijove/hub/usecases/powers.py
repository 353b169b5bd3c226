"""
What somebody may do right now: the configuration's roles, what groups and shares add, whom filters to a group reach.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from perijove.hub.domain.roles import Service
from perijove.hub.domain.users import Person
from perijove.hub.ports import Unit
from perijove.hub.scopes.expansion import groups_of_filters, with_members
from perijove.hub.usecases.load_roles import RoleBook

#: sets of scopes whose filters are remembered, and those that are remembered with the members of their groups: the
#: second are as large as the groups are
_REMEMBERED: Final = 4096
_REMEMBERED_WITH_MEMBERS: Final = 128


class Powers:
    """Asks the store for no more than the scopes need: for most people that is nothing."""

    def __init__(self, roles: RoleBook) -> None:
        self._roles = roles

    async def of_person(self, unit: Unit, person: Person) -> frozenset[str]:
        """Everything that a user may do, expanded."""
        return await self.reaching(unit, self._roles.scopes_of_person(person))

    async def of_service(self, unit: Unit, name: str) -> frozenset[str]:
        """Everything that a service may do, expanded; nothing for one that does not exist."""
        service = await self.service(unit, name)
        return frozenset() if service is None else await self.reaching(unit, self._roles.scopes_of_service(service))

    async def service(self, unit: Unit, name: str) -> Service | None:
        """The service of that name: one of the configuration, or one that was added while the hub runs."""
        declared = self._roles.service(name)
        if declared is not None:
            return declared
        row = await unit.services.by_name(name)
        return None if row is None else row.service

    async def reaching(self, unit: Unit, scopes: frozenset[str]) -> frozenset[str]:
        """Expanded *scopes* with the members of the groups that they are filtered to."""
        names = _groups(scopes)
        return _with_members(scopes, await _members(unit, names)) if names else scopes


async def _members(unit: Unit, names: frozenset[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Each group with its members, in one order: by what is the same, what follows from it is remembered."""
    members = await unit.groups.members_by_name(names)
    return tuple(sorted((group, tuple(users)) for group, users in members.items()))


_groups = lru_cache(maxsize=_REMEMBERED)(groups_of_filters)


@lru_cache(maxsize=_REMEMBERED_WITH_MEMBERS)
def _with_members(scopes: frozenset[str], members: tuple[tuple[str, tuple[str, ...]], ...]) -> frozenset[str]:
    return with_members(scopes, dict(members))
