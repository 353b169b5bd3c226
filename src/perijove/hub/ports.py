"""
What the use cases need from the world, as Protocols. Adapters are in `store`, `gateways` and `web`;
each port has a fake that passes the same contract tests.

Only an adapter of `Store` commits: leaving `unit()` without an error commits, with one rolls back.
No unit is held open across an await on anything but the database.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import Any, Protocol

from perijove.hub.domain.managed_services import ManagedService
from perijove.hub.domain.notices import Notice
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.rows import (
    Accounts,
    Attempts,
    Audit,
    AuthStates,
    Facts,
    Groups,
    Hubs,
    OAuthCodes,
    RuntimeServices,
    Servers,
    Sessions,
    ShareCodes,
    Shares,
    Tokens,
    Users,
)
from perijove.wire.control import Revocation
from perijove.wire.routes import Route


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
    @property
    def shares(self) -> Shares: ...
    @property
    def share_codes(self) -> ShareCodes: ...
    @property
    def oauth_codes(self) -> OAuthCodes: ...
    @property
    def services(self) -> RuntimeServices: ...
    @property
    def auth_states(self) -> AuthStates: ...
    @property
    def audit(self) -> Audit: ...
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
    #: names of the user's groups
    groups: tuple[str, ...] = ()
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

    async def token_scopes(self, server: Server) -> Sequence[str]:
        """What the server's own token may do, as configured; nothing stated: the usual. Raises LaunchFailed."""
        ...

    async def client_scopes(self, server: Server) -> Sequence[str]:
        """What tokens that it is given by its visitors may do besides letting them in; nothing if that fails."""
        ...

    def exits(self) -> AsyncIterator[tuple[str, int, Exit]]:
        """(key, generation, why) of every server that ends, as it ends; reconnects by itself."""
        ...

    def progress(self, server: Server) -> AsyncIterator[tuple[int, str]]:
        """(percent, message) from the spawner while it launches; may be empty."""
        ...


class ServiceProcesses(Protocol):
    """Starts, finds and ends the processes of services that the hub runs. All of it raises LauncherAway."""

    async def start(self, service: ManagedService, generation: int, environment: Mapping[str, str]) -> None:
        """
        Start this run, unless it runs already.

        Raises:
            LaunchFailed: it could not be started, or has ended before.
        """
        ...

    async def poll(self, name: str, generation: int) -> Exit | None:
        """None while it runs."""
        ...

    async def end(self, name: str, generation: int) -> None:
        """Ask it to go; answers when it is gone. Idempotent."""
        ...

    async def running(self) -> Mapping[str, int]:
        """The services that run, whoever started them, with their generations."""
        ...


class SpawnPlace(Protocol):
    """Where servers run."""

    async def warnings(self) -> Sequence[str]:
        """Sentences for administrators; nothing if nobody there answers soon."""
        ...


class StartOptions(Protocol):
    """What the spawner plug-in asks users before a start, and makes of their answers."""

    @property
    def has_form(self) -> bool:
        """Whether starts ask their users something."""
        ...

    async def form(self, user: User, server_name: str, options: Mapping[str, Any]) -> str:
        """The administrator's HTML; empty: nothing is asked. Raises LaunchFailed."""
        ...

    async def read(self, user: User, server_name: str, form: Mapping[str, Sequence[Any]]) -> Mapping[str, Any]:
        """The options that the fields of a form come to. Raises InvalidRequest or LaunchFailed."""
        ...

    async def ready_event(self, server: Server, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """The last event of a start, as the administrator wants it sent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """Somebody whom the sign-in method vouches for."""

    #: normalised user name
    name: str
    #: None: the method does not say; else it decides
    admin: bool | None = None
    display_name: str = ""
    #: what the method wants remembered of them; None: nothing
    auth_state: Mapping[str, Any] | None = field(default=None, repr=False)
    #: what it tells of them for others to see; None: nothing new
    user_info: Mapping[str, Any] | None = None
    #: all groups that they are in, if it is the method that says so; None: it is not
    groups: tuple[str, ...] | None = None
    #: all roles that they have, as in `load_roles`, if it is the method that says so; None: it is not
    roles: tuple[Mapping[str, Any], ...] | None = None


class Standing(Enum):
    """How somebody who is signed in stands with the sign-in method."""

    #: as before
    GOOD = auto()
    #: good, and what they may do is another thing than before
    CHANGED = auto()
    #: they must sign in again
    STALE = auto()
    #: it cannot be told
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRules:
    """When a sign-in method is asked again about people who are signed in."""

    #: seconds after which; 0: never for their age
    age: float = 0.0
    #: whether tokens, too, are refused of those whom it no longer vouches for
    strict: bool = False
    before_starts: bool = False
    before_stops: bool = False

    @property
    def ever(self) -> bool:
        """Whether it ever is."""
        return bool(self.age) or self.before_starts or self.before_stops


class CannotOpen(Exception):
    """No key opens this."""


class Vault(Protocol):
    """Seals text with the administrator's keys."""

    def seal(self, text: str) -> str:
        """*text*, unreadable and unchangeable without a key."""
        ...

    def open(self, sealed: str) -> str:
        """What was sealed. Raises CannotOpen."""
        ...

    def is_current(self, sealed: str) -> bool:
        """Whether the key that seals now sealed it."""
        ...


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

    @property
    def refresh_rules(self) -> RefreshRules:
        """When `refresh` is to be asked."""
        ...

    async def refresh(self, user: User, auth_state: Mapping[str, Any] | None) -> Authenticated | bool:
        """
        Judge *user* anew: True, nothing has changed; False, they must sign in again; or what has changed.

        Raises:
            Unavailable: that cannot be told now.
        """
        ...

    async def state_to_keep(self, person: Authenticated, before: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """What is to be remembered of *person*; *before*: what is now."""
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
    def read(self, statement: str, *, audience: str, now: datetime) -> Mapping[str, Any] | None:
        """The claims of a statement of its own for *audience*; None if it is none, or has ended."""
        ...

    @property
    def public_jwks(self) -> Sequence[Mapping[str, Any]]: ...


class ServerAction(StrEnum):
    """What has been done with a server, in the words of JupyterHub's schema `server-action`."""

    START = "start"
    STOP = "stop"


class ServerEvents(Protocol):
    """Tells programs that keep accounts of servers' starts and stops."""

    def emit(self, action: ServerAction, server: Server) -> None:
        """*action* has succeeded. Raises nothing."""
        ...


class Prober(Protocol):
    """Finds out whether a server answers HTTP."""

    async def wait_until_answers(self, target: str, path: str, *, timeout: float) -> bool:
        """Whether GET *path* at *target* gave any status below 500 within *timeout* seconds."""
        ...
