"""
Stand-ins for the world, for tests of use cases and of everything above them: a clock that stands still, a proxy
and a launcher that obey, break, hang or come late on command. They keep the contracts of `hub/ports.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from perijove.hub.domain.errors import InvalidRequest, LauncherAway, LaunchFailed, ProxyAway, WrongCredentials
from perijove.hub.domain.servers import OWN_SIGN_IN, Server
from perijove.hub.domain.users import User
from perijove.hub.ports import (
    Authenticated,
    CannotOpen,
    DoorState,
    Exit,
    ProxyTable,
    RefreshRules,
    Running,
    ServerAction,
    SpawnPlan,
)
from perijove.wire.control import Revocation
from perijove.wire.routes import LAST_ACTIVITY, Route

#: when tests happen
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class FakeClock:
    """Stands still until `advance`."""

    def __init__(self, now: datetime = START) -> None:
        self._start = now
        self._seconds = 0.0

    def set(self, now: datetime) -> None:
        """Somebody sets the wall clock; the monotonic one knows nothing of it."""
        self._start = now - timedelta(seconds=self._seconds)

    def now(self) -> datetime:
        """The start and what was advanced."""
        return self._start + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        """What was advanced."""
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._seconds += seconds


class FakeRandomness:
    """Counts; every value is new and has the right form and length."""

    def __init__(self) -> None:
        self._count = 0

    def token(self, n_bytes: int) -> str:
        """Text as long as real randomness would give."""
        return self._next().zfill(-(-n_bytes * 4 // 3))

    def hex(self, n_bytes: int) -> str:
        """Hex digits as many as real randomness would give; the count comes first, so that prefixes differ."""
        return self._next()[::-1].ljust(2 * n_bytes, "0")

    def _next(self) -> str:
        self._count += 1
        return f"{self._count:08x}"


class FakeHasher:
    """Quick and reversible."""

    async def hash(self, password: str) -> str:
        """The password, marked."""
        return f"hash of {password}"

    async def verify(self, password_hash: str, password: str) -> bool:
        """Whether it is that one's."""
        return password_hash == f"hash of {password}"


class FakeSignIn:
    """A sign-in method that knows a few names and one password for all."""

    def __init__(self, *, password: str = "secret", admins: Sequence[str] = ()) -> None:  # noqa: S107  # a fake's
        self._password = password
        self._admins = frozenset(admins)
        #: what is remembered of whoever signs in
        self.auth_state: Mapping[str, Any] | None = None
        #: members of a state that outlive the next one
        self.kept: tuple[str, ...] = ()
        #: what it tells of everybody for others to see
        self.user_info: Mapping[str, Any] | None = None
        #: what groups it says that everybody is in
        self.groups: tuple[str, ...] | None = None
        #: what roles it says that everybody has
        self.roles: tuple[Mapping[str, Any], ...] | None = None
        self.refresh_rules = RefreshRules()
        #: what it answers when it is asked again, of whom it was, and what they had been remembered by
        self.standing: Authenticated | bool | Exception = True
        self.asked: list[tuple[str, Mapping[str, Any] | None]] = []

    async def sign_in(self, form: Mapping[str, str]) -> Authenticated:
        """Whoever has the password may enter."""
        if form.get("password") != self._password:
            raise WrongCredentials
        name = form["username"].lower()
        admin = True if name in self._admins else None
        return Authenticated(
            name=name,
            admin=admin,
            auth_state=self.auth_state,
            user_info=self.user_info,
            groups=self.groups,
            roles=self.roles,
        )

    async def refresh(self, user: User, auth_state: Mapping[str, Any] | None) -> Authenticated | bool:
        """What `standing` says of everybody; `asked` counts."""
        self.asked.append((user.name, auth_state))
        await asyncio.sleep(0)
        if isinstance(self.standing, Exception):
            raise self.standing
        return self.standing

    async def state_to_keep(self, person: Authenticated, before: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The new one, with `kept` of the one before."""
        known = {} if before is None else {key: before[key] for key in self.kept if key in before}
        return person.auth_state if person.auth_state is None else {**person.auth_state, **known}


class FakeSigner:
    """Readable statements instead of signed ones."""

    def __init__(self, kid: str = "key-1") -> None:
        self.signed: list[dict[str, Any]] = []
        self._kid = kid

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims are kept in `signed`."""
        self.signed.append(dict(claims))
        return f"signed-{len(self.signed)}"

    def read(self, statement: str, *, audience: str, now: datetime) -> Mapping[str, Any] | None:
        """One that was signed here."""
        by_text = {f"signed-{number}": claims for number, claims in enumerate(self.signed, start=1)}
        claims = by_text.get(statement)
        is_good = claims is not None and claims["aud"] == audience and claims["exp"] > now.timestamp()
        return claims if is_good else None

    @property
    def public_jwks(self) -> Sequence[Mapping[str, Any]]:
        """One key."""
        return [{"kid": self._kid, "kty": "EC"}]


class FakeProxy:
    """A proxy in memory that can be away, and can forget everything as a restart does."""

    def __init__(self) -> None:
        self.table: dict[str, dict[str, Any]] = {}
        self.known_keys: list[str] = []
        self.revocations: list[Revocation] = []
        self.is_away = False
        self.instance = "start-1"
        self.replacements = 0
        self.calls = 0
        #: whether the table has versions
        self.has_versions = True

    def restart(self) -> None:
        """Forget everything."""
        self.table.clear()
        self.known_keys.clear()
        self.revocations.clear()

    async def routes(self) -> Mapping[str, Mapping[str, Any]]:
        """What was added, with a time of last activity."""
        self._answer()
        return {path: {**body, LAST_ACTIVITY: START.isoformat()} for path, body in self.table.items()}

    async def read_table(self) -> ProxyTable:
        """The same, with its version."""
        return ProxyTable(routes=await self.routes(), version=self._version())

    async def add(self, route: Route) -> None:
        """Add or replace one."""
        self._answer()
        self.table[route.path] = route.to_body()

    async def remove(self, path: str) -> None:
        """Remove one, if it is there."""
        self._answer()
        self.table.pop(path, None)

    async def replace_all(self, routes: Sequence[Route], *, version: str = "") -> bool:
        """The table is exactly this, if it has not changed since that version."""
        self._answer()
        if version and version != self._version():
            return False
        self.replacements += 1
        self.table = {route.path: route.to_body() for route in routes}
        return True

    async def door(self) -> DoorState:
        """Ids of the keys that were set."""
        self._answer()
        return DoorState(keys=frozenset(self.known_keys), instance=self.instance)

    async def set_keys(self, jwks: Sequence[Mapping[str, Any]]) -> None:
        """Replace the keys."""
        self._answer()
        self.known_keys = [str(jwk["kid"]) for jwk in jwks]

    async def revoke(self, revocation: Revocation) -> None:
        """Remember it."""
        self._answer()
        self.revocations.append(revocation)

    def _version(self) -> str:
        # Tests change the table behind our back, too: its text is the version.
        return f"{self.instance}-{self.table}" if self.has_versions else ""

    def _answer(self) -> None:
        self.calls += 1
        if self.is_away:
            raise ProxyAway


@dataclass(slots=True)
class FakeProcess:
    """A process that a fake spawner started."""

    generation: int
    running: Running
    environment: Mapping[str, str] = field(default_factory=dict)
    exit: Exit | None = None


class FakeVault:
    """Seals with a key that is written beside it; other keys can be taken away, and a new one put first."""

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys or ("first",))

    def seal(self, text: str) -> str:
        """Readable, but only by who knows how."""
        return f"{self.keys[0]}|{text[::-1]}"

    def open(self, sealed: str) -> str:
        """As long as the key is there."""
        key, _, text = sealed.partition("|")
        if key not in self.keys:
            raise CannotOpen
        return text[::-1]

    def is_current(self, sealed: str) -> bool:
        """Whether the first key is the one beside it."""
        return sealed.partition("|")[0] == self.keys[0]


def _hear(work: asyncio.Future[Running]) -> None:
    if not work.cancelled():
        work.exception()


class FakeSpawners:
    """
    Starts imaginary processes. Switches make launches fail, hang, come late or die at once.

    `launches` counts processes that were really made: asking again within a generation makes none.
    """

    def __init__(self) -> None:
        self.processes: dict[str, FakeProcess] = {}
        self.launches: list[tuple[str, int]] = []
        self.terminations: list[tuple[str, int]] = []
        #: message of the failure of every launch; empty: launches succeed
        self.fail_with = ""
        self.is_away = False
        #: launches wait until this is set
        self.gate = asyncio.Event()
        self.gate.set()
        #: processes are gone before the launch is answered
        self.die_at_once = False
        self.told: list[tuple[int, str]] = []
        #: what servers' own tokens may do; empty: nothing stated
        self.own_scopes: tuple[str, ...] = ()
        #: what is wrong with what is configured of that; empty: nothing
        self.wrong_scopes = ""
        #: what servers' visitors may let them do
        self.visitors_scopes: tuple[str, ...] = ()
        #: whether processes sign their visitors in themselves
        self.own_sign_in = False
        #: what administrators are told of where servers run
        self.warns: list[str] = []
        self._exits: asyncio.Queue[tuple[str, int, Exit]] = asyncio.Queue()
        #: newest generation of a key that was ended: its launch must not come to pass any more
        self._abandoned: dict[str, int] = {}

    async def warnings(self) -> Sequence[str]:
        """As the test wants them."""
        return self.warns

    async def launch(self, plan: SpawnPlan) -> Running:
        """Make a process, or answer the one that runs."""
        self._answer()
        key, generation = plan.server.key, plan.server.generation
        # Goes on although nobody may wait for it any more, as a request that has left does.
        coming = asyncio.ensure_future(self._come_up(key, generation, plan.environment))  # noqa: TID251  # the fake world's own
        # Whoever has left does not hear how it failed; that is no loose end.
        coming.add_done_callback(_hear)
        return await asyncio.shield(coming)

    async def _come_up(self, key: str, generation: int, environment: Mapping[str, str]) -> Running:
        await self.gate.wait()
        if self.fail_with:
            raise LaunchFailed(self.fail_with, log_tail=("last words",))
        if generation <= self._abandoned.get(key, -1):
            raise LaunchFailed(f"{key} is not wanted any more.")
        process = self.processes.get(key)
        if process is not None and process.exit is not None and process.generation == generation:
            raise LaunchFailed(f"{key} was launched already, and has ended.")
        if process is None or process.generation != generation:
            if process is not None and process.exit is None:
                raise LaunchFailed(f"{key} runs already, as generation {process.generation}.")
            process = self._make(key, generation, environment)
        if self.die_at_once:
            self.die(key)
        return process.running

    async def poll(self, server: Server) -> Exit | None:
        """Why it is gone; None while it runs."""
        self._answer()
        process = self.processes.get(server.key)
        if process is None or process.generation != server.generation:
            return Exit(message="It is gone.")
        return process.exit

    async def terminate(self, server: Server) -> None:
        """End it, if it runs."""
        self._answer()
        self._abandoned[server.key] = max(server.generation, self._abandoned.get(server.key, -1))
        process = self.processes.get(server.key)
        if process is not None and process.exit is None and process.generation == server.generation:
            self.terminations.append((server.key, server.generation))
            self.die(server.key, Exit(message="It was stopped.", log_tail=("stopping",), asked=True))

    async def token_scopes(self, server: Server) -> Sequence[str]:  # noqa: ARG002  # the port's name
        """What `own_scopes` holds."""
        if self.wrong_scopes:
            raise LaunchFailed(self.wrong_scopes)
        return self.own_scopes

    async def client_scopes(self, server: Server) -> Sequence[str]:  # noqa: ARG002  # the port's name
        """What `visitors_scopes` holds."""
        return self.visitors_scopes

    async def exits(self) -> AsyncIterator[tuple[str, int, Exit]]:
        """Every exit, as it happens."""
        while True:
            yield await self._exits.get()

    async def progress(self, server: Server) -> AsyncIterator[tuple[int, str]]:  # noqa: ARG002  # the port's name
        """What `told` holds."""
        for item in self.told:
            yield item

    def die(self, key: str, exit_: Exit | None = None, *, silently: bool = False) -> None:
        """End a process by itself; *silently*: nobody hears of it."""
        process = self.processes[key]
        process.exit = exit_ or Exit(message="It crashed.", log_tail=("Traceback", "MemoryError"))
        if not silently:
            self._exits.put_nowait((key, process.generation, process.exit))

    def running(self) -> Sequence[str]:
        """Keys of processes that run now."""
        return sorted(key for key, process in self.processes.items() if process.exit is None)

    def _make(self, key: str, generation: int, environment: Mapping[str, str]) -> FakeProcess:
        self.launches.append((key, generation))
        running = Running(target=f"http+unix://{key}".replace("/", "%2F"), handle=self._handle())
        self.processes[key] = FakeProcess(generation=generation, running=running, environment=environment)
        return self.processes[key]

    def _handle(self) -> dict[str, Any]:
        return {"pid": len(self.launches)} | ({OWN_SIGN_IN: True} if self.own_sign_in else {})

    def _answer(self) -> None:
        if self.is_away:
            raise LauncherAway


class RecordedServerEvents:
    """`ServerEvents` that keeps them: action, user, server."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def emit(self, action: ServerAction, server: Server) -> None:
        """Keep it."""
        self.told.append((action.value, server.user_name, server.name))


class FakeProber:
    """Says whether a server answers."""

    def __init__(self) -> None:
        self.answers = True
        self.gate = asyncio.Event()
        self.gate.set()
        self.probed: list[tuple[str, str]] = []

    async def wait_until_answers(self, target: str, path: str, *, timeout: float) -> bool:
        """`answers`, once the gate is open."""
        self.probed.append((target, path))
        try:
            async with asyncio.timeout(timeout):
                await self.gate.wait()
        except TimeoutError:
            return False
        return self.answers


class FakeEnvironment:
    """The least a server can be told."""

    def make(self, user: User, server: Server, token: str, client_scopes: Sequence[str]) -> dict[str, str]:  # noqa: ARG002  # the port's
        """Who it is, and its token."""
        return {"JUPYTERHUB_USER": user.name, "JUPYTERHUB_SERVER_NAME": server.name, "JUPYTERHUB_API_TOKEN": token}


class FakeStartOptions:
    """A plug-in that asks what a test wants asked."""

    def __init__(self) -> None:
        self.html = ""
        #: whether the last event of a start is changed
        self.has_hook = False
        #: values that it does not want
        self.refused: tuple[str, ...] = ()

    @property
    def has_form(self) -> bool:
        """Whether there is something to ask."""
        return bool(self.html)

    async def form(self, user: User, server_name: str, options: Mapping[str, Any]) -> str:
        """Names in it are filled in."""
        chosen = ", ".join(f"{name}={value}" for name, value in options.items())
        return self.html.replace("{whose}", f"{user.name}/{server_name}").replace("{options}", chosen)

    async def read(
        self,
        user: User,  # noqa: ARG002  # the same for all
        server_name: str,  # noqa: ARG002  # likewise
        form: Mapping[str, Sequence[Any]],
    ) -> Mapping[str, Any]:
        """The first value of each field."""
        if any(value in self.refused for values in form.values() for value in values):
            raise InvalidRequest("Invalid user options: there is no such profile")
        return {name: values[0] for name, values in form.items()}

    async def ready_event(self, server: Server, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """Tells whose it is, if it is to."""
        return {**event, "whose": server.key} if self.has_hook else event
