"""
A whole hub in memory behind its real web application, and browsers and programs that talk to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from traitlets.config import Config

from perijove.authenticators.base import Authenticator
from perijove.authenticators.native import NativeAuthenticator
from perijove.config.settings import HubSettings, Paths
from perijove.hub.domain.accounts import Account, AccountState
from perijove.hub.domain.attempts import AttemptRule
from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.groups import read_groups
from perijove.hub.domain.idle import read_policies
from perijove.hub.domain.origins import origins_of
from perijove.hub.domain.principals import Principal
from perijove.hub.gateways.authenticator import AuthenticatorSignIn, StorePasswordBook, make_authenticator
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.accounts import ChangePassword, FirstAdmin, Invitations, SignUp
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.admission import Admission
from perijove.hub.usecases.audit import AuditLog
from perijove.hub.usecases.audit_failures import FailedSignIns
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.hub.usecases.change_groups import ChangeGroups, ReadGroups
from perijove.hub.usecases.deadlines import Deadlines, KeepServer, Policies
from perijove.hub.usecases.door import Door
from perijove.hub.usecases.doorstep import Doorstep
from perijove.hub.usecases.drive_servers import Driver
from perijove.hub.usecases.group_doors import GroupDoors
from perijove.hub.usecases.groups import GroupBook
from perijove.hub.usecases.identify import Identify
from perijove.hub.usecases.limit_attempts import AttemptLimiter
from perijove.hub.usecases.load_roles import load_roles
from perijove.hub.usecases.membership import Membership
from perijove.hub.usecases.oauth_provider import make_provider
from perijove.hub.usecases.progress_book import ProgressBook
from perijove.hub.usecases.queue_book import QueueBook
from perijove.hub.usecases.reconcile import Proxies, Reconciler
from perijove.hub.usecases.refresh_users import RefreshUsers
from perijove.hub.usecases.reload import Reading
from perijove.hub.usecases.route_table import Routes, RouteTable
from perijove.hub.usecases.server_effects import ServerEffects
from perijove.hub.usecases.server_journal import ServerJournal
from perijove.hub.usecases.servers import ChangeServer, CreateServer, GetServer, RemoveServer, StartServer, StopServer
from perijove.hub.usecases.services import ChangeServices, ServiceDirectory
from perijove.hub.usecases.sessions import Sessions
from perijove.hub.usecases.share_codes import ShareCodes
from perijove.hub.usecases.shares import Shares
from perijove.hub.usecases.sign_in import SessionMaker, SignIn
from perijove.hub.usecases.sign_out import Outbox, Revocations, SignOut
from perijove.hub.usecases.start_breaker import StartBreaker
from perijove.hub.usecases.testing import (
    FakeClock,
    FakeEnvironment,
    FakeHasher,
    FakeProber,
    FakeProxy,
    FakeRandomness,
    FakeSigner,
    FakeSpawners,
    FakeStartOptions,
    FakeVault,
    RecordedServerEvents,
)
from perijove.hub.usecases.tokens import Tokens
from perijove.hub.usecases.users import CreateUsers, DeleteUser, GetUser, ListUsers, PatchUser
from perijove.hub.usecases.vouched import Vouched
from perijove.hub.web.app import make_app
from perijove.hub.web.lab.assets import LabAssets
from perijove.hub.web.metrics import Metrics
from perijove.hub.web.parts import About, Parts
from perijove.kit.tasks import TaskGroup

CONTROL_TOKEN = "control"
PASSWORD = "right horse battery"
HOST = "http://hub.example"
_FIELD = re.compile(r'name="_xsrf" value="([^"]+)"')


def make_settings(**changes: Any) -> HubSettings:
    nowhere = Paths(state=Path("/nowhere"), runtime=Path("/nowhere"))
    settings = HubSettings(
        api_url="http://127.0.0.1:8081/hub/api", db_url="memory", paths=nowhere, control_token=CONTROL_TOKEN
    )
    return replace(settings, **changes)


class Rig:
    """Everything in one place, with the fakes at hand."""

    def __init__(
        self,
        *,
        tasks: TaskGroup,
        settings: HubSettings,
        lab_assets: LabAssets | None = None,
        authenticator: type[Authenticator] = NativeAuthenticator,
    ) -> None:
        self._authenticator = authenticator
        self.store = MemoryStore()
        self.clock = FakeClock()
        self.proxy = FakeProxy()
        self.spawners = FakeSpawners()
        self.prober = FakeProber()
        self.hasher = FakeHasher()
        self.start_options = FakeStartOptions()
        self.shutdowns: list[tuple[bool | None, bool | None]] = []
        #: what reading the configuration again finds; empty: it is wrong
        self.readings: list[Reading[None]] = []
        self.asked_to_reload: list[Principal | None] = []
        self._tasks = tasks
        self._settings = settings
        self._randomness = FakeRandomness()
        self.parts = self._parts(lab_assets)
        self.app = make_app(self.parts)

    def _parts(self, lab_assets: LabAssets | None) -> Parts:
        settings, store, clock, randomness = self._settings, self.store, self.clock, self._randomness
        policy, origins = settings.servers, origins_of(settings)
        roles = load_roles(roles=settings.load_roles, services=settings.services)
        activity = Activity(store=store, clock=clock)
        declared = read_groups(settings.load_groups)
        groups = GroupBook(declared)
        rules = read_policies(settings.cull_policies, groups=groups.names, roles=roles.names)
        policies = Policies(policies=rules, roles=roles, clock=clock, store=store)
        deadlines = Deadlines(clock=clock, activity=activity, policies=policies)
        outbox = Outbox(self.proxy)
        revocations = Revocations(outboxes=[outbox], clock=clock)
        auth_states = AuthStateBook(store=store, vault=FakeVault())
        book = StorePasswordBook(store=store, hasher=self.hasher)
        authenticator = make_authenticator(self._authenticator, config=Config(), book=book)
        method = AuthenticatorSignIn(authenticator=authenticator, store=store)
        doors = GroupDoors(roles=roles, revocations=revocations)
        vouched = Vouched(store=store, clock=clock, method=method, auth_states=auth_states, doors=doors, roles=roles)
        refresh = RefreshUsers(
            store=store,
            clock=clock,
            method=method,
            vouched=vouched,
            auth_states=auth_states,
            revocations=revocations,
            tasks=self._tasks,
        )
        identify = Identify(store=store, clock=clock, roles=roles, activity=activity, refresh=refresh)
        limiter = AttemptLimiter(
            store=store, clock=clock, rule=AttemptRule(per_account=3, per_address=20, window_seconds=300)
        )
        sessions = SessionMaker(store=store, clock=clock, randomness=randomness, policy=settings.sign_in, groups=groups)
        signer = FakeSigner()
        table = RouteTable(proxy=self.proxy, tasks=self._tasks, base_url=settings.base_url, origins=origins)
        self.membership = Membership(store=store, clock=clock, name="rig", lease_seconds=policy.lease_seconds)
        queue = QueueBook(clock=clock)
        breaker = StartBreaker(clock=clock, limit=policy.consecutive_failure_limit)
        progress = ProgressBook(base_url=settings.base_url, origins=origins)
        effects = ServerEffects(
            store=store,
            spawners=self.spawners,
            routes=Routes([table]),
            prober=self.prober,
            clock=clock,
            randomness=randomness,
            environment=FakeEnvironment(),
            roles=roles,
            progress=progress,
            policy=policy,
            base_url=settings.base_url,
            tasks=self._tasks,
        )
        driver = Driver(
            store=store,
            effects=effects,
            spawners=self.spawners,
            queue=queue,
            breaker=breaker,
            progress=progress,
            clock=clock,
            policy=policy,
            tasks=self._tasks,
            membership=self.membership,
            journal=ServerJournal(events=RecordedServerEvents()),
        )
        admission = Admission(store=store, driver=driver, book=queue, progress=progress, breaker=breaker, policy=policy)
        self._tasks.start("queue", admission.run())
        stop_server = StopServer(store=store, clock=clock, driver=driver, refresh=refresh)
        proxies = Proxies(
            gateways=[self.proxy],
            reconcilers=[
                Reconciler(
                    store=store,
                    proxy=self.proxy,
                    routes=table,
                    outbox=outbox,
                    signer=signer,
                    activity=activity,
                    clock=clock,
                    hub_targets=["http+unix://hub"],
                    base_url=settings.base_url,
                    origins=origins,
                )
            ],
        )
        directory = ServiceDirectory(store=store, roles=roles)
        door = Door(
            store=store,
            identify=identify,
            roles=roles,
            revocations=revocations,
            signer=signer,
            clock=clock,
            randomness=randomness,
            base_url=settings.base_url,
        )
        return Parts(
            settings=settings,
            origins=origins,
            clock=clock,
            randomness=randomness,
            cookie_secret=b"cookie secret",
            store=store,
            roles=roles,
            identify=identify,
            sign_in=SignIn(
                store=store,
                clock=clock,
                method=method,
                limiter=limiter,
                sessions=sessions,
                failures=FailedSignIns(store=store, clock=clock),
                vouched=vouched,
                fresh=refresh,
            ),
            auth_states=auth_states,
            sign_out=SignOut(store=store, clock=clock, revocations=revocations),
            sessions=Sessions(store=store, clock=clock, activity=activity, revocations=revocations),
            audit=AuditLog(store=store, clock=clock),
            first_admin=FirstAdmin(store=store, clock=clock, randomness=randomness),
            invitations=Invitations(
                store=store, clock=clock, randomness=randomness, hasher=self.hasher, sessions=sessions
            ),
            sign_up=SignUp(
                store=store, clock=clock, hasher=self.hasher, limiter=limiter, allowed=settings.sign_in.allow_signup
            ),
            change_password=ChangePassword(
                store=store, clock=clock, hasher=self.hasher, limiter=limiter, revocations=revocations
            ),
            create_users=CreateUsers(store=store, clock=clock, groups=groups),
            get_user=GetUser(store=store, activity=activity),
            list_users=ListUsers(store=store, activity=activity),
            delete_user=DeleteUser(
                store=store,
                clock=clock,
                stop_server=stop_server,
                revocations=revocations,
                stop_timeout=policy.slow_stop_seconds,
            ),
            services=directory,
            change_services=ChangeServices(
                store=store, clock=clock, roles=roles, revocations=revocations, directory=directory, routes=proxies
            ),
            read_groups=ReadGroups(store=store),
            change_groups=ChangeGroups(store=store, clock=clock, roles=roles, revocations=revocations),
            patch_user=PatchUser(store=store, clock=clock, revocations=revocations, auth_states=auth_states),
            tokens=Tokens(store=store, clock=clock, randomness=randomness, roles=roles, revocations=revocations),
            oauth=make_provider(
                store=store,
                clock=clock,
                randomness=randomness,
                roles=roles,
                scopes=self.spawners,
                identify=identify,
                revocations=revocations,
                settings=settings,
            ),
            start_server=StartServer(
                store=store, clock=clock, driver=driver, breaker=breaker, policy=policy, refresh=refresh
            ),
            stop_server=stop_server,
            get_server=GetServer(store=store, activity=activity),
            keep_server=KeepServer(store=store, clock=clock, activity=activity, deadlines=deadlines),
            create_server=CreateServer(store=store, clock=clock, policy=policy),
            change_server=ChangeServer(store=store, clock=clock, policy=policy, revocations=revocations),
            remove_server=RemoveServer(store=store, revocations=revocations),
            spawn_place=self.spawners,
            start_options=self.start_options,
            shares=Shares(store=store, clock=clock, revocations=revocations),
            share_codes=ShareCodes(store=store, clock=clock, randomness=randomness, revocations=revocations),
            driver=driver,
            queue=queue,
            proxies=proxies,
            door=door,
            doorstep=Doorstep(
                store=store,
                identify=identify,
                door=door,
                signer=signer,
                clock=clock,
                randomness=randomness,
                origins=origins,
                hub_prefix=settings.hub_prefix,
            ),
            activity=activity,
            deadlines=deadlines,
            about=About(
                spawner_class="fake", spawner_version="0", authenticator_class="native", authenticator_version="0"
            ),
            metrics=Metrics(),
            lab_assets=lab_assets,
            reload=self._reload,
            shut_down=lambda servers, proxy: self.shutdowns.append((servers, proxy)),
        )

    async def _reload(self, by: Principal | None) -> Reading[None]:
        self.asked_to_reload.append(by)
        if not self.readings:
            raise InvalidRequest("Nothing was changed. config.py:2: there is no c.Perijove.prot.")
        return self.readings.pop()

    async def add_user(self, name: str, *, admin: bool = False) -> None:
        """Somebody with a local account and the password of everybody."""
        await self.membership.keep()
        async with self.store.unit() as unit:
            await unit.users.add(name=name, admin=admin, created=self.clock.now())
            password_hash = await self.hasher.hash(PASSWORD)
            await unit.accounts.put(
                Account(name=name, password_hash=password_hash, state=AccountState.ACTIVE, created=self.clock.now())
            )

    async def token(self, name: str, scopes: Sequence[str] | None = None) -> str:
        """A new token of that user."""
        user = await self.parts.get_user(name)
        principal = await self._principal(name)
        _, text = await self.parts.tokens.create(user=user, maker=principal, scopes=scopes)
        return text

    async def start(self, name: str, server: str = "") -> None:
        """Start a server and wait until it is ready."""
        user = await self.parts.get_user(name)
        row = await self.parts.start_server(user, server)
        settled = await self.parts.driver.settled(row.id, 5)
        assert settled.is_ready

    async def _principal(self, name: str) -> Any:
        async with self.store.unit() as unit:
            user = await unit.users.by_name(name)
        assert user is not None
        maker = SessionMaker(
            store=self.store, clock=self.clock, randomness=self._randomness, policy=self._settings.sign_in
        )
        signed_in = await maker.open(user, "", "")
        found = await self.parts.identify.by_session(signed_in.secret)
        assert found is not None
        return found[1]

    def client(self, **headers: str) -> httpx.AsyncClient:
        """Something that speaks HTTP to the hub."""
        # Errors of the application become answers, as behind a real server.
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False, client=("10.0.0.9", 4711))
        return httpx.AsyncClient(transport=transport, base_url=HOST, headers=headers)

    def proxied_transport(self) -> httpx.ASGITransport:
        """As the proxy comes: over a unix socket, so without an address."""
        return httpx.ASGITransport(app=self.app, raise_app_exceptions=False, client=("", 0))

    def program(self, token: str) -> httpx.AsyncClient:
        """A program with a token."""
        return self.client(Authorization=f"token {token}")

    def browser(self) -> Browser:
        """A browser that nobody is signed in to."""
        return Browser(self.client(**NAVIGATION))

    async def signed_in(self, name: str) -> Browser:
        """A browser in which *name* has signed in; their server is not started by it."""
        browser = self.browser()
        await browser.get("/hub/login")
        answer = await browser.post("/hub/login?next=/hub/home", username=name, password=PASSWORD)
        assert answer.headers["location"] == "/hub/home", answer.text
        return browser


NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "same-origin",
}
SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}


class Browser:
    """Keeps cookies, and fills the token of the page that it saw last into every form."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.xsrf = ""

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        answer = await self.client.get(path, headers=headers)
        self._look(answer)
        return answer

    async def post(self, path: str, **fields: str | list[str]) -> httpx.Response:
        answer = await self.client.post(path, data={"_xsrf": self.xsrf, **fields})
        self._look(answer)
        return answer

    def _look(self, answer: httpx.Response) -> None:
        found = _FIELD.search(answer.text)
        if found:
            self.xsrf = found[1]
