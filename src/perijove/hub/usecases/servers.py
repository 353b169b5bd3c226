"""
What people ask of servers: start, stop, create, change, remove, read (contract d11 to d15).

These record what was asked; the driver does the rest.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import structlog

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import (
    AlreadyExists,
    AlreadyRunning,
    InvalidRequest,
    NoSuchServer,
    StaleGeneration,
    TooManyServers,
)
from perijove.hub.domain.lifecycle import Event, State
from perijove.hub.domain.notices import Kind, Notice
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.servers import Server, check_display_name, check_server_name, first_generation
from perijove.hub.domain.users import User
from perijove.hub.ports import Store, Unit
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.alone import alone_with
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.drive_servers import Driver
from perijove.hub.usecases.overtaken import although_overtaken
from perijove.hub.usecases.share_visits import NOBODY, visits_of_servers
from perijove.hub.usecases.sign_out import Revocations
from perijove.hub.usecases.start_breaker import StartBreaker
from perijove.kit.clock import Clock
from perijove.kit.hooks import settled

log = structlog.get_logger(__name__)

#: Longest user_options, as JSON: they are stored with every server.
MAX_OPTIONS: Final = 65_536


def _check_named(name: str, policy: ServerPolicy) -> str:
    if name and not policy.allow_named_servers:
        raise InvalidRequest("Named servers are not enabled.")
    return check_server_name(name)


def _check_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    if len(json.dumps(dict(options))) > MAX_OPTIONS:
        raise InvalidRequest(f"user_options are longer than {MAX_OPTIONS} bytes.")
    return options


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Somebody, as the administrator's callables see them."""

    name: str
    admin: bool
    #: names of their groups
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedServerAsker:
    """What `named_server_limit_per_user` is given, if it is a callable."""

    #: whose servers are counted
    current_user: Owner


async def _limit_of(store: Store, user: User, policy: ServerPolicy) -> int:
    """Most named servers of *user*; asked outside of any transaction, since the administrator's code may take time."""
    limit = policy.named_server_limit_per_user
    if not callable(limit):
        return limit
    async with store.reading() as unit:
        groups = (await unit.groups.of_users([user.id])).get(user.id, ())
    asker = NamedServerAsker(current_user=Owner(name=user.name, admin=user.admin, groups=tuple(groups)))
    return int(await settled(limit(asker)))


async def _check_room(unit: Unit, user: User, limit: int) -> None:
    if limit <= 0:
        return
    named = [row for row in await unit.servers.of_users([user.id]) if row.name]
    if len(named) >= limit:
        raise InvalidRequest(f"User {user.name} already has the maximum of {limit} named servers.")


async def _add(unit: Unit, user: User, name: str, clock: Clock, limit: int) -> Server:
    if name:
        await _check_room(unit, user, limit)
    # Whoever gives it no other name to be shown sees this one (contract d12).
    return await unit.servers.add(user_id=user.id, name=name, created=clock.now(), display_name=name)


class RefreshesFirst(Protocol):
    """Asks the sign-in method again before something is done."""

    async def before_start(self, user: User, by: Principal | None) -> None:
        """A server of *user* is to start. Raises NotAllowed."""
        ...

    async def before_stop(self, user: User, by: Principal | None) -> None:
        """A server of *user* is to stop. Raises NotAllowed."""
        ...


class StartServer:
    """Starts a server, making its row first if need be."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        driver: Driver,
        breaker: StartBreaker,
        policy: ServerPolicy,
        refresh: RefreshesFirst | None = None,
    ) -> None:
        self._refresh = refresh
        self._store = store
        self._clock = clock
        self._driver = driver
        self._breaker = breaker
        self._policy = policy

    async def __call__(
        self,
        user: User,
        name: str,
        *,
        options: Mapping[str, Any] | None = None,
        display_name: str | None = None,
        by: Principal | None = None,
    ) -> Server:
        """
        Queue a start and answer the row at once; one that is starting already is answered as it is.

        Args:
            user: whose server.
            name: "" for the default server.
            options: None keeps the ones of the last start.
            display_name: None keeps it.
            by: who asks; None: the hub itself.

        Raises:
            AlreadyRunning: it runs.
            InvalidRequest: it is stopping, or named servers are not allowed, or there are too many.
            InvalidServerName: no server can have that name.
            TooManyServers: as many run as the administrator allows.
            StartsPaused: starts like this one have failed for several people in a row.
            NotAllowed: the sign-in method no longer vouches for the user.
        """
        if self._refresh is not None:
            await self._refresh.before_start(user, by)
        _check_named(name, self._policy)
        changes: dict[str, Any] = {}
        if options is not None:
            changes["user_options"] = dict(_check_options(options))
        if display_name is not None:
            changes["display_name"] = check_display_name(display_name)
        limit = await _limit_of(self._store, user, self._policy) if name else 0
        async with self._store.unit() as unit:
            await alone_with(unit, user.name)
            server = await unit.servers.get(user.id, name)
            if server is not None and server.is_active:
                return self._as_it_is(server)
            await self._check_limit(unit)
            if server is None:
                server = await _add(unit, user, name, self._clock, limit)
            self._breaker.check(changes.get("user_options", server.user_options))
            move = await self._driver.record_in(unit, server, Event.START_ASKED, changes)
            now = self._clock.now()
            await record(unit, Action.SERVER_STARTED, at=now, by=by, target=user.name, server=name)
            unit.notify(Notice(Kind.QUEUE))
        log.debug("server.start_asked", server=move.server.key, generation=move.server.generation)
        return self._driver.carry_out(move)

    def _as_it_is(self, server: Server) -> Server:
        if server.state is State.READY:
            raise AlreadyRunning(f"{server.key} is already running")
        if server.state is State.STOPPING:
            raise InvalidRequest(f"{server.key} is pending stop")
        return server

    async def _check_limit(self, unit: Unit) -> None:
        limit = self._policy.active_server_limit
        if limit <= 0:
            return
        await unit.alone("active servers")
        if await unit.servers.count_active() >= limit:
            raise TooManyServers


class StopServer:
    """Stops a server."""

    def __init__(self, *, store: Store, clock: Clock, driver: Driver, refresh: RefreshesFirst | None = None) -> None:
        self._store = store
        self._clock = clock
        self._driver = driver
        self._refresh = refresh

    async def __call__(self, user: User, name: str, *, by: Principal | None = None) -> Server:
        """
        Ask for a stop and answer the row at once; one that does not run is answered as it is.

        *by*: who asks; None: the hub itself.

        Raises:
            NoSuchServer: there is none of that name.
            StaleGeneration: others kept changing it.
            NotAllowed: the sign-in method no longer vouches for the user.
        """
        if self._refresh is not None:
            await self._refresh.before_stop(user, by)
        return await self._ask(lambda unit: unit.servers.get(user.id, name), by=by)

    async def by_id(self, server_id: int, *, why: str) -> Server:
        """The same of the server of that id, which the hub itself wants to be stopped; *why* is for the audit log."""
        return await self._ask(lambda unit: unit.servers.by_id(server_id), why=why)

    async def _ask(
        self, find: Callable[[Unit], Awaitable[Server | None]], *, by: Principal | None = None, why: str = ""
    ) -> Server:
        # A stop is meant whatever the state.
        return await although_overtaken(lambda: self._ask_once(find, by, why))

    async def _ask_once(
        self, find: Callable[[Unit], Awaitable[Server | None]], by: Principal | None, why: str
    ) -> Server:
        async with self._store.unit() as unit:
            server = await find(unit)
            if server is None:
                raise NoSuchServer
            if server.state in (State.STOPPED, State.STOPPING):
                return server
            move = await self._driver.record_in(unit, server, Event.STOP_ASKED, {})
            await self._tell(unit, server, by, why)
        log.debug("server.stop_asked", server=server.key, generation=server.generation)
        return self._driver.carry_out(move)

    async def if_due(self, server: Server, is_due: Callable[[Server], str]) -> Server | None:
        """
        Stop *server* if *is_due* still says so when nobody else can change the row; None if it is not.

        Args:
            server: as it was when it was found.
            is_due: what to tell its user, a sentence; empty: it is not due.
        """
        try:
            async with self._store.unit() as unit:
                row = await unit.servers.by_id(server.id)
                if row is None or row.generation != server.generation or row.state is not State.READY:
                    return None
                sentence = is_due(row)
                if not sentence:
                    return None
                move = await self._driver.record_in(unit, row, Event.STOP_ASKED, {"stop_reason": sentence})
                await self._tell(unit, row, None, sentence)
        except StaleGeneration:
            # Another hub was quicker.
            return None
        return self._driver.carry_out(move)

    async def _tell(self, unit: Unit, server: Server, by: Principal | None, why: str) -> None:
        reason = {"why": why} if why else {}
        now = self._clock.now()
        await record(unit, Action.SERVER_STOPPED, at=now, by=by, target=server.user_name, server=server.name, **reason)

    async def gone(self, server: Server, *, timeout: float) -> Server:
        """*server* once it is gone, or as it is after *timeout* seconds."""
        return await self._driver.settled(server.id, timeout)

    async def and_wait(self, user: User, name: str, *, timeout: float, by: Principal | None = None) -> Server:
        """Stop it and wait until it is gone, at most *timeout* seconds; the answer tells whether it is."""
        server = await self(user, name, by=by)
        return server if server.state is State.STOPPED else await self._driver.settled(server.id, timeout)


class CreateServer:
    """Makes a named server's row without starting it."""

    def __init__(self, *, store: Store, clock: Clock, policy: ServerPolicy) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy

    async def __call__(
        self, user: User, name: str, *, display_name: str = "", options: Mapping[str, Any] | None = None
    ) -> Server:
        """
        The new row (contract d12).

        Raises:
            AlreadyExists: there is one; the default server always counts as there.
            InvalidRequest: named servers are not allowed, or there are too many.
            InvalidServerName: no server can have that name.
        """
        if not name:
            raise AlreadyExists(f"{user.name} already has a default server")
        _check_named(name, self._policy)
        shown = check_display_name(display_name) or name
        kept = dict(_check_options(options or {}))
        limit = await _limit_of(self._store, user, self._policy)
        async with self._store.unit() as unit:
            await alone_with(unit, user.name)
            if await unit.servers.get(user.id, name) is not None:
                raise AlreadyExists(f"{user.name} already has a server {name!r}")
            row = await _add(unit, user, name, self._clock, limit)
            return await unit.servers.swap(row, replace(row, display_name=shown, user_options=kept))


class ChangeServer:
    """Changes what a stopped server is called and what it is started with."""

    def __init__(self, *, store: Store, clock: Clock, policy: ServerPolicy, revocations: Revocations) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._revocations = revocations

    async def __call__(
        self,
        user: User,
        name: str,
        *,
        new_name: str | None = None,
        display_name: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Server:
        """
        Change what is given (contract d14). The default server may be renamed, and is then made anew when needed.

        Raises:
            NoSuchServer: there is none of that name.
            AlreadyExists: there is one of the new name; the default server always counts as there.
            InvalidRequest: it is not stopped, named servers are not allowed, or there are too many.
            InvalidServerName: no server can have the new name.
        """
        changes: dict[str, Any] = {}
        if options is not None:
            changes["user_options"] = dict(_check_options(options))
        if display_name is not None:
            changes["display_name"] = check_display_name(display_name)
        if new_name:
            _check_named(new_name, self._policy)
        # Only the default server's new name is one more.
        limit = await _limit_of(self._store, user, self._policy) if new_name and not name else 0
        async with self._store.unit() as unit:
            await alone_with(unit, user.name)
            server = await unit.servers.get(user.id, name)
            if server is None:
                raise NoSuchServer(f"User {user.name} has no such server {name!r}")
            if server.is_active:
                raise InvalidRequest(f"{server.key} is active. Please stop it before modifying it.")
            visits = NOBODY
            if new_name is not None:
                # Statements name servers: those for this one must not open the next of that name.
                visits = await visits_of_servers(unit, [server.id])
                changes |= await self._renaming(unit, server, new_name, display_name)
                await _check_room(unit, user, limit)
            changed = await unit.servers.swap(server, replace(server, **changes))
        log.info("server.changed", server=server.key, new_name=changed.name)
        await self._revocations.revoke_visits(visits)
        return changed

    async def _renaming(self, unit: Unit, server: Server, new_name: str, display_name: str | None) -> dict[str, Any]:
        if not new_name or await unit.servers.get(server.user_id, new_name) is not None:
            raise AlreadyExists(f"User {server.user_name} already has server {new_name!r}")
        await unit.tokens.delete_of_server(server.key)
        shown = {"display_name": new_name} if display_name is None and server.display_name == server.name else {}
        # Whoever guards against old generations of the new name must not take this one for them.
        newest = max(server.generation, first_generation(self._clock.now()))
        return {"name": new_name, "generation": newest, **shown}


class RemoveServer:
    """Forgets a stopped named server."""

    def __init__(self, *, store: Store, revocations: Revocations) -> None:
        self._store = store
        self._revocations = revocations

    async def __call__(self, user: User, name: str) -> None:
        """
        Forget it (contract d15, `remove`).

        Raises:
            InvalidRequest: it is the default server, or it is not stopped.
            NoSuchServer: there is none of that name.
        """
        if not name:
            raise InvalidRequest("Cannot delete the default server")
        async with self._store.unit() as unit:
            await alone_with(unit, user.name)
            server = await unit.servers.get(user.id, name)
            if server is None:
                raise NoSuchServer
            if server.is_active:
                raise InvalidRequest(f"{server.key} is not stopped yet")
            visits = await visits_of_servers(unit, [server.id])
            await unit.servers.delete(server.id)
        log.info("server.removed", server=server.key)
        # Statements name servers: those for this one must not open the next of that name.
        await self._revocations.revoke_visits(visits)


class GetServer:
    """Reads one server."""

    def __init__(self, *, store: Store, activity: Activity) -> None:
        self._store = store
        self._activity = activity

    async def __call__(self, user: User, name: str) -> Server:
        """A server of *user*, active or not. Raises NoSuchServer."""
        async with self._store.reading() as unit:
            server = await unit.servers.get(user.id, name)
        if server is None:
            raise NoSuchServer
        return self._activity.fresh_server(server)
