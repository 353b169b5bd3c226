"""
The configured authenticator as the use cases see it: `hub.ports.SignInMethod`.

Applies the rules that all authenticators share, bounds the time that one may take, and translates its
errors. Also the hub's side of local accounts: the `PasswordBook` over the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog
from traitlets.config import Config

from perijove.authenticators.base import Authenticator, AuthResult, KnownUser
from perijove.authenticators.errors import ApprovalPending, SignInRefused
from perijove.authenticators.native import NativeAuthenticator, PasswordBook, Verdict
from perijove.hub.domain.accounts import AccountState
from perijove.hub.domain.errors import (
    AwaitingApproval,
    HubError,
    InvalidName,
    InvalidRequest,
    NotAllowed,
    Unavailable,
    WrongCredentials,
)
from perijove.hub.domain.user_info import read_user_info
from perijove.hub.domain.users import User, check, normalise
from perijove.hub.ports import Authenticated, PasswordHasher, RefreshRules, Store
from perijove.kit.hooks import settled

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
        hooked = await self._hooked(result, name)
        # The hook may have given them another name.
        return self._authenticated(hooked, self._name_of(hooked))

    @property
    def refresh_rules(self) -> RefreshRules:
        """When `refresh` is to be asked: never, if the authenticator has nothing to say."""
        asked = self._authenticator
        if not asked.refreshes:
            return RefreshRules()
        return RefreshRules(
            age=float(asked.auth_refresh_age),
            strict=asked.auth_refresh_strict,
            before_starts=asked.refresh_pre_spawn,
            before_stops=asked.refresh_pre_stop,
        )

    async def refresh(self, user: User, auth_state: Mapping[str, Any] | None) -> Authenticated | bool:
        """
        Judge *user* anew: True, nothing has changed; False, they must sign in again; or what has changed.

        Raises:
            Unavailable: the authenticator took too long, or something is wrong with its source.
        """
        known = KnownUser(name=user.name, admin=user.admin, auth_state=auth_state)
        try:
            async with asyncio.timeout(self._timeout):
                result = await self._authenticator.refresh_user(known)
        # An administrator's program may raise anything; that it cannot judge must not let anybody in or out.
        except Exception as exc:
            log.warning("authenticator.refresh_failed", user=user.name, exc_info=exc)
            raise Unavailable("Whether you may still be here cannot be told right now. Try again in a moment.") from exc
        if isinstance(result, AuthResult):
            return self._authenticated(result, user.name)
        return bool(result)

    async def load_roles(self) -> Sequence[Mapping[str, Any]] | None:
        """
        What roles the method declares; None: it is not the one that says what roles people have.

        Raises:
            InvalidRequest: it cannot declare any, though it must, or declares something else.
            Unavailable: it took too long, or something is wrong with its source.
        """
        if not self._authenticator.manage_roles:
            return None
        try:
            async with asyncio.timeout(self._timeout):
                told = await self._authenticator.load_managed_roles()
        except NotImplementedError as exc:
            raise InvalidRequest(str(exc)) from exc
        # An administrator's program may raise anything; without the roles nobody could be let in as they should be.
        except Exception as exc:
            log.exception("authenticator.roles_not_loaded")
            raise Unavailable("The sign-in method does not say what roles there are (load_managed_roles).") from exc
        if not isinstance(told, list | tuple) or not all(isinstance(role, Mapping) for role in told):
            raise InvalidRequest("load_managed_roles must answer a list of dictionaries, as load_roles has.")
        return tuple(told)

    @property
    def resets_roles(self) -> bool:
        """Whether roles that were given at sign-ins are forgotten at a start."""
        return bool(self._authenticator.reset_managed_roles_on_startup)

    async def state_to_keep(self, person: Authenticated, before: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """What is to be remembered of *person*, as the hook says if there is one; *before*: what is now."""
        hook = self._authenticator.reconcile_auth_state_hook
        if hook is None:
            return person.auth_state
        result = AuthResult(
            name=person.name,
            admin=person.admin,
            auth_state=person.auth_state,
            user_info=person.user_info,
            groups=person.groups,
            roles=person.roles,
        )
        kept: Mapping[str, Any] | None = await settled(hook(self._authenticator, result.to_model(), before))
        return kept

    def _authenticated(self, result: AuthResult, name: str) -> Authenticated:
        groups = result.groups if self._authenticator.manage_groups else None
        if self._authenticator.manage_groups and groups is None:
            raise HubError("The sign-in method says nothing of groups, although Authenticator.manage_groups is set.")
        return Authenticated(
            name=name,
            admin=True if name in self._authenticator.admin_users else result.admin,
            display_name=result.display_name,
            auth_state=result.auth_state,
            user_info=None if result.user_info is None else _user_info(result.user_info, name),
            groups=groups,
            roles=self._roles(result.roles, name) if self._authenticator.manage_roles else None,
        )

    def _roles(self, told: Any, name: str) -> tuple[Mapping[str, Any], ...] | None:
        """What they are is for those to judge who know the others."""
        if told is None or isinstance(told, tuple | list):
            return None if told is None else tuple(told)
        log.error("authenticator.bad_roles", user=name, why="roles must be a list")
        return None

    async def _hooked(self, result: AuthResult, name: str) -> AuthResult:
        hook = self._authenticator.post_auth_hook
        if hook is None:
            return result
        model = await settled(hook(self._authenticator, None, replace(result, name=name).to_model()))
        if model is None:
            raise NotAllowed
        return result.changed_by(model)

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


def _user_info(told: Any, name: str) -> Mapping[str, Any] | None:
    """What can be kept of it: a picture that is wrong keeps nobody out."""
    try:
        return read_user_info(told)
    except InvalidRequest as exc:
        log.warning("authenticator.bad_user_info", user=name, why=exc.message)
        return None
