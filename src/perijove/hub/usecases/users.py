"""
Users as an administrator or a program sees them: create, read, list, change, delete (contract d4 to d9).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from perijove.hub.domain.accounts import AccountState, retired
from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import AlreadyExists, InvalidRequest, NoSuchUser, NotAllowed
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User, check, normalise
from perijove.hub.ports import Store, Unit
from perijove.hub.rows import UserActivity, UserSort
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.alone import alone_with
from perijove.hub.usecases.audit import RENAMED_FROM, record
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.hub.usecases.groups import GroupBook
from perijove.hub.usecases.servers import StopServer
from perijove.hub.usecases.share_visits import NOBODY, Visits, visits_of_servers
from perijove.hub.usecases.sign_out import Revocations
from perijove.kit.clock import Clock

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownUser:
    """A user with all of their servers, stopped ones too."""

    user: User
    servers: tuple[Server, ...] = ()
    #: names of their groups, in order
    groups: tuple[str, ...] = ()


class CreateUsers:
    """Adds users who need not have signed in yet."""

    def __init__(self, *, store: Store, clock: Clock, groups: GroupBook | None = None) -> None:
        self._store = store
        self._clock = clock
        self._groups = groups or GroupBook()

    async def __call__(self, names: Sequence[str], *, admin: bool, asker: Principal) -> Sequence[User]:
        """
        Add all of *names* that are new (contract d5).

        Raises:
            InvalidRequest: no names.
            InvalidName: one of them can be nobody's; nobody is added then.
            AlreadyExists: all of them exist.
            NotAllowed: *asker* would make administrators without being one.
        """
        if not names:
            raise InvalidRequest("Must specify at least one user to create")
        wanted = list(dict.fromkeys(check(normalise(name)) for name in names))
        _refuse_raising(asker, admin=admin)
        try:
            return await self._add_new(wanted, admin=admin, asker=asker)
        except AlreadyExists:
            # Somebody may have added one of them between the look and the adding: look again.
            return await self._add_new(wanted, admin=admin, asker=asker)

    async def _add_new(self, wanted: Sequence[str], *, admin: bool, asker: Principal) -> Sequence[User]:
        async with self._store.unit() as unit:
            # Two lists with the same names in another order would wait for each other for ever.
            await unit.alone("lists of new users")
            new = [name for name in wanted if await unit.users.by_name(name) is None]
            if not new:
                raise AlreadyExists(f"All {len(wanted)} users already exist")
            return [await self._add(unit, name, admin=admin, asker=asker) for name in new]

    async def one(self, name: str, *, admin: bool, asker: Principal) -> User:
        """
        Add one user (contract d7).

        Raises:
            InvalidName: *name* can be nobody's.
            AlreadyExists: there is one.
            NotAllowed: *asker* would make an administrator without being one.
        """
        wanted = check(normalise(name))
        _refuse_raising(asker, admin=admin)
        async with self._store.unit() as unit:
            await alone_with(unit, wanted)
            if await unit.users.by_name(wanted) is not None:
                raise AlreadyExists(f"User {wanted} already exists")
            return await self._add(unit, wanted, admin=admin, asker=asker)

    async def _add(self, unit: Unit, name: str, *, admin: bool, asker: Principal) -> User:
        log.info("user.added", user=name, admin=admin, by=asker.name)
        now = self._clock.now()
        user = await unit.users.add(name=name, admin=admin, created=now)
        await self._groups.join(unit, user)
        await record(unit, Action.USER_ADDED, at=now, by=asker, target=user.name, how="added", admin=admin)
        return user


def _refuse_raising(asker: Principal, *, admin: bool) -> None:
    if admin and not asker.admin:
        raise NotAllowed("Only administrators may make administrators.")


class GetUser:
    """Reads one user."""

    def __init__(self, *, store: Store, activity: Activity) -> None:
        self._store = store
        self._activity = activity

    async def __call__(self, name: str) -> User:
        """The user of that name. Raises NoSuchUser."""
        async with self._store.reading() as unit:
            user = await unit.users.by_name(name)
        if user is None:
            raise NoSuchUser
        return self._activity.fresh_user(user)

    async def known(self, name: str) -> KnownUser:
        """With all servers. Raises NoSuchUser."""
        async with self._store.reading() as unit:
            user = await unit.users.by_name(name)
            if user is None:
                raise NoSuchUser
            servers = await unit.servers.of_users([user.id])
            groups = await unit.groups.of_users([user.id])
        return self._known(user, servers, groups.get(user.id, ()))

    async def known_of(self, user: User, groups: tuple[str, ...]) -> KnownUser:
        """*user*, whose row and groups were just read, with all servers."""
        async with self._store.reading() as unit:
            servers = await unit.servers.of_users([user.id])
        return self._known(user, servers, groups)

    def _known(self, user: User, servers: Sequence[Server], groups: Sequence[str]) -> KnownUser:
        return KnownUser(
            user=self._activity.fresh_user(user),
            servers=tuple(self._activity.fresh_server(row) for row in servers),
            groups=tuple(groups),
        )


class ListUsers:
    """Reads users page by page."""

    def __init__(self, *, store: Store, activity: Activity) -> None:
        self._store = store
        self._activity = activity

    async def __call__(
        self,
        *,
        offset: int,
        limit: int,
        sort: UserSort = "id",
        name_filter: str = "",
        names: Iterable[str] | None = None,
        state: UserActivity | None = None,
    ) -> tuple[Sequence[KnownUser], int]:
        """One page with all servers, and how many there are in total. *names* restricts to what the asker may see."""
        async with self._store.reading() as unit:
            users, total = await unit.users.page(
                offset=offset, limit=limit, sort=sort, name_filter=name_filter, names=names, state=state
            )
            servers = await unit.servers.of_users([user.id for user in users]) if users else ()
            groups = await unit.groups.of_users([user.id for user in users]) if users else {}
        of: dict[int, list[Server]] = {}
        for server in servers:
            of.setdefault(server.user_id, []).append(self._activity.fresh_server(server))
        page = [
            KnownUser(
                user=self._activity.fresh_user(user),
                servers=tuple(of.get(user.id, ())),
                groups=tuple(groups.get(user.id, ())),
            )
            for user in users
        ]
        return page, total


class DeleteUser:
    """Removes a user with everything that the hub keeps about them; files on disk stay."""

    def __init__(
        self, *, store: Store, clock: Clock, stop_server: StopServer, revocations: Revocations, stop_timeout: float
    ) -> None:
        self._store = store
        self._clock = clock
        self._stop_server = stop_server
        self._revocations = revocations
        self._stop_timeout = stop_timeout

    async def __call__(self, name: str, asker: Principal) -> None:
        """
        Stop all servers of *name*, then forget them (contract d9).

        Raises:
            NoSuchUser: nobody has that name.
            InvalidRequest: it is the asker's own, or a server does not stop in time.
            NotAllowed: it is an administrator's and *asker* is none.
        """
        if asker.kind is Kind.USER and asker.name == name:
            raise InvalidRequest("Cannot delete yourself!")
        async with self._store.unit() as unit:
            user = await unit.users.by_name(name)
            servers = await unit.servers.of_users([user.id]) if user is not None else ()
        if user is None:
            raise NoSuchUser
        _refuse_touching(asker, user)
        for server in servers:
            stopped = await self._stop_server.and_wait(user, server.name, timeout=self._stop_timeout, by=asker)
            if stopped.state is not State.STOPPED:
                raise InvalidRequest(f"{name}'s server is still stopping: try again in a moment.")
        async with self._store.unit() as unit:
            await alone_with(unit, user.name)
            if any(server.is_active for server in await unit.servers.of_users([user.id])):
                raise InvalidRequest(f"{name}'s server has been started in the meantime.")
            visits = await _visits(unit, user)
            await unit.users.delete(user.id)
            await unit.accounts.put(retired(user.name, created=user.created))
            await record(unit, Action.USER_DELETED, at=self._clock.now(), by=asker, target=user.name)
        log.info("user.deleted", user=name, by=asker.name)
        await self._revocations.revoke(user=name)
        await self._revocations.revoke_visits(visits)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthStateChange:
    """That a user's auth state is to be replaced; None forgets it."""

    state: Mapping[str, Any] | None = field(repr=False)


class PatchUser:
    """Changes a user's name, whether they are an administrator, and what their sign-in method remembers."""

    def __init__(self, *, store: Store, clock: Clock, revocations: Revocations, auth_states: AuthStateBook) -> None:
        self._store = store
        self._clock = clock
        self._auth_states = auth_states
        self._revocations = revocations

    async def __call__(
        self,
        name: str,
        asker: Principal,
        *,
        new_name: str | None = None,
        admin: bool | None = None,
        auth_state: AuthStateChange | None = None,
    ) -> User:
        """
        Change what is given (contract d8).

        Raises:
            NoSuchUser: nobody has that name.
            NotAllowed: *asker* is no administrator and touches one, or would make one.
            InvalidName: *new_name* can be nobody's.
            InvalidRequest: *new_name* is taken, or a server of theirs runs; or no auth states are kept here.
        """
        if auth_state is not None:
            self._auth_states.check(auth_state.state)
        _refuse_raising(asker, admin=bool(admin))
        visits = NOBODY
        async with self._store.unit() as unit:
            await alone_with(unit, name, normalise(new_name or name))
            user = await unit.users.by_name(name)
            if user is None:
                raise NoSuchUser
            _refuse_touching(asker, user)
            if new_name is not None and new_name != name:
                visits = await _visits(unit, user)
                user = await self._rename(unit, user, check(normalise(new_name)))
                await self._tell_of_name(unit, asker, name, user.name)
            if admin is not None and admin != user.admin:
                await unit.users.set_admin(user.id, admin=admin)
                user = replace(user, admin=admin)
                now = self._clock.now()
                await record(unit, Action.USER_CHANGED, at=now, by=asker, target=user.name, admin=admin)
            if auth_state is not None:
                await self._auth_states.put_in(unit, user, auth_state.state)
                now = self._clock.now()
                await record(unit, Action.USER_CHANGED, at=now, by=asker, target=user.name, auth_state="changed")
        log.info("user.changed", user=name, new_name=user.name, admin=user.admin, by=asker.name)
        if user.name != name or admin is False:
            # Who may do more than before need not come in anew.
            await self._revocations.revoke(user=name)
        await self._revocations.revoke_visits(visits)
        return user

    async def _tell_of_name(self, unit: Unit, asker: Principal, old: str, new: str) -> None:
        # Two: whoever gets one of the names later must not see what was done under it before (`AuditLog`).
        now = self._clock.now()
        await record(unit, Action.USER_CHANGED, at=now, by=asker, target=old, renamed_to=new)
        await record(unit, Action.USER_CHANGED, at=now, by=asker, target=new, **{RENAMED_FROM: old})

    async def _rename(self, unit: Unit, user: User, name: str) -> User:
        # A server's key, directory and environment have the name in them: it must not run meanwhile.
        if any(server.is_active for server in await unit.servers.of_users([user.id])):
            raise InvalidRequest(f"Stop the servers of {user.name} before renaming them.")
        account = await unit.accounts.get(name)
        has_account = account is not None and account.state is not AccountState.RETIRED
        if await unit.users.by_name(name) is not None or has_account:
            raise InvalidRequest(f"User {name} already exists, username must be unique")
        await unit.accounts.delete(name)
        await unit.users.rename(user.id, name)
        await unit.accounts.rename(user.name, name)
        await unit.accounts.put(retired(user.name, created=user.created))
        return replace(user, name=name)


async def _visits(unit: Unit, owner: User) -> Visits:
    """Whom *owner*'s shares let in: statements name servers, and a name can be another's later."""
    return await visits_of_servers(unit, [server.id for server in await unit.servers.of_users([owner.id])])


def _refuse_touching(asker: Principal, user: User) -> None:
    if user.admin and not asker.admin:
        raise NotAllowed("Only administrators may change administrators.")
