"""
The groups that the configuration declares, brought into the store (contract j, `load_groups`: it only adds).

Members who are users become members when the hub starts; the others when they first come.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from perijove.hub.domain.groups import GroupDeclaration
from perijove.hub.domain.users import User
from perijove.hub.ports import Store, Unit
from perijove.hub.usecases.until_there import until_there


class GroupBook:
    """What the configuration says of groups."""

    def __init__(self, declared: Iterable[GroupDeclaration] = ()) -> None:
        self._declared = {group.name: group for group in declared}

    @property
    def names(self) -> frozenset[str]:
        """Of all declared groups."""
        return frozenset(self._declared)

    async def run(self, store: Store) -> None:
        """Load them as soon as the database answers."""
        await until_there("groups", partial(self.load, store))

    async def load(self, store: Store) -> None:
        """Write every group down, with those of its members who are users already."""
        for group in self._declared.values():
            # One transaction a group: a class of a thousand keeps nobody waiting for the next.
            async with store.unit() as unit:
                row = await unit.groups.put(group.name, properties=group.properties)
                known = [user for name in sorted(group.users) if (user := await unit.users.by_name(name))]
                await unit.groups.add_members(row.id, [user.id for user in known])

    async def join(self, unit: Unit, user: User) -> None:
        """Make *user* a member of the groups that name them, as a part of *unit*."""
        wanted = [group for group in self._declared.values() if user.name in group.users]
        if not wanted:
            return
        have = (await unit.groups.of_users([user.id])).get(user.id, ())
        for group in wanted:
            if group.name not in have:
                row = await unit.groups.by_name(group.name)
                row = row or await unit.groups.put(group.name, properties=group.properties)
                await unit.groups.add_members(row.id, [user.id])
