"""
What the sign-in method says of somebody, written down: their user, whether they administrate, which groups they are in
and what roles they have, what others see of them, what is to be remembered.

At sign-in, and whenever the method is asked again (`refresh_users.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.groups import check_group_name
from perijove.hub.domain.principals import themselves
from perijove.hub.domain.users import Person, User
from perijove.hub.ports import Authenticated, SignInMethod, Store, Unit
from perijove.hub.usecases.alone import alone_with
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.hub.usecases.dictated_roles import dictated
from perijove.hub.usecases.group_doors import Doors, GroupDoors
from perijove.hub.usecases.load_roles import RoleBook
from perijove.kit.clock import Clock

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """The user as they are now."""

    user: User
    #: whether what they may do is another thing than before
    has_changed: bool = False
    #: whom `Vouched.close` refuses, once the unit is committed
    doors: Doors = field(default_factory=Doors)


class Vouched:
    """Writes it down."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        method: SignInMethod,
        auth_states: AuthStateBook,
        doors: GroupDoors,
        roles: RoleBook,
        admin_users: frozenset[str] = frozenset(),
    ) -> None:
        self._store = store
        self._clock = clock
        self._method = method
        self._auth_states = auth_states
        self._doors = doors
        self._roles = roles
        self._admin_users = admin_users

    async def settled(self, person: Authenticated) -> Authenticated:
        """*person* with the state that is to be kept of them: to be asked before the unit, for it may take its time."""
        if not self._auth_states.is_enabled:
            return person
        async with self._store.reading() as unit:
            user = await unit.users.by_name(person.name)
        before = None if user is None else await self._auth_states.get(user)
        return replace(person, auth_state=await self._method.state_to_keep(person, before))

    async def arrived(self, unit: Unit, person: Authenticated, address: str) -> Adopted:
        """Somebody who signs in; the first time makes the user's row."""
        user, is_new = await self._row_of(unit, person, address)
        await self._auth_states.put_in(unit, user, person.auth_state)
        adopted = await self._adopt(unit, user, person)
        # Nobody can be inside yet: they would only wait for their own revocation to pass.
        return replace(adopted, doors=Doors()) if is_new else adopted

    async def renewed(self, unit: Unit, user: User, person: Authenticated) -> Adopted:
        """Somebody about whom the method was asked again: what it does not mention stays as it is."""
        if person.auth_state is not None:
            await self._auth_states.put_in(unit, user, person.auth_state)
        return await self._adopt(unit, user, person)

    async def close(self, adopted: Adopted) -> None:
        """Shut the doors behind what they have lost, after the unit."""
        await self._doors.close(adopted.doors)

    async def _adopt(self, unit: Unit, user: User, person: Authenticated) -> Adopted:
        admin = True if user.name in self._admin_users else person.admin
        is_other = admin is not None and admin != user.admin
        if admin is not None and is_other:
            await unit.users.set_admin(user.id, admin=admin)
            # The configuration or the sign-in method says so, not the person.
            await record(unit, Action.USER_CHANGED, at=self._clock.now(), by=None, target=user.name, admin=admin)
            user = replace(user, admin=admin)
        if person.user_info is not None and person.user_info != user.user_info:
            await unit.users.set_user_info(user.id, person.user_info)
            user = replace(user, user_info=person.user_info)
        before, user = user, await self._empower(unit, user, person.roles)
        doors, moved = await self._move(unit, user, person.groups)
        other_roles = before.managed_roles != user.managed_roles
        if other_roles and self._scopes(before) - self._scopes(user):
            doors |= Doors(users=frozenset({user.name}))
        return Adopted(user=user, has_changed=is_other or moved or other_roles, doors=doors)

    def _scopes(self, user: User) -> frozenset[str]:
        """What *user* may do by roles of their own."""
        return self._roles.scopes_of_person(Person(user=user))

    async def _empower(self, unit: Unit, user: User, told: Sequence[Any] | None) -> User:
        """Have *user* hold exactly these roles; None leaves them theirs."""
        if told is None:
            return user
        given = dictated(self._roles, told, user.name)
        if given == user.managed_roles:
            return user
        await unit.users.set_managed_roles(user.id, given)
        names = [role.name for role in given]
        await record(unit, Action.USER_CHANGED, at=self._clock.now(), by=None, target=user.name, roles=names)
        return replace(user, managed_roles=given)

    async def _move(self, unit: Unit, user: User, names: tuple[str, ...] | None) -> tuple[Doors, bool]:
        """Have *user* be in exactly these groups; None leaves them where they are."""
        if names is None:
            return Doors(), False
        wanted = {name for name in names if _is_name(name, user)}
        have = set((await unit.groups.of_users([user.id])).get(user.id, ()))
        doors = Doors()
        for name in sorted(have - wanted):
            group = await unit.groups.by_name(name)
            if group is not None:
                doors |= await self._doors.left(unit, group, [user.name])
                await unit.groups.remove_members(group.id, [user.id])
                await self._tell(unit, name, "users removed")
        for name in sorted(wanted - have):
            await unit.alone("new groups")
            group = await unit.groups.by_name(name) or await unit.groups.put(name, properties={})
            await unit.groups.add_members(group.id, [user.id])
            await self._tell(unit, name, "users added")
        return doors, have != wanted

    async def _tell(self, unit: Unit, group: str, did: str) -> None:
        await record(unit, Action.GROUP_CHANGED, at=self._clock.now(), by=None, target=group, did=did, users=1)

    async def _row_of(self, unit: Unit, person: Authenticated, address: str) -> tuple[User, bool]:
        """Their row, and whether it was made for this."""
        user = await unit.users.by_name(person.name)
        if user is None:
            # Two browsers may come with the same new name at once.
            await alone_with(unit, person.name)
            user = await unit.users.by_name(person.name)
        if user is not None:
            return user, False
        admin = bool(person.name in self._admin_users or person.admin)
        log.info("user.added", user=person.name, admin=admin, by="sign-in")
        now = self._clock.now()
        user = await unit.users.add(name=person.name, admin=admin, created=now, display_name=person.display_name)
        told = themselves(user, address)
        await record(unit, Action.USER_ADDED, at=now, by=told, target=user.name, how="sign-in", admin=user.admin)
        return user, True


def _is_name(name: str, user: User) -> bool:
    try:
        check_group_name(name)
    except InvalidRequest:
        log.warning("authenticator.bad_group", group=name[:100], user=user.name)
        return False
    return True
