"""
Groups as administrators and programs see and change them (contract d24 to d30).

Who is in a group decides what people may do, so whoever leaves one is refused at the proxies' doors until the hub has
let them in anew, with what is left to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import AlreadyExists, InvalidRequest, NoSuchGroup
from perijove.hub.domain.groups import Group, check_group_name, check_properties
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.users import User, normalise
from perijove.hub.ports import Store, Unit
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.group_doors import GroupDoors
from perijove.hub.usecases.load_roles import RoleBook
from perijove.hub.usecases.sign_out import Revocations
from perijove.kit.clock import Clock

log = structlog.get_logger(__name__)

#: members that one request can name: as many as a large course has
MAX_NAMES: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownGroup:
    """A group with its members."""

    group: Group
    #: names, in order
    users: tuple[str, ...] = ()


class ReadGroups:
    """Reads groups."""

    def __init__(self, *, store: Store) -> None:
        self._store = store

    async def list(
        self, *, offset: int, limit: int, names: Iterable[str] | None = None
    ) -> tuple[Sequence[KnownGroup], int]:
        """One page, by id, and how many there are. *names* restricts to what the asker may see."""
        async with self._store.reading() as unit:
            groups, total = await unit.groups.page(offset=offset, limit=limit, names=names)
            members = await unit.groups.members_of([group.id for group in groups]) if groups else {}
        return [KnownGroup(group=group, users=tuple(members.get(group.id, ()))) for group in groups], total

    async def one(self, name: str) -> KnownGroup:
        """The group of that name. Raises NoSuchGroup."""
        async with self._store.reading() as unit:
            return await _known(unit, await _find(unit, name))


class ChangeGroups:
    """Makes, changes and removes groups."""

    def __init__(self, *, store: Store, clock: Clock, roles: RoleBook, revocations: Revocations) -> None:
        self._store = store
        self._clock = clock
        self._doors = GroupDoors(roles=roles, revocations=revocations)

    async def create(self, names: Sequence[str], users: Sequence[str], *, asker: Principal) -> Sequence[KnownGroup]:
        """
        Add all of *names*, each with these members (contract d25 and d27).

        Raises:
            AlreadyExists: one of them exists; nothing is added then.
            InvalidRequest: no names, one that no group can have, or a user who does not exist.
        """
        if not names or len(names) > MAX_NAMES:
            raise InvalidRequest(f"Must specify 1 to {MAX_NAMES} groups to create")
        wanted = list(dict.fromkeys(check_group_name(name) for name in names))
        async with self._store.unit() as unit:
            # A group must not be made twice, or be changed by who means to make it.
            await unit.alone("new groups")
            taken, _ = await unit.groups.page(offset=0, limit=1, names=wanted)
            if taken:
                raise AlreadyExists(f"Group {taken[0].name} already exists")
            members = await _users(unit, users)
            made = [await self._add(unit, name, members) for name in wanted]
            for name in wanted:
                await self._record(unit, name, asker, did="added", users=len(members))
        log.info("groups.added", groups=wanted, users=len(members), by=asker.name)
        return made

    async def delete(self, name: str, *, asker: Principal) -> None:
        """Forget the group; its members lose what it gave them. Raises NoSuchGroup."""
        async with self._store.unit() as unit:
            group = await _find(unit, name)
            doors = await self._doors.left(unit, group, await unit.groups.members(group.id))
            await unit.groups.delete(group.id)
            await self._record(unit, name, asker, did="deleted")
        log.info("group.deleted", group=name, by=asker.name)
        await self._doors.close(doors)

    async def add_users(self, name: str, users: Sequence[str], *, asker: Principal) -> KnownGroup:
        """
        Make *users* members; who is one stays one (contract d29).

        Raises:
            NoSuchGroup: there is no such group.
            InvalidRequest: one of the users does not exist; nothing is changed then.
        """
        async with self._store.unit() as unit:
            group = await _find(unit, name)
            await unit.groups.add_members(group.id, [user.id for user in await _users(unit, users)])
            await self._record(unit, name, asker, did="users added", users=len(users))
            known = await _known(unit, group)
        log.info("group.users_added", group=name, users=len(users), by=asker.name)
        return known

    async def remove_users(self, name: str, users: Sequence[str], *, asker: Principal) -> KnownGroup:
        """
        End the membership of *users*; who is no member is let be (contract d29).

        Raises:
            NoSuchGroup: there is no such group.
            InvalidRequest: one of the users does not exist; nothing is changed then.
        """
        async with self._store.unit() as unit:
            group = await _find(unit, name)
            before = frozenset(await unit.groups.members(group.id))
            going = [user for user in await _users(unit, users) if user.name in before]
            doors = await self._doors.left(unit, group, [user.name for user in going])
            await unit.groups.remove_members(group.id, [user.id for user in going])
            await self._record(unit, name, asker, did="users removed", users=len(going))
            known = await _known(unit, group)
        log.info("group.users_removed", group=name, users=len(going), by=asker.name)
        await self._doors.close(doors)
        return known

    async def set_properties(self, name: str, properties: Mapping[str, Any], *, asker: Principal) -> KnownGroup:
        """
        Replace the properties (contract d30).

        Raises:
            NoSuchGroup: there is no such group.
            InvalidRequest: they are too long.
        """
        check_properties(properties)
        async with self._store.unit() as unit:
            # `put` would make a group that somebody has just deleted.
            await unit.alone("new groups")
            await _find(unit, name)
            known = await _known(unit, await unit.groups.put(name, properties=properties))
            await self._record(unit, name, asker, did="properties set")
        log.info("group.properties_set", group=name, by=asker.name)
        return known

    async def _record(self, unit: Unit, name: str, asker: Principal, *, did: str, users: int = 0) -> None:
        now = self._clock.now()
        await record(unit, Action.GROUP_CHANGED, at=now, by=asker, target=name, did=did, users=users)

    async def _add(self, unit: Unit, name: str, members: Sequence[User]) -> KnownGroup:
        group = await unit.groups.put(name, properties={})
        await unit.groups.add_members(group.id, [user.id for user in members])
        return KnownGroup(group=group, users=tuple(sorted(user.name for user in members)))


async def _find(unit: Unit, name: str) -> Group:
    group = await unit.groups.by_name(name)
    if group is None:
        raise NoSuchGroup(f"No such group: {name}")
    return group


async def _known(unit: Unit, group: Group) -> KnownGroup:
    return KnownGroup(group=group, users=tuple(await unit.groups.members(group.id)))


async def _users(unit: Unit, names: Sequence[str]) -> Sequence[User]:
    wanted = list(dict.fromkeys(normalise(name) for name in names))
    if len(wanted) > MAX_NAMES:
        raise InvalidRequest(f"At most {MAX_NAMES} users can be named at once")
    if not wanted:
        return ()
    found, _ = await unit.users.page(offset=0, limit=len(wanted), names=wanted)
    missing = set(wanted) - {user.name for user in found}
    if missing:
        raise InvalidRequest(f"No such user: {min(missing)}")
    return found
