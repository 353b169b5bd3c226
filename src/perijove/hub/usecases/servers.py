"""
What people ask of servers: start, stop, create, remove, read (contract d11 to d15).

These record what was asked; the driver does the rest.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

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
from perijove.hub.domain.servers import Server, check_display_name, check_server_name
from perijove.hub.domain.users import User
from perijove.hub.ports import Store, Unit
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.alone import alone_with
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.drive_servers import Driver
from perijove.hub.usecases.overtaken import although_overtaken
from perijove.hub.usecases.share_visits import visits_of_servers
from perijove.hub.usecases.sign_out import Revocations
from perijove.hub.usecases.start_breaker import StartBreaker
from perijove.kit.clock import Clock

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


async def _add(unit: Unit, user: User, name: str, clock: Clock, policy: ServerPolicy) -> Server:
    limit = policy.named_server_limit_per_user
    if name and limit > 0:
        named = [row for row in await unit.servers.of_users([user.id]) if row.name]
        if len(named) >= limit:
            raise InvalidRequest(f"User {user.name} already has the maximum of {limit} named servers.")
    return await unit.servers.add(user_id=user.id, name=name, created=clock.now())


class StartServer:
    """Starts a server, making its row first if need be."""

    def __init__(
        self, *, store: Store, clock: Clock, driver: Driver, breaker: StartBreaker, policy: ServerPolicy
    ) -> None:
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
        """
        _check_named(name, self._policy)
        changes: dict[str, Any] = {}
        if options is not None:
            changes["user_options"] = dict(_check_options(options))
        if display_name is not None:
            changes["display_name"] = check_display_name(display_name)
        async with self._store.unit() as unit:
            await alone_with(unit, user.name)
            server = await unit.servers.get(user.id, name)
            if server is not None and server.is_active:
                return self._as_it_is(server)
            await self._check_limit(unit)
            if server is None:
                server = await _add(unit, user, name, self._clock, self._policy)
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

    def __init__(self, *, store: Store, clock: Clock, driver: Driver) -> None:
        self._store = store
        self._clock = clock
        self._driver = driver

    async def __call__(self, user: User, name: str, *, by: Principal | None = None) -> Server:
        """
        Ask for a stop and answer the row at once; one that does not run is answered as it is.

        *by*: who asks; None: the hub itself.

        Raises:
            NoSuchServer: there is none of that name.
            StaleGeneration: others kept changing it.
        """
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
        shown = check_display_name(display_name)
        kept = dict(_check_options(options or {}))
        async with self._store.unit() as unit:
            await alone_with(unit, user.name)
            if await unit.servers.get(user.id, name) is not None:
                raise AlreadyExists(f"{user.name} already has a server {name!r}")
            row = await _add(unit, user, name, self._clock, self._policy)
            return await unit.servers.swap(row, replace(row, display_name=shown, user_options=kept))


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
