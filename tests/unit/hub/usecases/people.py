"""
What tests of people's use cases need: a store with somebody in it, and the parts around.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perijove.config.settings import ServerPolicy, SignInPolicy
from perijove.hub.domain.attempts import AttemptRule
from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.domain.users import User
from perijove.hub.ports import Store
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.accounts import ChangePassword, FirstAdmin, Invitations, SignUp
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.audit import AuditLog
from perijove.hub.usecases.audit_failures import FailedSignIns
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.hub.usecases.door import Door
from perijove.hub.usecases.group_doors import GroupDoors
from perijove.hub.usecases.identify import Identify
from perijove.hub.usecases.limit_attempts import AttemptLimiter
from perijove.hub.usecases.load_roles import load_roles
from perijove.hub.usecases.refresh_users import RefreshUsers
from perijove.hub.usecases.sessions import Sessions
from perijove.hub.usecases.sign_in import SessionMaker, SignedIn, SignIn
from perijove.hub.usecases.sign_out import Outbox, Revocations, SignOut
from perijove.hub.usecases.testing import (
    FakeClock,
    FakeHasher,
    FakeProxy,
    FakeRandomness,
    FakeSigner,
    FakeSignIn,
    FakeVault,
)
from perijove.hub.usecases.tokens import Tokens
from perijove.hub.usecases.vouched import Vouched
from perijove.kit.tasks import TaskGroup

PASSWORD = "a long password"
POLICY = ServerPolicy()


class People:
    """The use cases about people, over the store in memory, or over another."""

    def __init__(
        self,
        *,
        roles: Sequence[Mapping[str, Any]] = (),
        services: Sequence[Mapping[str, Any]] = (),
        admin_users: Sequence[str] = (),
        blocked_users: Sequence[str] = (),
        max_token_seconds: int = 0,
        allow_signup: bool = True,
        store: Store | None = None,
        randomness: FakeRandomness | None = None,
        managed_roles: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        policy = SignInPolicy()
        self.store = store or MemoryStore()
        self.clock = FakeClock()
        self.proxy = FakeProxy()
        self.randomness = randomness or FakeRandomness()
        self.signer = FakeSigner()
        self.roles = load_roles(roles=roles, services=services, loaded=managed_roles)
        self.activity = Activity(store=self.store, clock=self.clock)
        self.outbox = Outbox(self.proxy)
        self.revocations = Revocations(outboxes=[self.outbox], clock=self.clock)
        self.limiter = AttemptLimiter(
            store=self.store,
            clock=self.clock,
            rule=AttemptRule(per_account=3, per_address=10, window_seconds=60),
        )
        self.sessions = SessionMaker(store=self.store, clock=self.clock, randomness=self.randomness, policy=policy)
        self.failures = FailedSignIns(store=self.store, clock=self.clock)
        self.method = FakeSignIn(admins=["root"])
        self.vault = FakeVault()
        self.auth_states = AuthStateBook(store=self.store, vault=self.vault)
        self.tasks = TaskGroup("people")
        self.vouched = Vouched(
            store=self.store,
            clock=self.clock,
            method=self.method,
            auth_states=self.auth_states,
            doors=GroupDoors(roles=self.roles, revocations=self.revocations),
            roles=self.roles,
            admin_users=frozenset(admin_users),
        )
        self.refresh = RefreshUsers(
            store=self.store,
            clock=self.clock,
            method=self.method,
            vouched=self.vouched,
            auth_states=self.auth_states,
            revocations=self.revocations,
            tasks=self.tasks,
        )
        self.sign_in = SignIn(
            store=self.store,
            clock=self.clock,
            method=self.method,
            limiter=self.limiter,
            sessions=self.sessions,
            failures=self.failures,
            vouched=self.vouched,
            fresh=self.refresh,
        )
        self.sign_out = SignOut(store=self.store, clock=self.clock, revocations=self.revocations)
        self.identify = Identify(
            store=self.store,
            clock=self.clock,
            roles=self.roles,
            activity=self.activity,
            blocked_users=frozenset(blocked_users),
            refresh=self.refresh,
        )
        self.audit = AuditLog(store=self.store, clock=self.clock)
        self.own_sessions = Sessions(
            store=self.store, clock=self.clock, activity=self.activity, revocations=self.revocations
        )
        self.first_admin = FirstAdmin(store=self.store, clock=self.clock, randomness=self.randomness)
        hasher = FakeHasher()
        self.invitations = Invitations(
            store=self.store,
            clock=self.clock,
            randomness=self.randomness,
            hasher=hasher,
            sessions=self.sessions,
            reserved=frozenset(admin_users),
        )
        self.sign_up = SignUp(
            store=self.store,
            clock=self.clock,
            hasher=hasher,
            limiter=self.limiter,
            allowed=allow_signup,
            reserved=frozenset(admin_users),
        )
        self.change_password = ChangePassword(
            store=self.store, clock=self.clock, hasher=hasher, limiter=self.limiter, revocations=self.revocations
        )
        self.tokens = Tokens(
            store=self.store,
            clock=self.clock,
            randomness=self.randomness,
            roles=self.roles,
            revocations=self.revocations,
            max_seconds=max_token_seconds,
        )
        self.door = Door(
            store=self.store,
            identify=self.identify,
            roles=self.roles,
            revocations=self.revocations,
            signer=self.signer,
            clock=self.clock,
            randomness=self.randomness,
            base_url="/",
        )

    async def enter(self, name: str = "ada") -> SignedIn:
        """Sign *name* in."""
        return await self.sign_in(
            form={"username": name, "password": "secret"}, address="10.0.0.1", user_agent="a browser"
        )

    async def user(self, name: str) -> User:
        """The row of *name*."""
        async with self.store.unit() as unit:
            user = await unit.users.by_name(name)
        assert user is not None
        return user

    async def principal(self, name: str = "ada") -> Principal:
        """*name*, signed in."""
        found = await self.identify.by_session((await self.enter(name)).secret)
        assert found is not None
        return found[1]


def service(name: str, *scopes: str) -> Principal:
    """A service with these expanded scopes."""
    return Principal(kind=Kind.SERVICE, name=name, scopes=frozenset(scopes), token_id=f"s-{name}")
