"""
The store in memory: for tests and for trying things out. Passes the same contract suite as `sql.py`.

A unit works on a copy of the tables, which replaces them when it ends well: that is commit and rollback.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from perijove.hub.domain.accounts import Account, AccountState, Invitation
from perijove.hub.domain.errors import AlreadyExists, StaleGeneration
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.managed_roles import ManagedRole, to_stored
from perijove.hub.domain.notices import Notice
from perijove.hub.domain.queue import Entry
from perijove.hub.domain.servers import Server, first_generation
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.tokens import ApiToken
from perijove.hub.domain.users import Person, User
from perijove.hub.ports import Unit
from perijove.hub.rows import UserActivity, UserSort
from perijove.hub.store.memory_permissions import (
    MemoryAudit,
    MemoryAuthStates,
    MemoryOAuthCodes,
    MemoryRuntimeServices,
    MemoryShareCodes,
    MemoryShares,
)
from perijove.hub.store.memory_shared import MemoryAttempts, MemoryFacts, MemoryGroups, MemoryHubs
from perijove.hub.store.memory_tables import Tables, drop, later
from perijove.hub.store.notices import Board


class MemoryStore:
    """`hub.ports.Store` without a database."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._lock = asyncio.Lock()
        self._board = Board()

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """A transaction; one at a time."""
        async with self._lock:
            tables = self._tables.copy()
            unit = MemoryUnit(tables)
            yield unit
            self._tables = tables
        self._board.post(unit.told)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Unit]:
        """What was committed last; whatever is changed here is forgotten."""
        yield MemoryUnit(self._tables.copy())

    def notices(self) -> AsyncGenerator[Notice, None]:
        """What units tell from now on."""
        return self._board.read()

    async def ping(self) -> None:
        """Memory is always there."""


class MemoryUnit:
    """One transaction."""

    def __init__(self, tables: Tables) -> None:
        self.users = MemoryUsers(tables)
        self.servers = MemoryServers(tables)
        self.sessions = MemorySessions(tables)
        self.tokens = MemoryTokens(tables)
        self.accounts = MemoryAccounts(tables)
        self.groups = MemoryGroups(tables)
        self.hubs = MemoryHubs(tables)
        self.attempts = MemoryAttempts(tables)
        self.facts = MemoryFacts(tables)
        self.shares = MemoryShares(tables)
        self.share_codes = MemoryShareCodes(tables)
        self.oauth_codes = MemoryOAuthCodes(tables)
        self.services = MemoryRuntimeServices(tables)
        self.auth_states = MemoryAuthStates(tables)
        self.audit = MemoryAudit(tables)
        #: to be told after the commit
        self.told: list[Notice] = []
        self._tables = tables

    async def alone(self, what: str) -> None:
        """Every unit is alone here."""

    def notify(self, notice: Notice) -> None:
        """Tell it after the commit."""
        self.told.append(notice)

    async def newest(self) -> datetime | None:
        """The latest time at which anything is recorded to have happened."""
        tables = self._tables
        times = [row.created for row in tables.users.values()]
        times += [row.created for row in tables.tokens.values()]
        times += [row.last_activity for row in tables.users.values() if row.last_activity is not None]
        times += [row.last_seen for row in tables.sessions.values()]
        return max(times, default=None)


class MemoryUsers:
    """Rows of users."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def by_name(self, name: str) -> User | None:
        """The user of that name."""
        return next((user for user in self._tables.users.values() if user.name == name), None)

    async def by_id(self, user_id: int) -> User | None:
        """The user of that id."""
        return self._tables.users.get(user_id)

    async def person(self, user_id: int) -> Person | None:
        """With groups and what others share with them."""
        return self._tables.person(user_id) if user_id in self._tables.users else None

    async def page(
        self,
        *,
        offset: int,
        limit: int,
        sort: UserSort = "id",
        name_filter: str = "",
        names: Iterable[str] | None = None,
        state: UserActivity | None = None,
    ) -> tuple[Sequence[User], int]:
        """One page and the total."""
        wanted = None if names is None else frozenset(names)
        found = [
            user
            for user in self._tables.users.values()
            if (wanted is None or user.name in wanted)
            and name_filter.lower() in user.name.lower()
            and self._is_in(user, state)
        ]
        found.sort(key=lambda user: user.id)
        found.sort(key=_SORT_KEYS[sort.removeprefix("-")], reverse=sort.startswith("-"))
        return found[offset : offset + limit], len(found)

    def _is_in(self, user: User, state: UserActivity | None) -> bool:
        mine = [server for server in self._tables.servers.values() if server.user_id == user.id]
        if state == "ready":
            return any(server.is_ready for server in mine)
        active = any(server.is_active for server in mine)
        return state is None or active == (state == "active")

    async def add(self, *, name: str, admin: bool, created: datetime, display_name: str = "") -> User:
        """Raises AlreadyExists."""
        if await self.by_name(name) is not None:
            raise AlreadyExists(f"There is a user {name!r} already.")
        user = User(id=self._tables.next_id(), name=name, admin=admin, created=created, display_name=display_name)
        self._tables.users[user.id] = user
        return user

    async def set_admin(self, user_id: int, *, admin: bool) -> None:
        """Make somebody an administrator, or no longer one."""
        self._tables.users[user_id] = replace(self._tables.users[user_id], admin=admin)

    async def set_user_info(self, user_id: int, told: Mapping[str, Any]) -> None:
        """Replace what others see of somebody."""
        self._tables.users[user_id] = replace(self._tables.users[user_id], user_info=dict(told))

    async def set_managed_roles(self, user_id: int, roles: Sequence[ManagedRole]) -> None:
        """Replace the roles that the sign-in method gave somebody."""
        self._tables.users[user_id] = replace(self._tables.users[user_id], managed_roles=tuple(roles))

    async def with_managed_roles(self, *, after: int, limit: int, mentioning: str = "") -> Sequence[User]:
        """Whoever was given roles by the sign-in method."""
        found = [
            user
            for _, user in sorted(self._tables.users.items())
            if user.id > after
            and user.managed_roles is not None
            and mentioning in json.dumps(to_stored(user.managed_roles), ensure_ascii=False)
        ]
        return found[:limit]

    async def rename(self, user_id: int, name: str) -> None:
        """Raises AlreadyExists."""
        other = await self.by_name(name)
        if other is not None and other.id != user_id:
            raise AlreadyExists(f"There is a user {name!r} already.")
        self._tables.users[user_id] = replace(self._tables.users[user_id], name=name)
        for server in [server for server in self._tables.servers.values() if server.user_id == user_id]:
            self._tables.servers[server.id] = replace(server, user_name=name)

    async def delete(self, user_id: int) -> None:
        """With sessions, tokens, servers and account."""
        user = self._tables.users.pop(user_id, None)
        if user is None:
            return
        self._tables.accounts.pop(user.name, None)
        drop(self._tables.sessions, lambda row: row.user_id == user_id)
        drop(self._tables.tokens, lambda row: row.user_id == user_id)
        for server_id in [row.id for row in self._tables.servers.values() if row.user_id == user_id]:
            self._tables.drop_server(server_id)
        drop(self._tables.shares, lambda row: row.user_id == user_id)
        drop(self._tables.oauth_codes, lambda code: code.user_id == user_id)
        self._tables.auth_states.pop(user_id, None)
        for group_id, members in self._tables.members.items():
            self._tables.members[group_id] = members - {user_id}

    async def has_admin(self) -> bool:
        """Whether there is any administrator."""
        return any(user.admin for user in self._tables.users.values())

    async def touch(self, seen: Mapping[str, datetime]) -> None:
        """Raise `last_activity` of the named users."""
        for user in [user for user in self._tables.users.values() if user.name in seen]:
            self._tables.users[user.id] = replace(user, last_activity=later(user.last_activity, seen[user.name]))


#: Users that were never active come first, as NULL does in SQLite.
_SORT_KEYS: Mapping[str, Callable[[User], Any]] = {
    "id": lambda user: user.id,
    "name": lambda user: user.name,
    "last_activity": lambda user: user.last_activity.timestamp() if user.last_activity else float("-inf"),
}


class MemoryServers:
    """Rows of servers."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def get(self, user_id: int, name: str) -> Server | None:
        """A user's server of that name."""
        rows = self._tables.servers.values()
        return next((row for row in rows if row.user_id == user_id and row.name == name), None)

    async def by_id(self, server_id: int) -> Server | None:
        """The server of that id."""
        return self._tables.servers.get(server_id)

    async def by_key(self, user_name: str, name: str) -> Server | None:
        """The server of the named user."""
        rows = self._tables.servers.values()
        return next((row for row in rows if row.user_name == user_name and row.name == name), None)

    async def of_users(self, user_ids: Iterable[int]) -> Sequence[Server]:
        """All servers of these users."""
        wanted = frozenset(user_ids)
        return sorted((row for row in self._tables.servers.values() if row.user_id in wanted), key=_server_order)

    async def in_states(self, states: Iterable[State]) -> Sequence[Server]:
        """All servers in any of these states."""
        wanted = frozenset(states)
        return sorted((row for row in self._tables.servers.values() if row.state in wanted), key=_server_order)

    async def ids_in_states(self, states: Iterable[State]) -> Sequence[int]:
        """Of all servers in any of these states, in order."""
        return sorted(row.id for row in await self.in_states(states))

    async def by_ids(self, ids: Sequence[int]) -> Sequence[Server]:
        """Those of these that there are."""
        wanted = frozenset(ids)
        return sorted((row for row in self._tables.servers.values() if row.id in wanted), key=_server_order)

    async def count_active(self) -> int:
        """How many are in any state but STOPPED."""
        return sum(row.is_active for row in self._tables.servers.values())

    async def count_in(self, states: Iterable[State]) -> int:
        """How many are in any of these states."""
        wanted = frozenset(states)
        return sum(row.state in wanted for row in self._tables.servers.values())

    async def entries(self, states: Iterable[State], *, since: datetime | None = None) -> Sequence[Entry]:
        """As much of them as the queue's order needs."""
        return [
            Entry(
                server_id=row.id,
                user_id=row.user_id,
                queued_at=row.queued_at or row.created,
                began=row.started_at if row.is_ready else None,
            )
            for row in await self.in_states(states)
            if since is None or (row.started_at is not None and row.started_at >= since)
        ]

    async def add(self, *, user_id: int, name: str, created: datetime, display_name: str = "") -> Server:
        """A STOPPED server of the first generation. Raises AlreadyExists."""
        if await self.get(user_id, name) is not None:
            raise AlreadyExists(f"There is a server {name!r} already.")
        server = Server(
            id=self._tables.next_id(),
            user_id=user_id,
            user_name=self._tables.users[user_id].name,
            name=name,
            state=State.STOPPED,
            generation=first_generation(created),
            created=created,
            display_name=display_name,
        )
        self._tables.servers[server.id] = server
        return server

    async def swap(self, old: Server, new: Server) -> Server:
        """Compare and swap. Raises StaleGeneration."""
        row = self._tables.servers.get(old.id)
        if row is None or _fence(row) != _fence(old):
            raise StaleGeneration
        changes = {name: getattr(new, name) for name in SWAPPED if getattr(new, name) != getattr(old, name)}
        self._tables.servers[old.id] = replace(row, **changes)
        return self._tables.servers[old.id]

    async def renew_leases(self, holder: str, until: datetime) -> None:
        """Move the end of every lease that *holder* has."""
        for row in [row for row in self._tables.servers.values() if row.lease_holder == holder]:
            self._tables.servers[row.id] = replace(row, lease_until=until)

    async def note_busy(self, said: Mapping[int, tuple[datetime, datetime]]) -> None:
        """Set `busy_until` by server id."""
        for row in [row for row in self._tables.servers.values() if row.id in said]:
            until, latest = said[row.id]
            if row.busy_until is None or row.busy_until <= latest:
                self._tables.servers[row.id] = replace(row, busy_until=until)

    async def last_used(self, *, before: datetime, or_started: datetime) -> Sequence[Server]:
        """The ready ones that were last active before the one time, or started before the other."""
        return [
            row
            for row in await self.in_states([State.READY])
            if (row.last_activity is None or row.last_activity <= before)
            or (row.started_at is not None and row.started_at <= or_started)
        ]

    async def delete(self, server_id: int) -> None:
        """Forget a server."""
        self._tables.drop_server(server_id)

    async def touch(self, seen: Mapping[int, datetime]) -> None:
        """Raise `last_activity` by server id."""
        for row in [row for row in self._tables.servers.values() if row.id in seen]:
            self._tables.servers[row.id] = replace(row, last_activity=later(row.last_activity, seen[row.id]))


#: columns that a swap may change
SWAPPED = (
    "name",
    "state",
    "generation",
    "display_name",
    "handle",
    "target",
    "started_at",
    "last_activity",
    "user_options",
    "failure",
    "failure_log",
    "lease_holder",
    "lease_until",
    "queued_at",
    "busy_until",
    "keep_until",
    "stop_reason",
)


def _fence(server: Server) -> tuple[State, int, str]:
    return server.state, server.generation, server.lease_holder


def _server_order(server: Server) -> tuple[int, str]:
    return server.user_id, server.name


class MemorySessions:
    """Rows of browser sessions."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def by_secret_hash(self, secret_hash: str) -> tuple[Session, Person] | None:
        """The session with that secret, and whose it is."""
        rows = self._tables.sessions.values()
        session = next((row for row in rows if row.secret_hash == secret_hash), None)
        return None if session is None else (session, self._tables.person(session.user_id))

    async def by_id(self, session_id: str) -> tuple[Session, Person] | None:
        """The session of that id, and whose it is."""
        session = self._tables.sessions.get(session_id)
        return None if session is None else (session, self._tables.person(session.user_id))

    async def of_user(self, user_id: int) -> Sequence[Session]:
        """All sessions of a user."""
        mine = (row for row in self._tables.sessions.values() if row.user_id == user_id)
        return sorted(mine, key=lambda row: (row.created, row.id))

    async def add(self, session: Session) -> None:
        """Keep a session."""
        self._tables.sessions[session.id] = session

    async def touch(self, seen: Mapping[str, datetime]) -> None:
        """Raise `last_seen` by session id."""
        for row in [row for row in self._tables.sessions.values() if row.id in seen]:
            self._tables.sessions[row.id] = replace(row, last_seen=later(row.last_seen, seen[row.id]))

    async def delete(self, session_id: str) -> None:
        """And the tokens bound to it."""
        self._tables.sessions.pop(session_id, None)
        drop(self._tables.tokens, lambda row: row.session_id == session_id)

    async def delete_expired(self, now: datetime) -> int:
        """Forget sessions that have ended, and the tokens bound to them."""
        for row in [row for row in self._tables.sessions.values() if row.expires_at <= now]:
            drop(self._tables.tokens, lambda token, ended=row.id: token.session_id == ended)  # type: ignore[misc]
        return drop(self._tables.sessions, lambda row: row.expires_at <= now)


class MemoryTokens:
    """Rows of API tokens."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def by_prefix(self, prefix: str) -> Sequence[tuple[ApiToken, Person]]:
        """Tokens that begin so, and whose they are."""
        rows = self._tables.tokens.values()
        return [(row, self._tables.person(row.user_id)) for row in rows if row.prefix == prefix]

    async def get(self, token_id: int) -> ApiToken | None:
        """The token of that id."""
        return self._tables.tokens.get(token_id)

    async def of_user(self, user_id: int) -> Sequence[ApiToken]:
        """All tokens of a user, oldest first."""
        return sorted((row for row in self._tables.tokens.values() if row.user_id == user_id), key=lambda row: row.id)

    async def add(
        self,
        *,
        user_id: int,
        prefix: str,
        token_hash: str,
        scopes: Sequence[str],
        note: str,
        created: datetime,
        expires_at: datetime | None = None,
        session_id: str = "",
        server: str = "",
        client_id: str = "",
    ) -> ApiToken:
        """Keep a token."""
        token = ApiToken(
            id=self._tables.next_id(),
            user_id=user_id,
            prefix=prefix,
            token_hash=token_hash,
            scopes=tuple(scopes),
            note=note,
            created=created,
            expires_at=expires_at,
            session_id=session_id,
            server=server,
            client_id=client_id,
        )
        self._tables.tokens[token.id] = token
        return token

    async def delete(self, token_id: int) -> None:
        """Forget a token."""
        self._tables.tokens.pop(token_id, None)

    async def delete_of_server(self, server_key: str) -> None:
        """Forget the tokens that a server was given."""
        drop(self._tables.tokens, lambda row: row.server == server_key)

    async def delete_of_client(self, client_id: str, *, user_id: int | None = None) -> Sequence[ApiToken]:
        """Forget those that an OAuth client was given."""
        gone = [
            row
            for row in self._tables.tokens.values()
            if row.client_id == client_id and (user_id is None or row.user_id == user_id)
        ]
        drop(self._tables.tokens, lambda row: row in gone)
        return gone

    async def touch(self, seen: Mapping[int, datetime]) -> None:
        """Raise `last_activity` by token id."""
        for row in [row for row in self._tables.tokens.values() if row.id in seen]:
            self._tables.tokens[row.id] = replace(row, last_activity=later(row.last_activity, seen[row.id]))

    async def delete_expired(self, now: datetime) -> int:
        """Forget tokens that have ended."""
        return drop(self._tables.tokens, lambda row: row.expires_at is not None and row.expires_at <= now)


class MemoryAccounts:
    """Rows of local accounts and invitations."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def get(self, name: str) -> Account | None:
        """The account of that name."""
        return self._tables.accounts.get(name)

    async def put(self, account: Account) -> None:
        """Add it or replace the one of that name."""
        self._tables.accounts[account.name] = account

    async def rename(self, name: str, new_name: str) -> None:
        """Nothing happens if there is none."""
        account = self._tables.accounts.pop(name, None)
        if account is not None:
            self._tables.accounts[new_name] = replace(account, name=new_name)

    async def delete(self, name: str) -> None:
        """Forget an account."""
        self._tables.accounts.pop(name, None)

    async def in_state(self, state: AccountState) -> Sequence[Account]:
        """All accounts in that state, oldest first."""
        rows = (row for row in self._tables.accounts.values() if row.state is state)
        return sorted(rows, key=lambda row: (row.created, row.name))

    async def add_invitation(self, invitation: Invitation) -> Invitation:
        """Keep an invitation under a new id."""
        stored = replace(invitation, id=self._tables.next_id())
        self._tables.invitations[stored.id] = stored
        return stored

    async def invitation(self, code_hash: str) -> Invitation | None:
        """The invitation with that code."""
        return next((row for row in self._tables.invitations.values() if row.code_hash == code_hash), None)

    async def take_invitation(self, code_hash: str) -> Invitation | None:
        """Remove and answer it."""
        invitation = await self.invitation(code_hash)
        return None if invitation is None else self._tables.invitations.pop(invitation.id)

    async def invitations(self) -> Sequence[Invitation]:
        """All invitations, oldest first."""
        return sorted(self._tables.invitations.values(), key=lambda row: row.id)

    async def delete_invitation(self, invitation_id: int) -> None:
        """Withdraw an invitation."""
        self._tables.invitations.pop(invitation_id, None)

    async def delete_expired_invitations(self, now: datetime) -> int:
        """Forget invitations that have ended."""
        return drop(self._tables.invitations, lambda row: row.expires_at <= now)
