"""
Signing in: from a filled-in form to a session whose secret the browser will hold.

The judgement of the form is the sign-in method's; limits on attempts, the user's row and the session are made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import structlog

from perijove.config.settings import SignInPolicy
from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import AwaitingApproval, NotAllowed, TooManyAttempts, WrongCredentials
from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.users import User, normalise
from perijove.hub.ports import Authenticated, SignInMethod, Store, Unit
from perijove.hub.usecases.alone import alone_with
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.audit_failures import FailedSignIns
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.hub.usecases.groups import GroupBook
from perijove.hub.usecases.limit_attempts import AttemptLimiter
from perijove.kit.clock import Clock, Randomness

log = structlog.get_logger(__name__)

#: Longest name that is counted and logged.
MAX_ACCOUNT: Final = 255
#: What the log and the audit log call a refusal.
_WHY: Final = {
    WrongCredentials: "wrong credentials",
    NotAllowed: "not allowed",
    AwaitingApproval: "waits for approval",
}
#: Longest browser name kept with a session.
MAX_USER_AGENT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A new session. The secret is shown here once: it goes into the cookie."""

    user: User
    session: Session
    secret: str


class SessionMaker:
    """Opens sessions: after sign-in, an accepted invitation, the first administrator's link."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        randomness: Randomness,
        policy: SignInPolicy,
        groups: GroupBook | None = None,
    ) -> None:
        self._store = store
        self._groups = groups or GroupBook()
        self._clock = clock
        self._randomness = randomness
        self._policy = policy

    async def open(self, user: User, address: str, user_agent: str) -> SignedIn:
        """A new session of *user*, in a transaction of its own."""
        async with self._store.unit() as unit:
            return await self.open_in(unit, user, address, user_agent)

    async def open_in(self, unit: Unit, user: User, address: str, user_agent: str) -> SignedIn:
        """A new session of *user*, as a part of *unit*."""
        now = self._clock.now()
        secret = self._randomness.token(32)
        session = Session(
            id=self._randomness.hex(16),
            user_id=user.id,
            secret_hash=hash_secret(secret),
            created=now,
            last_seen=now,
            expires_at=now + timedelta(days=self._policy.session_days),
            address=address,
            user_agent=user_agent[:MAX_USER_AGENT],
        )
        await unit.sessions.add(session)
        await unit.users.touch({user.name: now})
        await self._groups.join(unit, user)
        await record(unit, Action.SIGNED_IN, at=now, by=themselves(user, address), target=user.name, **_seen(session))
        log.info("session.opened", user=user.name, address=address)
        return SignedIn(user=replace(user, last_activity=now), session=session, secret=secret)


def themselves(user: User, address: str) -> Principal:
    """*user*, who has just proved who they are, as the one who does something: for the audit log, without scopes."""
    return Principal(
        kind=Kind.USER, name=user.name, scopes=frozenset(), user_id=user.id, admin=user.admin, address=address
    )


def _seen(session: Session) -> dict[str, str]:
    return {"session": session.id, "browser": session.user_agent}


class SignIn:
    """Lets somebody in who can prove who they are."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        method: SignInMethod,
        limiter: AttemptLimiter,
        sessions: SessionMaker,
        failures: FailedSignIns,
        auth_states: AuthStateBook,
        admin_users: frozenset[str] = frozenset(),
    ) -> None:
        self._failures = failures
        self._auth_states = auth_states
        self._store = store
        self._clock = clock
        self._method = method
        self._limiter = limiter
        self._sessions = sessions
        self._admin_users = admin_users

    async def __call__(self, *, form: Mapping[str, str], address: str, user_agent: str) -> SignedIn:
        """
        Judge *form* and open a session; the first sign-in makes the user's row.

        Raises:
            TooManyAttempts: too many failures of late, for this account or from this address.
            WrongCredentials: the form does not prove anything.
            NotAllowed: this person may not enter.
            AwaitingApproval: an administrator must approve the account first.
        """
        # A longer name is nobody's.
        account = normalise(form.get("username", "")[:MAX_ACCOUNT])
        person = await self._judge(form, account, address)
        async with self._store.unit() as unit:
            # Together with the session: if that cannot be made, the attempt stays counted, which does no harm.
            await self._limiter.succeeded_in(unit, account=account, address=address)
            user = await self._row_of(unit, person, address)
            await self._auth_states.put_in(unit, user, person.auth_state)
            return await self._sessions.open_in(unit, user, address, user_agent)

    async def _judge(self, form: Mapping[str, str], account: str, address: str) -> Authenticated:
        try:
            await self._limiter.count(account=account, address=address)
            return await self._method.sign_in(form)
        except TooManyAttempts:
            self._failures.count(address)
            raise
        except (WrongCredentials, NotAllowed, AwaitingApproval) as refusal:
            why = _WHY.get(type(refusal), "refused")
            self._failures.note(account=account, address=address, why=why)
            log.info("sign_in.refused", account=account, address=address, why=why)
            raise

    async def _row_of(self, unit: Unit, person: Authenticated, address: str) -> User:
        admin = True if person.name in self._admin_users else person.admin
        user = await unit.users.by_name(person.name)
        if user is None:
            # Two browsers may come with the same new name at once.
            await alone_with(unit, person.name)
            user = await unit.users.by_name(person.name)
        if user is None:
            log.info("user.added", user=person.name, admin=bool(admin), by="sign-in")
            now = self._clock.now()
            user = await unit.users.add(
                name=person.name, admin=bool(admin), created=now, display_name=person.display_name
            )
            told = themselves(user, address)
            await record(unit, Action.USER_ADDED, at=now, by=told, target=user.name, how="sign-in", admin=user.admin)
            return user
        if admin is not None and admin != user.admin:
            await unit.users.set_admin(user.id, admin=admin)
            # The configuration or the sign-in method says so, not the person.
            await record(unit, Action.USER_CHANGED, at=self._clock.now(), by=None, target=user.name, admin=admin)
            return replace(user, admin=admin)
        return user
