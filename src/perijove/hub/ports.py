"""
What the use cases need from the world, as Protocols. Adapters are in `store`, `gateways` and `web`;
each port has a fake that passes the same contract tests.

Only an adapter of `Store` commits: leaving `unit()` without an error commits, with one rolls back.
No unit is held open across an await on anything but the database.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from perijove.hub.domain.accounts import Account, AccountState, Invitation
from perijove.hub.domain.groups import Group
from perijove.hub.domain.hubs import HubProcess
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.notices import Notice
from perijove.hub.domain.queue import Entry
from perijove.hub.domain.servers import Server
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.tokens import ApiToken
from perijove.hub.domain.users import User
from perijove.wire.control import Revocation
from perijove.wire.routes import Route

UserSort = Literal["id", "-id", "name", "-name", "last_activity", "-last_activity"]
UserActivity = Literal["active", "ready", "inactive"]


class Users(Protocol):
    """Rows of users."""

    async def by_name(self, name: str) -> User | None: ...
    async def by_id(self, user_id: int) -> User | None: ...
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
        """One page and the total. *names* restricts to these; *name_filter* is a substring."""
        ...

    async def add(self, *, name: str, admin: bool, created: datetime, display_name: str = "") -> User:
        """Raises AlreadyExists."""
        ...

    async def set_admin(self, user_id: int, *, admin: bool) -> None: ...
    async def rename(self, user_id: int, name: str) -> None:
        """Raises AlreadyExists."""
        ...

    async def delete(self, user_id: int) -> None:
        """With sessions, tokens, servers and account."""
        ...

    async def has_admin(self) -> bool: ...
    async def touch(self, seen: Mapping[str, datetime]) -> None:
        """Raise `last_activity` of the named users; older times change nothing."""
        ...


class Servers(Protocol):
    """Rows of servers."""

    async def get(self, user_id: int, name: str) -> Server | None: ...
    async def by_id(self, server_id: int) -> Server | None: ...
    async def of_users(self, user_ids: Iterable[int]) -> Sequence[Server]: ...
    async def by_key(self, user_name: str, name: str) -> Server | None: ...
    async def in_states(self, states: Iterable[State]) -> Sequence[Server]: ...
    async def count_active(self) -> int:
        """How many are in any state but STOPPED."""
        ...

    async def count_in(self, states: Iterable[State]) -> int:
        """How many are in any of these states."""
        ...

    async def entries(self, states: Iterable[State], *, since: datetime | None = None) -> Sequence[Entry]:
        """
        As much of every server in any of these states as the queue's order needs, without groups.

        Args:
            states: where they are.
            since: only those whose process was made then or later.
        """
        ...

    async def add(self, *, user_id: int, name: str, created: datetime, display_name: str = "") -> Server:
        """A STOPPED server of the first generation. Raises AlreadyExists."""
        ...

    async def swap(self, old: Server, new: Server) -> Server:
        """
        Store what differs between the two if the row still has *old*'s state, generation and lease holder.

        Raises StaleGeneration; nothing has changed then.
        """
        ...

    async def renew_leases(self, holder: str, until: datetime) -> None:
        """Move the end of every lease that *holder* has."""
        ...

    async def delete(self, server_id: int) -> None: ...
    async def touch(self, seen: Mapping[int, datetime]) -> None:
        """Raise `last_activity` by server id; older times change nothing."""
        ...

    async def note_busy(self, said: Mapping[int, tuple[datetime, datetime]]) -> None:
        """Set `busy_until` by server id to the first time, unless it is after the second."""
        ...

    async def last_used(self, *, before: datetime, or_started: datetime) -> Sequence[Server]:
        """The ready ones that were last active before the one time (or never), or started before the other."""
        ...


class Sessions(Protocol):
    """Rows of browser sessions."""

    async def by_secret_hash(self, secret_hash: str) -> tuple[Session, User] | None: ...
    async def by_id(self, session_id: str) -> tuple[Session, User] | None: ...
    async def of_user(self, user_id: int) -> Sequence[Session]: ...
    async def add(self, session: Session) -> None: ...
    async def touch(self, seen: Mapping[str, datetime]) -> None:
        """Raise `last_seen` by session id; older times change nothing."""
        ...

    async def delete(self, session_id: str) -> None:
        """And the tokens bound to it."""
        ...

    async def delete_expired(self, now: datetime) -> int: ...


class Tokens(Protocol):
    """Rows of API tokens."""

    async def by_prefix(self, prefix: str) -> Sequence[tuple[ApiToken, User]]: ...
    async def get(self, token_id: int) -> ApiToken | None: ...
    async def of_user(self, user_id: int) -> Sequence[ApiToken]: ...
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
    ) -> ApiToken: ...
    async def delete(self, token_id: int) -> None: ...
    async def delete_of_server(self, server_key: str) -> None: ...
    async def touch(self, seen: Mapping[int, datetime]) -> None:
        """Raise `last_activity` by token id; older times change nothing."""
        ...

    async def delete_expired(self, now: datetime) -> int: ...


class Accounts(Protocol):
    """Rows of local accounts and invitations."""

    async def get(self, name: str) -> Account | None: ...
    async def put(self, account: Account) -> None:
        """Add it or replace the one of that name."""
        ...

    async def rename(self, name: str, new_name: str) -> None:
        """Nothing happens if there is none."""
        ...

    async def delete(self, name: str) -> None: ...
    async def in_state(self, state: AccountState) -> Sequence[Account]: ...
    async def add_invitation(self, invitation: Invitation) -> Invitation:
        """The id of the argument is ignored; the stored one is in the answer."""
        ...

    async def invitation(self, code_hash: str) -> Invitation | None: ...
    async def take_invitation(self, code_hash: str) -> Invitation | None:
        """Remove and answer it: of two who come at once only one gets it."""
        ...

    async def invitations(self) -> Sequence[Invitation]: ...
    async def delete_invitation(self, invitation_id: int) -> None: ...
    async def delete_expired_invitations(self, now: datetime) -> int: ...


class Groups(Protocol):
    """Rows of groups and of their members."""

    async def by_name(self, name: str) -> Group | None: ...
    async def put(self, name: str, *, properties: Mapping[str, Any]) -> Group:
        """Add it or change its properties."""
        ...

    async def delete(self, group_id: int) -> None:
        """With its memberships."""
        ...

    async def add_members(self, group_id: int, user_ids: Iterable[int]) -> None:
        """Being a member already is fine."""
        ...

    async def remove_members(self, group_id: int, user_ids: Iterable[int]) -> None: ...
    async def members(self, group_id: int) -> Sequence[str]:
        """Names of its users, in order."""
        ...

    async def of_users(self, user_ids: Iterable[int]) -> Mapping[int, Sequence[str]]:
        """Names of the groups of each user, in order; who is in none is left out."""
        ...


class Hubs(Protocol):
    """Rows of hub processes."""

    async def register(self, name: str, *, version: str, now: datetime, until: datetime) -> HubProcess:
        """A new incarnation of that name."""
        ...

    async def renew(self, hub: HubProcess, until: datetime) -> bool:
        """Stay alive until then; False if a newer incarnation has taken the name, or the row is gone."""
        ...

    async def all(self) -> Sequence[HubProcess]:
        """Every one that has not left, alive or not."""
        ...

    async def leave(self, hub: HubProcess) -> None:
        """Forget it, unless a newer incarnation has taken the name."""
        ...


class Attempts(Protocol):
    """Rows of what is counted by key over a sliding window, such as failed sign-ins."""

    async def times(self, keys: Iterable[str]) -> Mapping[str, Sequence[datetime]]:
        """When each of these keys was counted, oldest first; a key without any is left out."""
        ...

    async def put(self, times: Mapping[str, Sequence[datetime]]) -> None:
        """Replace what is known of these keys; an empty sequence forgets the key."""
        ...

    async def delete_older(self, than: datetime) -> int:
        """Forget the keys that were counted last before that."""
        ...


class Facts(Protocol):
    """Small things that all hubs over one database must agree on, by name."""

    async def get(self, name: str) -> str | None: ...
    async def put(self, name: str, value: str) -> None: ...


class Unit(Protocol):
    """One transaction."""

    @property
    def users(self) -> Users: ...
    @property
    def servers(self) -> Servers: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def groups(self) -> Groups: ...
    @property
    def hubs(self) -> Hubs: ...
    @property
    def attempts(self) -> Attempts: ...
    @property
    def facts(self) -> Facts: ...
    async def alone(self, what: str) -> None:
        """Go on when no other unit of any hub is alone with *what*, and be that until this unit ends."""
        ...

    def notify(self, notice: Notice) -> None:
        """Tell all hubs over this database, this one too, once this unit is committed."""
        ...

    async def newest(self) -> datetime | None:
        """The latest time at which anything is recorded to have happened; None in an empty store."""
        ...


class Store(Protocol):
    """Where everything is kept that must survive."""

    def unit(self) -> AbstractAsyncContextManager[Unit]:
        """A transaction; one writer at a time. Raises StoreAway."""
        ...

    def reading(self) -> AbstractAsyncContextManager[Unit]:
        """A unit that changes nothing: it sees what was committed and waits for no writer. Raises StoreAway."""
        ...

    def notices(self) -> AsyncGenerator[Notice, None]:
        """
        What hubs tell from now on; `LOST` comes first, and again whenever some may have been missed.

        Reconnects by itself. A reader who is too slow gets `LOST` instead of what it missed.
        """
        ...

    async def ping(self) -> None:
        """Raises StoreAway if the database does not answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorState:
    """What a proxy says about itself in a cheap call."""

    #: `kid`s of the public keys that the door knows
    keys: frozenset[str]
    #: differs after every start of the proxy; empty if it does not say
    instance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyTable:
    """A proxy's table as it was read."""

    #: path → body
    routes: Mapping[str, Mapping[str, Any]]
    #: another one after each change; empty if the proxy has none
    version: str = ""


class ProxyGateway(Protocol):
    """The proxy's table and door. Every call raises ProxyAway if the proxy does not answer."""

    async def routes(self) -> Mapping[str, Mapping[str, Any]]: ...
    async def read_table(self) -> ProxyTable:
        """The same, with its version."""
        ...

    async def add(self, route: Route) -> None: ...
    async def remove(self, path: str) -> None: ...
    async def replace_all(self, routes: Sequence[Route], *, version: str = "") -> bool:
        """Make the table exactly this. False, and nothing has changed, if it is no longer of that *version*."""
        ...

    async def door(self) -> DoorState: ...

    async def set_keys(self, jwks: Sequence[Mapping[str, Any]]) -> None: ...
    async def revoke(self, revocation: Revocation) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnPlan:
    """What the use case knows about a start; the adapter makes the spawner's request of it."""

    server: Server
    user: User
    #: JUPYTERHUB_* and PERIJOVE_* (contract a)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A process that exists."""

    #: origin for the proxy: `http+unix://<quoted path>` or `http://host:port`
    target: str
    #: JSON that finds it again
    handle: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """Why a process is gone."""

    message: str
    log_tail: tuple[str, ...] = ()
    #: whether somebody had asked for it
    asked: bool = False


class Spawners(Protocol):
    """
    Starts, finds and ends processes, by way of a spawner plug-in.

    `launch` is idempotent within a generation: asked again it answers the process that runs.
    """

    async def launch(self, plan: SpawnPlan) -> Running:
        """Raises LaunchFailed or LauncherAway."""
        ...

    async def poll(self, server: Server) -> Exit | None:
        """None while it runs. Raises LauncherAway when that cannot be told."""
        ...

    async def terminate(self, server: Server) -> None:
        """Ask it to go; answers when it is gone. Idempotent. Raises LauncherAway."""
        ...

    def exits(self) -> AsyncIterator[tuple[str, int, Exit]]:
        """(key, generation, why) of every server that ends, as it ends; reconnects by itself."""
        ...

    def progress(self, server: Server) -> AsyncIterator[tuple[int, str]]:
        """(percent, message) from the spawner while it launches; may be empty."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """Somebody whom the sign-in method vouches for."""

    #: normalised user name
    name: str
    #: None: the method does not say; else it decides
    admin: bool | None = None
    display_name: str = ""


class SignInMethod(Protocol):
    """The configured authenticator, behind its allow and block rules."""

    async def sign_in(self, form: Mapping[str, str]) -> Authenticated:
        """
        Judge the fields of the sign-in form.

        Raises:
            WrongCredentials: the credentials are wrong.
            NotAllowed: they are right, but this person may not enter.
            AwaitingApproval: an administrator must approve the account first.
        """
        ...


class PasswordHasher(Protocol):
    """Slow on purpose; runs outside the event loop."""

    async def hash(self, password: str) -> str: ...
    async def verify(self, password_hash: str, password: str) -> bool:
        """An empty hash fits no password, and finding that out takes as long as a wrong password."""
        ...


class IdentitySigner(Protocol):
    """Signs identity tokens."""

    def sign(self, claims: Mapping[str, Any]) -> str: ...
    @property
    def public_jwks(self) -> Sequence[Mapping[str, Any]]: ...


class Prober(Protocol):
    """Finds out whether a server answers HTTP."""

    async def wait_until_answers(self, target: str, path: str, *, timeout: float) -> bool:
        """Whether GET *path* at *target* gave any status below 500 within *timeout* seconds."""
        ...
