"""
Signing in: from a filled-in form to a session whose secret the browser will hold.

The judgement of the form is the sign-in method's; limits on attempts, the user's row and the session are made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Protocol

import structlog

from perijove.config.settings import SignInPolicy
from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import AwaitingApproval, NotAllowed, TooManyAttempts, WrongCredentials
from perijove.hub.domain.principals import themselves
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.users import User, normalise
from perijove.hub.ports import Authenticated, SignInMethod, Store, Unit
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.audit_failures import FailedSignIns
from perijove.hub.usecases.groups import GroupBook
from perijove.hub.usecases.limit_attempts import AttemptLimiter
from perijove.hub.usecases.vouched import Vouched
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


def _seen(session: Session) -> dict[str, str]:
    return {"session": session.id, "browser": session.user_agent}


class Notes(Protocol):
    """Takes note of who has just proved who they are."""

    def note(self, user: User) -> None:
        """*user* has."""
        ...


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
        vouched: Vouched,
        fresh: Notes,
    ) -> None:
        self._failures = failures
        self._vouched = vouched
        self._fresh = fresh
        self._store = store
        self._clock = clock
        self._method = method
        self._limiter = limiter
        self._sessions = sessions

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
        person = await self._vouched.settled(await self._judge(form, account, address))
        async with self._store.unit() as unit:
            # Together with the session: if that cannot be made, the attempt stays counted, which does no harm.
            await self._limiter.succeeded_in(unit, account=account, address=address)
            adopted = await self._vouched.arrived(unit, person, address)
            signed_in = await self._sessions.open_in(unit, adopted.user, address, user_agent)
        self._fresh.note(adopted.user)
        await self._vouched.close(adopted)
        return signed_in

    async def prove(self, *, form: Mapping[str, str], address: str) -> User:
        """
        Who has filled in *form*, of those who have been here before; no session is opened.

        Raises:
            TooManyAttempts: too many failures of late, for this account or from this address.
            WrongCredentials: the form does not prove anything.
            NotAllowed: this person may not enter, or never has.
            AwaitingApproval: an administrator must approve the account first.
        """
        account = normalise(form.get("username", "")[:MAX_ACCOUNT])
        person = await self._judge(form, account, address)
        async with self._store.unit() as unit:
            await self._limiter.succeeded_in(unit, account=account, address=address)
            user = await unit.users.by_name(person.name)
        if user is None:
            raise NotAllowed
        return user

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
