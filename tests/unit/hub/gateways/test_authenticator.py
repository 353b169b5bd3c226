from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs
from traitlets.config import Config

from perijove.authenticators.base import Authenticator, AuthResult
from perijove.authenticators.dummy import DummyAuthenticator
from perijove.authenticators.errors import SignInRefused
from perijove.authenticators.native import NativeAuthenticator, Verdict
from perijove.authenticators.testing import MemoryPasswordBook, form
from perijove.hub.domain.accounts import Account, AccountState
from perijove.hub.domain.errors import AwaitingApproval, NotAllowed, Unavailable, WrongCredentials
from perijove.hub.gateways.authenticator import AuthenticatorSignIn, StorePasswordBook, make_authenticator
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.testing import FakeHasher

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def dummy(**rules: object) -> AuthenticatorSignIn:
    return AuthenticatorSignIn(authenticator=DummyAuthenticator(**rules), store=MemoryStore())


async def test_whoever_is_allowed_gets_in_under_the_normal_name() -> None:
    person = await dummy(allow_all=True).sign_in(form(" Ada ", "x"))

    assert person.name == "ada"
    assert person.admin is None


async def test_the_configuration_makes_administrators() -> None:
    person = await dummy(admin_users={"Ada"}).sign_in(form("ada", "x"))

    assert person.admin is True


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"allowed_users": {"bob"}},
        {"allow_all": True, "blocked_users": {"ada"}},
        {"allow_all": True, "username_pattern": "[0-9]+"},
        {"admin_users": {"ada"}, "blocked_users": {"ada"}},
    ],
)
async def test_the_rules_keep_people_out(rules: dict[str, object]) -> None:
    with pytest.raises(NotAllowed):
        await dummy(**rules).sign_in(form("ada", "x"))


async def test_users_in_the_database_may_enter_where_a_list_is_kept() -> None:
    store = MemoryStore()
    async with store.unit() as unit:
        await unit.users.add(name="ada", admin=False, created=NOW)
    sign_in = AuthenticatorSignIn(authenticator=DummyAuthenticator(allowed_users={"bob"}), store=store)

    assert (await sign_in.sign_in(form("ada", "x"))).name == "ada"


@pytest.mark.parametrize("name", ["../ada", "a/b", "a" * 65, "a b", ".."])
async def test_a_name_that_nobody_can_have_is_wrong(name: str) -> None:
    """
    It would become a URL, a cookie path and a directory.
    """
    with pytest.raises(WrongCredentials):
        await dummy(allow_all=True).sign_in(form(name, "x"))


async def test_an_authenticator_that_hangs_is_given_up() -> None:
    class Hanging(Authenticator):
        async def authenticate(self, form: Mapping[str, str]) -> AuthResult | None:  # noqa: ARG002
            await asyncio.Event().wait()
            return None

    sign_in = AuthenticatorSignIn(authenticator=Hanging(allow_all=True), store=MemoryStore(), timeout=0)

    with pytest.raises(Unavailable):
        await sign_in.sign_in(form("ada", "x"))


async def test_refusals_of_a_plugin_are_translated() -> None:
    class Refusing(Authenticator):
        async def authenticate(self, form: Mapping[str, str]) -> AuthResult | None:  # noqa: ARG002
            raise SignInRefused("Your licence has ended.")

    with pytest.raises(NotAllowed, match="licence"):
        await AuthenticatorSignIn(authenticator=Refusing(), store=MemoryStore()).sign_in(form("ada", "x"))


async def test_waiting_for_approval_is_said() -> None:
    book = MemoryPasswordBook({"ada": "pw"}, waiting=frozenset({"ada"}))
    sign_in = AuthenticatorSignIn(authenticator=NativeAuthenticator(book=book), store=MemoryStore())

    with pytest.raises(AwaitingApproval):
        await sign_in.sign_in(form("ada", "pw"))


async def test_local_accounts_are_judged_by_what_the_store_has() -> None:
    store, hasher = MemoryStore(), FakeHasher()
    book = StorePasswordBook(store=store, hasher=hasher)
    async with store.unit() as unit:
        for name, state in (("ada", AccountState.ACTIVE), ("zoe", AccountState.WAITING)):
            password_hash = await hasher.hash("pw")
            await unit.accounts.put(Account(name=name, password_hash=password_hash, state=state, created=NOW))

    assert await book.judge("ada", "pw") is Verdict.RIGHT
    assert await book.judge("ada", "other") is Verdict.WRONG
    assert await book.judge("zoe", "pw") is Verdict.WAITING
    assert await book.judge("nobody", "pw") is Verdict.WRONG


def test_a_configuration_that_lets_nobody_in_is_warned_about() -> None:
    with capture_logs() as logged:
        make_authenticator(DummyAuthenticator, config=Config(), book=MemoryPasswordBook({}))
        make_authenticator(NativeAuthenticator, config=Config(), book=MemoryPasswordBook({}))

    assert [entry["event"] for entry in logged] == ["authenticator.nobody_allowed"]


async def test_what_is_to_be_remembered_is_handed_on_and_not_shown() -> None:
    authenticator = DummyAuthenticator(allow_all=True, enable_auth_state=True)

    person = await AuthenticatorSignIn(authenticator=authenticator, store=MemoryStore()).sign_in(form("ada", "x"))

    assert person.auth_state == {"name": "ada"}
    assert "auth_state" not in repr(person)
