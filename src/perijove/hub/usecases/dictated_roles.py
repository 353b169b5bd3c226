"""
Roles that the sign-in method gives people (contract j, `manage_roles`): read when somebody signs in, and settled when
the hub starts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.managed_roles import MAX_LENGTH, MAX_ROLES, ManagedRole, settled, to_stored
from perijove.hub.domain.role_declarations import USER, read_dictated
from perijove.hub.ports import Store
from perijove.hub.scopes.errors import BadScope
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.load_roles import RoleBook
from perijove.hub.usecases.sign_out import Revocations
from perijove.kit.clock import Clock

log = structlog.get_logger(__name__)

#: people who are looked at in one transaction
_BATCH: Final = 500
#: who has a role is said by `load_managed_roles`; at a sign-in it is said of one person
_MEMBERS: Final = frozenset({"users", "groups", "services"})


def dictated(book: RoleBook, told: Sequence[Any], user: str) -> tuple[ManagedRole, ...]:
    """What of *told* can be given to *user*: a role that is wrong is none, and the log names it."""
    given: dict[str, ManagedRole] = {}
    length = 0
    for item in told[:MAX_ROLES]:
        name = str(item.get("name", ""))[:256] if isinstance(item, Mapping) else ""
        try:
            role = _read(book, item)
            length = _with(length, role)
        except InvalidRequest as exc:
            log.error("authenticator.bad_role", role=name, user=user, why=exc.message)  # noqa: TRY400  # not our mistake
            continue
        if not _MEMBERS.isdisjoint(item):
            log.warning("authenticator.role_members_ignored", role=name, user=user, hint="load_managed_roles says them")
        given[role.name] = role
    if len(told) > MAX_ROLES:
        log.error("authenticator.too_many_roles", user=user, roles=len(told), kept=MAX_ROLES)
    return tuple(given[name] for name in sorted(given))


def _read(book: RoleBook, item: Any) -> ManagedRole:
    role = read_dictated(item, known=book.names)
    if role.scopes is None:
        return role
    try:
        book.custom.check(role.scopes)
    except BadScope as exc:
        raise InvalidRequest(str(exc)) from exc
    if not book.is_fixed(role.name):
        return role
    if set(role.scopes) != set(book.scopes_of_role(role.name)):
        log.warning("authenticator.role_is_declared", role=role.name, hint="the configuration says what it allows")
    return ManagedRole(name=role.name)


def _with(length: int, role: ManagedRole) -> int:
    longer = length + len(json.dumps(to_stored([role])))
    if longer > MAX_LENGTH:
        raise InvalidRequest(f"All roles of somebody together may be {MAX_LENGTH} characters long.")
    return longer


async def settle_roles(*, store: Store, book: RoleBook, clock: Clock, revocations: Revocations, reset: bool) -> None:
    """Have what was said at sign-ins agree with what the method declares now; *reset*: forget what it does not."""
    if not book.is_managed:
        return
    after, lost = 0, []
    while True:
        async with store.unit() as unit:
            page = await unit.users.with_managed_roles(after=after, limit=_BATCH)
            for user in page:
                said = user.managed_roles or ()
                now = settled(said, user.name, book.loaded, frozenset({USER}) if reset else None)
                if set(now) == set(said):
                    continue
                lost += [user.name]
                await unit.users.set_managed_roles(user.id, now)
                names = [role.name for role in now]
                await record(unit, Action.USER_CHANGED, at=clock.now(), by=None, target=user.name, roles=names)
        if len(page) < _BATCH:
            break
        after = page[-1].id
    if lost:
        log.info("roles.settled", users=len(lost))
    for name in lost:
        await revocations.revoke(user=name)
