"""
The configured authenticator as the use cases see it: `hub.ports.SignInMethod`.

Applies the rules that all authenticators share, bounds the time that one may take, and translates its
errors. Also the hub's side of local accounts: the `PasswordBook` over the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from traitlets.config import Config

from perijove.authenticators.base import Authenticator, AuthResult
from perijove.authenticators.errors import ApprovalPending, SignInRefused
from perijove.authenticators.native import NativeAuthenticator, PasswordBook, Verdict
from perijove.hub.domain.accounts import AccountState
from perijove.hub.domain.errors import AwaitingApproval, InvalidName, NotAllowed, Unavailable, WrongCredentials
from perijove.hub.domain.users import check, normalise
from perijove.hub.ports import Authenticated, PasswordHasher, Store

log = structlog.get_logger(__name__)


class StorePasswordBook:
    """Local accounts, as the store has them."""

    def __init__(self, *, store: Store, hasher: PasswordHasher) -> None:
        self._store = store
        self._hasher = hasher

    async def judge(self, name: str, password: str) -> Verdict:
        """
        Compare with the stored hash. An unknown name costs the same: the hasher knows that an
        empty hash is to be compared with one that nobody has.
        """
        async with self._store.reading() as unit:
            account = await unit.accounts.get(normalise(name))
        right = await self._hasher.verify(account.password_hash if account else "", password)
        if account is None or not right:
            return Verdict.WRONG
        return Verdict.RIGHT if account.state is AccountState.ACTIVE else Verdict.WAITING


def make_authenticator(kind: type[Authenticator], *, config: Config, book: PasswordBook) -> Authenticator:
    """An instance of *kind*; only the native one needs the book."""
    extra: dict[str, Any] = {"book": book} if issubclass(kind, NativeAuthenticator) else {}
    authenticator = kind(config=config, **extra)
    if not authenticator.lets_somebody_in:
        log.warning("authenticator.nobody_allowed", hint="set allow_all, allowed_users or admin_users")
    return authenticator


class AuthenticatorSignIn:
    """Asks the authenticator, then applies the allow and block rules."""

    def __init__(self, *, authenticator: Authenticator, store: Store, timeout: float = 30.0) -> None:
        self._authenticator = authenticator
        self._store = store
        self._timeout = timeout

    async def sign_in(self, form: Mapping[str, str]) -> Authenticated:
        """
        Judge the fields of the sign-in form.

        Raises:
            WrongCredentials: the credentials are wrong.
            NotAllowed: they are right, but this person may not enter.
            AwaitingApproval: an administrator must approve the account first.
            Unavailable: the authenticator took too long.
        """
        result = await self._ask(form)
        if result is None:
            raise WrongCredentials
        name = self._name_of(result)
        if self._authenticator.is_blocked(name) or not await self._is_allowed(name):
            raise NotAllowed
        admin = True if name in self._authenticator.admin_users else result.admin
        return Authenticated(name=name, admin=admin, display_name=result.display_name, auth_state=result.auth_state)

    async def _ask(self, form: Mapping[str, str]) -> AuthResult | None:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._authenticator.authenticate(form)
        except ApprovalPending as exc:
            raise AwaitingApproval(str(exc)) from exc
        except SignInRefused as exc:
            raise NotAllowed(str(exc)) from exc
        except TimeoutError as exc:
            raise Unavailable("Signing in takes too long right now. Try again in a moment.") from exc

    def _name_of(self, result: AuthResult) -> str:
        try:
            name = check(normalise(self._authenticator.normalize_username(result.name)))
        except InvalidName as exc:
            raise WrongCredentials from exc
        if not self._authenticator.is_valid(name):
            raise NotAllowed
        return name

    async def _is_allowed(self, name: str) -> bool:
        async with self._store.reading() as unit:
            exists = await unit.users.by_name(name) is not None
        return self._authenticator.is_allowed(name, exists=exists)
