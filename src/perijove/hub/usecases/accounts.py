"""
Local accounts: the first administrator's link, invitations, signing up with approval, changing a password.

A one-time code is shown once and kept as a hash. Taking it and making what it stands for is one transaction,
so that a code works once and a failed attempt does not spend it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog

from perijove.hub.domain.accounts import (
    FIRST_ADMIN_LINK_LIFE,
    Account,
    AccountState,
    Invitation,
    InvitationKind,
    check_password,
)
from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NoSuchInvitation,
    NoSuchUser,
    NotAllowed,
    WrongCredentials,
)
from perijove.hub.domain.principals import Principal, themselves
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.users import User, check, normalise
from perijove.hub.ports import PasswordHasher, Store, Unit
from perijove.hub.usecases.alone import alone_with
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.end_sessions import end_sessions
from perijove.hub.usecases.limit_attempts import AttemptLimiter
from perijove.hub.usecases.sign_in import SessionMaker, SignedIn
from perijove.hub.usecases.sign_out import Revocations
from perijove.kit.clock import Clock, Randomness

log = structlog.get_logger(__name__)

#: Longest life of an invitation, in days.
MAX_INVITATION_DAYS: Final = 90.0
#: what whoever makes the first administrator, or a link for one, is alone with
FIRST_ADMIN: Final = "first administrator"
#: Accounts that may wait for approval at once: strangers must not fill the database.
MAX_WAITING: Final = 1000


class FirstAdmin:
    """The link that makes the first administrator."""

    def __init__(self, *, store: Store, clock: Clock, randomness: Randomness) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness

    async def link_code(self) -> str | None:
        """A new one-time code that voids older ones; None if there is an administrator."""
        code = self._randomness.token(24)
        now = self._clock.now()
        async with self._store.unit() as unit:
            await unit.alone(FIRST_ADMIN)
            await _void_first_admin_codes(unit)
            if await unit.users.has_admin():
                return None
            await unit.accounts.add_invitation(
                Invitation(
                    id=0,
                    kind=InvitationKind.FIRST_ADMIN,
                    code_hash=hash_secret(code),
                    name="",
                    created=now,
                    expires_at=now + FIRST_ADMIN_LINK_LIFE,
                )
            )
        return code


async def _void_first_admin_codes(unit: Unit) -> None:
    for invitation in await unit.accounts.invitations():
        if invitation.kind is InvitationKind.FIRST_ADMIN:
            await unit.accounts.delete_invitation(invitation.id)


class Invitations:
    """One-time links that make accounts."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        randomness: Randomness,
        hasher: PasswordHasher,
        sessions: SessionMaker,
        reserved: frozenset[str] = frozenset(),
    ) -> None:
        """
        Args:
            store: where accounts are.
            clock: the time.
            randomness: for codes.
            hasher: of passwords.
            sessions: for whoever accepts.
            reserved: names that the configuration gives rights to: nobody chooses one of them.
        """
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._hasher = hasher
        self._sessions = sessions
        self._reserved = reserved

    async def invite(self, principal: Principal, *, name: str = "", days: float = 7.0) -> tuple[Invitation, str]:
        """
        A new link; the code is shown here once.

        Raises:
            InvalidName: *name* can be nobody's.
            InvalidRequest: *days* is not more than zero and at most `MAX_INVITATION_DAYS`.
            AlreadyExists: there is an account of that name.
        """
        if not 0 < days <= MAX_INVITATION_DAYS:
            raise InvalidRequest(f"An invitation lives up to {MAX_INVITATION_DAYS:.0f} days.")
        wanted = check(normalise(name)) if name.strip() else ""
        code = self._randomness.token(24)
        now = self._clock.now()
        async with self._store.unit() as unit:
            account = await unit.accounts.get(wanted) if wanted else None
            if account is not None and account.state is not AccountState.RETIRED:
                raise AlreadyExists(f"There is an account {wanted!r} already.")
            invitation = await unit.accounts.add_invitation(
                Invitation(
                    id=0,
                    kind=InvitationKind.USER,
                    code_hash=hash_secret(code),
                    name=wanted,
                    created=now,
                    expires_at=now + timedelta(days=days),
                    created_by=principal.name,
                )
            )
        log.info("invitation.made", by=principal.name, for_user=wanted)
        return invitation, code

    async def look(self, code: str) -> Invitation:
        """
        What a link stands for, without spending it.

        Raises:
            NoSuchInvitation: it was used, has ended, or never existed.
        """
        async with self._store.unit() as unit:
            return self._valid(await unit.accounts.invitation(hash_secret(code)))

    async def accept(self, code: str, *, name: str, password: str, address: str, user_agent: str) -> SignedIn:
        """
        Make the account that a link stands for, and sign in.

        Raises:
            NoSuchInvitation: the link is not valid.
            InvalidName: *name* can be nobody's.
            WeakPassword: *password* is too short.
            AlreadyExists: the name is taken; the link still works.
        """
        invited = await self.look(code)
        wanted = invited.name or check(normalise(name))
        password_hash = await self._hasher.hash(check_password(password))
        async with self._store.unit() as unit:
            await alone_with(unit, wanted)
            invitation = self._valid(await unit.accounts.take_invitation(hash_secret(code)))
            user = await self._make(unit, invitation, wanted, password_hash)
            how = "invitation" if invitation.kind is InvitationKind.USER else "first administrator's link"
            await record(
                unit,
                Action.USER_ADDED,
                at=self._clock.now(),
                by=themselves(user, address),
                target=user.name,
                how=how,
                invited_by=invitation.created_by,
                admin=user.admin,
            )
            signed_in = await self._sessions.open_in(unit, user, address, user_agent)
        log.info("invitation.accepted", user=user.name, kind=invitation.kind.value, address=address)
        return signed_in

    async def list(self, principal: Principal) -> Sequence[Invitation]:  # noqa: ARG002  # decided by the caller
        """Links that can still be used, without the first administrator's."""
        now = self._clock.now()
        async with self._store.unit() as unit:
            rows = await unit.accounts.invitations()
        return [row for row in rows if row.kind is InvitationKind.USER and row.expires_at > now]

    async def withdraw(self, principal: Principal, invitation_id: int) -> None:
        """Make a link useless."""
        async with self._store.unit() as unit:
            await unit.accounts.delete_invitation(invitation_id)
        log.info("invitation.withdrawn", by=principal.name, invitation=invitation_id)

    def _valid(self, invitation: Invitation | None) -> Invitation:
        if invitation is None or invitation.expires_at <= self._clock.now():
            raise NoSuchInvitation
        return invitation

    async def _make(self, unit: Unit, invitation: Invitation, name: str, password_hash: str) -> User:
        first = invitation.kind is InvitationKind.FIRST_ADMIN
        if first:
            await unit.alone(FIRST_ADMIN)
        if first and await unit.users.has_admin():
            raise NoSuchInvitation
        account, user = await unit.accounts.get(name), await unit.users.by_name(name)
        # A row without an account was added by an administrator, and a retired name may have files on the machine:
        # only an invitation to that very name may take either. The same goes for names that the configuration knows.
        is_spoken_for = user is not None or account is not None or (name in self._reserved and not first)
        has_account = account is not None and account.state is not AccountState.RETIRED
        if has_account or (is_spoken_for and invitation.name != name):
            raise AlreadyExists(f"The name {name!r} is taken.")
        now = self._clock.now()
        if user is None:
            user = await unit.users.add(name=name, admin=first, created=now)
        await unit.accounts.put(Account(name=name, password_hash=password_hash, state=AccountState.ACTIVE, created=now))
        return user


class SignUp:
    """Strangers ask for an account; an administrator approves or refuses."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        hasher: PasswordHasher,
        limiter: AttemptLimiter,
        allowed: bool,
        reserved: frozenset[str] = frozenset(),
    ) -> None:
        """
        Args:
            store: where accounts are.
            clock: the time.
            hasher: of passwords.
            limiter: of attempts.
            allowed: whether strangers may ask at all.
            reserved: names that the configuration gives rights to: nobody can ask for one of them.
        """
        self._store = store
        self._clock = clock
        self._hasher = hasher
        self._limiter = limiter
        self._allowed = allowed
        self._reserved = reserved

    async def __call__(self, *, name: str, password: str, address: str) -> None:
        """
        Ask for an account. The answer is the same whether or not the name is taken.

        Raises:
            NotAllowed: strangers cannot sign up here.
            InvalidName: *name* can be nobody's.
            WeakPassword: *password* is too short.
            TooManyAttempts: too many from this address.
        """
        if not self._allowed:
            raise NotAllowed("Signing up is not open here: ask for an invitation.")
        wanted = check(normalise(name))
        await self._limiter.count(account="", address=address)
        # Hashed even if the name is taken, so that the time it takes tells nothing.
        password_hash = await self._hasher.hash(check_password(password))
        async with self._store.unit() as unit:
            await alone_with(unit, wanted)
            if await self._is_taken(unit, wanted):
                log.info("sign_up.ignored", user=wanted, address=address)
                return
            await unit.accounts.put(
                Account(name=wanted, password_hash=password_hash, state=AccountState.WAITING, created=self._clock.now())
            )
        log.info("sign_up.waiting", user=wanted, address=address)

    async def waiting(self, principal: Principal) -> Sequence[Account]:  # noqa: ARG002  # decided by the caller
        """Accounts that wait for approval, oldest first."""
        async with self._store.unit() as unit:
            return await unit.accounts.in_state(AccountState.WAITING)

    async def approve(self, principal: Principal, name: str) -> User:
        """
        Let somebody in who signed up.

        Raises:
            NoSuchUser: nobody of that name waits.
        """
        async with self._store.unit() as unit:
            await alone_with(unit, normalise(name))
            account = await self._waiting(unit, name)
            await unit.accounts.put(replace(account, state=AccountState.ACTIVE))
            user = await unit.users.by_name(account.name)
            if user is None:
                user = await unit.users.add(name=account.name, admin=False, created=self._clock.now())
            now = self._clock.now()
            await record(unit, Action.USER_ADDED, at=now, by=principal, target=user.name, how="approval", admin=False)
        log.info("sign_up.approved", user=user.name, by=principal.name)
        return user

    async def refuse(self, principal: Principal, name: str) -> None:
        """
        Forget somebody who signed up.

        Raises:
            NoSuchUser: nobody of that name waits.
        """
        async with self._store.unit() as unit:
            await alone_with(unit, normalise(name))
            account = await self._waiting(unit, name)
            await unit.accounts.delete(account.name)
        log.info("sign_up.refused", user=account.name, by=principal.name)

    async def _is_taken(self, unit: Unit, name: str) -> bool:
        if name in self._reserved:
            return True
        if await unit.accounts.get(name) is not None or await unit.users.by_name(name) is not None:
            return True
        return len(await unit.accounts.in_state(AccountState.WAITING)) >= MAX_WAITING

    async def _waiting(self, unit: Unit, name: str) -> Account:
        account = await unit.accounts.get(normalise(name))
        if account is None or account.state is not AccountState.WAITING:
            raise NoSuchUser("Nobody of that name waits for approval.")
        return account


class ChangePassword:
    """A new password; other sessions of the user end."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        hasher: PasswordHasher,
        limiter: AttemptLimiter,
        revocations: Revocations,
    ) -> None:
        self._store = store
        self._clock = clock
        self._hasher = hasher
        self._limiter = limiter
        self._revocations = revocations

    async def __call__(self, user: User, *, old: str, new: str, keep: str = "", address: str = "") -> None:
        """
        Change *user*'s password, and end every session but the one whose id is *keep*.

        Raises:
            WrongCredentials: *old* is wrong, or the user has no password here.
            WeakPassword: *new* is too short.
            TooManyAttempts: too many wrong ones of late.
            Conflict: the account was changed meanwhile.
        """
        await self._limiter.count(account=user.name, address=address)
        async with self._store.unit() as unit:
            account = await unit.accounts.get(user.name)
        if account is None or not await self._hasher.verify(account.password_hash, old):
            raise WrongCredentials("The present password is wrong.")
        await self._limiter.succeeded(account=user.name, address=address)
        password_hash = await self._hasher.hash(check_password(new))
        async with self._store.unit() as unit:
            await alone_with(unit, user.name)
            if await unit.accounts.get(user.name) != account:
                raise Conflict("The account was changed by somebody else in the meantime.")
            await unit.accounts.put(replace(account, password_hash=password_hash))
            others = [session for session in await unit.sessions.of_user(user.id) if session.id != keep]
            sids = await end_sessions(unit, user, others)
            await record(
                unit,
                Action.PASSWORD_CHANGED,
                at=self._clock.now(),
                by=themselves(user, address),
                target=user.name,
                sessions_ended=len(others),
            )
        log.info("password.changed", user=user.name, sessions_ended=len(others))
        await self._revocations.revoke_all(sids)
