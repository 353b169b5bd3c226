from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs
from traitlets.config import Config

from perijove.authenticators.base import Authenticator, AuthResult, KnownUser
from perijove.authenticators.dummy import DummyAuthenticator
from perijove.authenticators.errors import SignInRefused
from perijove.authenticators.native import NativeAuthenticator, Verdict
from perijove.authenticators.testing import MemoryPasswordBook, form
from perijove.hub.domain.accounts import Account, AccountState
from perijove.hub.domain.errors import (
    AwaitingApproval,
    HubError,
    InvalidRequest,
    NotAllowed,
    Unavailable,
    WrongCredentials,
)
from perijove.hub.domain.users import User
from perijove.hub.gateways.authenticator import AuthenticatorSignIn, StorePasswordBook, make_authenticator
from perijove.hub.ports import Authenticated
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.testing import FakeHasher

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADA = User(id=1, name="ada", admin=False, created=NOW)


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


class Fickle(DummyAuthenticator):
    """Answers `answer` when it is asked again."""

    answer: Any = True

    async def refresh_user(self, user: KnownUser) -> bool | AuthResult:
        self.asked = user
        if isinstance(self.answer, Exception):
            raise self.answer
        answer: bool | AuthResult = self.answer
        return answer


def asks(authenticator: DummyAuthenticator) -> AuthenticatorSignIn:
    return AuthenticatorSignIn(authenticator=authenticator, store=MemoryStore())


def test_only_an_authenticator_that_has_something_to_say_is_asked_again() -> None:
    rules = asks(Fickle(auth_refresh_age=60, auth_refresh_strict=True, refresh_pre_stop=True)).refresh_rules

    assert (rules.age, rules.strict, rules.before_starts, rules.before_stops) == (60.0, True, False, True)
    assert not asks(DummyAuthenticator(auth_refresh_age=60, refresh_pre_spawn=True)).refresh_rules.ever


async def test_what_it_answers_is_what_the_hub_hears() -> None:
    authenticator = Fickle(allow_all=True, admin_users={"root"})
    sign_in = asks(authenticator)

    for answer in (True, False):
        authenticator.answer = answer
        assert await sign_in.refresh(ADA, {"token": 1}) is answer
    assert authenticator.asked == KnownUser(name="ada", admin=False, auth_state={"token": 1})
    # The name cannot change, whatever it says.
    authenticator.answer = AuthResult(name="root", admin=False, auth_state={"token": 2})
    assert await sign_in.refresh(ADA, None) == Authenticated(name="ada", admin=False, auth_state={"token": 2})


@pytest.mark.parametrize("error", [OSError("no route to the directory"), KeyError("bug"), TimeoutError()])
async def test_an_authenticator_that_fails_gives_no_answer(error: Exception) -> None:
    authenticator = Fickle()
    authenticator.answer = error

    with pytest.raises(Unavailable):
        await asks(authenticator).refresh(ADA, None)


async def test_the_hook_may_change_or_refuse_whoever_may_enter() -> None:
    seen = []

    async def hook(_authenticator: Authenticator, handler: object, model: dict[str, Any]) -> dict[str, Any] | None:
        seen.append((handler, dict(model)))
        return None if model["name"] == "eve" else {**model, "admin": True, "groups": ["class"]}

    sign_in = asks(DummyAuthenticator(allow_all=True, manage_groups=True, post_auth_hook=hook))

    ada = await sign_in.sign_in(form("Ada", "x"))
    assert (ada.name, ada.admin, ada.groups) == ("ada", True, ("class",))
    assert seen == [
        (None, {"name": "ada", "admin": None, "auth_state": None, "user_info": None, "groups": None, "roles": None})
    ]
    with pytest.raises(NotAllowed):
        await sign_in.sign_in(form("eve", "x"))


async def test_the_hook_is_not_asked_about_whoever_may_not_enter() -> None:
    def hook(*_: object) -> None:
        raise AssertionError("asked")

    with pytest.raises(NotAllowed):
        await asks(DummyAuthenticator(allowed_users={"bob"}, post_auth_hook=hook)).sign_in(form("ada", "x"))


async def test_a_hook_says_what_others_see_of_people() -> None:
    async def hook(_authenticator: Authenticator, _handler: None, model: dict[str, Any]) -> dict[str, Any]:
        return {**model, "user_info": {"display_name": "Ada", "seen": model["user_info"]}}

    ada = await asks(DummyAuthenticator(allow_all=True, post_auth_hook=hook)).sign_in(form("ada", "x"))

    assert ada.user_info == {"display_name": "Ada", "seen": None}


@pytest.mark.parametrize("told", ["Ada", {"picture": object()}, {"picture": "x" * 5000}])
async def test_what_cannot_be_shown_of_somebody_keeps_nobody_out(told: Any) -> None:
    def hook(_authenticator: Authenticator, _handler: None, model: dict[str, Any]) -> dict[str, Any]:
        return {**model, "user_info": told}

    with capture_logs() as lines:
        ada = await asks(DummyAuthenticator(allow_all=True, post_auth_hook=hook)).sign_in(form("ada", "x"))

    assert ada.user_info is None
    assert [(line["event"], line["user"]) for line in lines] == [("authenticator.bad_user_info", "ada")]


@pytest.mark.parametrize(
    ("manages", "told", "passed_on"),
    [
        (True, [{"name": "reading"}], ({"name": "reading"},)),
        (True, [], ()),
        (True, None, None),
        (True, "reading", None),
        (False, [{"name": "reading"}], None),
    ],
)
async def test_roles_are_passed_on_if_they_are_managed(manages: bool, told: Any, passed_on: Any) -> None:  # noqa: FBT001  # a case
    def hook(_authenticator: Authenticator, _handler: None, model: dict[str, Any]) -> dict[str, Any]:
        return {**model, "roles": told}

    ada = await asks(DummyAuthenticator(allow_all=True, manage_roles=manages, post_auth_hook=hook)).sign_in(
        form("ada", "x")
    )

    assert ada.roles == passed_on


class Declaring(DummyAuthenticator):
    told: Any = ()

    async def load_managed_roles(self) -> Any:
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


async def test_roles_are_declared_by_whoever_manages_them() -> None:
    declaring = Declaring(manage_roles=True, reset_managed_roles_on_startup=True)
    declaring.told = [{"name": "reading"}]

    assert await asks(declaring).load_roles() == ({"name": "reading"},)
    assert asks(declaring).resets_roles
    assert await asks(Declaring()).load_roles() is None
    assert await asks(DummyAuthenticator(manage_roles=True)).load_roles() == ()


@pytest.mark.parametrize(
    ("told", "error"),
    [
        (OSError("no route to the directory"), Unavailable),
        ("reading", InvalidRequest),
        (["reading"], InvalidRequest),
        ({"name": "reading"}, InvalidRequest),
    ],
)
async def test_a_hub_does_not_start_without_the_roles_that_it_is_to_have(told: Any, error: type[HubError]) -> None:
    declaring = Declaring(manage_roles=True)
    declaring.told = told

    with pytest.raises(error):
        await asks(declaring).load_roles()


async def test_roles_are_not_reset_to_what_nobody_says() -> None:
    """
    As in JupyterHub: everybody would lose everything.
    """
    with pytest.raises(InvalidRequest, match="DummyAuthenticator has none"):
        await asks(DummyAuthenticator(manage_roles=True, reset_managed_roles_on_startup=True)).load_roles()


async def test_groups_that_are_not_managed_are_not_passed_on() -> None:
    def hook(_authenticator: Authenticator, _handler: object, model: dict[str, Any]) -> dict[str, Any]:
        return {**model, "groups": ["class"]}

    assert (
        await asks(DummyAuthenticator(allow_all=True, post_auth_hook=hook)).sign_in(form("ada", "x"))
    ).groups is None


async def test_an_authenticator_that_is_to_manage_groups_must_name_them() -> None:
    """
    People would keep groups that they left long ago, and nobody would know why.
    """
    with pytest.raises(HubError, match="says nothing of groups"):
        await asks(DummyAuthenticator(allow_all=True, manage_groups=True)).sign_in(form("ada", "x"))


@pytest.mark.parametrize("before", [None, {"secret": 1}])
async def test_the_state_to_keep_is_the_hooks_to_say(before: dict[str, Any] | None) -> None:
    async def hook(_authenticator: Authenticator, model: dict[str, Any], before: Any) -> dict[str, Any]:
        return {"new": model["auth_state"], "before": before}

    person = Authenticated(name="ada", auth_state={"token": 2})

    kept = await asks(DummyAuthenticator(reconcile_auth_state_hook=hook)).state_to_keep(person, before)

    assert kept == {"new": {"token": 2}, "before": before}
    assert await asks(DummyAuthenticator()).state_to_keep(person, before) == {"token": 2}
