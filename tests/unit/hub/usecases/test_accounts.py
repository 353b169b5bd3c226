from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from perijove.hub.domain.accounts import AccountState, InvitationKind, retired
from perijove.hub.domain.errors import (
    AlreadyExists,
    InvalidName,
    InvalidRequest,
    NoSuchInvitation,
    NoSuchUser,
    NotAllowed,
    TooManyAttempts,
    WeakPassword,
    WrongCredentials,
)
from perijove.hub.usecases import accounts as module
from perijove.hub.usecases.sign_in import SignedIn
from tests.unit.hub.usecases.people import PASSWORD, People


async def accept(people: People, code: str, name: str = "ada", password: str = PASSWORD) -> SignedIn:
    return await people.invitations.accept(code, name=name, password=password, address="10.0.0.1", user_agent="")


async def first_admin(people: People, name: str = "ada") -> SignedIn:
    code = await people.first_admin.link_code()
    assert code is not None
    return await accept(people, code, name)


async def test_the_first_link_makes_an_administrator_and_signs_in() -> None:
    people = People()

    signed_in = await first_admin(people)

    assert signed_in.user.admin
    assert await people.identify.by_session(signed_in.secret) is not None
    async with people.store.unit() as unit:
        account = await unit.accounts.get("ada")
    assert account is not None
    assert (account.state, account.password_hash) == (AccountState.ACTIVE, f"hash of {PASSWORD}")


async def test_there_is_no_first_link_once_there_is_an_administrator() -> None:
    people = People()
    await first_admin(people)

    assert await people.first_admin.link_code() is None


async def test_the_first_link_works_once_for_an_hour_and_only_the_newest_does() -> None:
    people = People()
    old, new = await people.first_admin.link_code(), await people.first_admin.link_code()
    assert old is not None
    assert new is not None
    assert (await people.invitations.look(new)).kind is InvitationKind.FIRST_ADMIN

    with pytest.raises(NoSuchInvitation):
        await accept(people, old)
    people.clock.advance(3600)
    with pytest.raises(NoSuchInvitation):
        await accept(people, new)
    assert await people.invitations.list(await people.principal("bob")) == []


async def test_two_who_hold_the_first_link_make_one_administrator() -> None:
    people = People()
    code = await people.first_admin.link_code()
    assert code is not None

    results = await asyncio.gather(accept(people, code, "ada"), accept(people, code, "eve"), return_exceptions=True)

    assert [type(result) for result in results] == [SignedIn, NoSuchInvitation]


async def test_a_link_found_after_another_way_made_an_administrator_is_void() -> None:
    people = People()
    code = await people.first_admin.link_code()
    assert code is not None
    await people.enter("root")

    with pytest.raises(NoSuchInvitation):
        await accept(people, code)


async def test_an_invitation_makes_an_ordinary_user() -> None:
    people = People()
    root = await people.principal("root")
    invitation, code = await people.invitations.invite(root)

    signed_in = await accept(people, code, "Bob")

    assert (signed_in.user.name, signed_in.user.admin) == ("bob", False)
    assert invitation.created_by == "root"
    assert code not in repr(invitation)
    with pytest.raises(NoSuchInvitation):
        await accept(people, code, "eve")


async def test_an_invitation_for_a_name_is_for_that_name() -> None:
    people = People()
    _, code = await people.invitations.invite(await people.principal("root"), name=" Bob ")

    assert (await accept(people, code, "eve")).user.name == "bob"


async def test_somebody_an_administrator_added_gets_an_account_by_invitation_to_that_name() -> None:
    people = People()
    async with people.store.unit() as unit:
        added = await unit.users.add(name="bob", admin=False, created=people.clock.now())
    root = await people.principal("root")
    _, for_anybody = await people.invitations.invite(root)
    _, for_bob = await people.invitations.invite(root, name="bob")

    with pytest.raises(AlreadyExists):
        await accept(people, for_anybody, "bob")
    assert (await accept(people, for_bob)).user.id == added.id


@pytest.mark.parametrize(
    ("name", "password", "error"),
    [("bob", "short", WeakPassword), ("../etc", PASSWORD, InvalidName), ("root", PASSWORD, AlreadyExists)],
)
async def test_a_mistake_does_not_spend_the_link(name: str, password: str, error: type[Exception]) -> None:
    people = People()
    _, code = await people.invitations.invite(await people.principal("root"))

    with pytest.raises(error):
        await accept(people, code, name, password)

    assert (await accept(people, code, "bob")).user.name == "bob"


async def test_nobody_chooses_a_name_that_the_configuration_gives_rights_to() -> None:
    """
    Whoever holds an invitation for just anybody would else be an administrator by choosing the right name.
    """
    people = People(admin_users=["grace"])
    host = await people.principal("root")
    _, for_anybody = await people.invitations.invite(host)
    _, for_grace = await people.invitations.invite(host, name="grace")

    with pytest.raises(AlreadyExists):
        await accept(people, for_anybody, "grace")
    await people.sign_up(name="grace", password=PASSWORD, address="10.0.0.1")

    assert await people.sign_up.waiting(host) == []
    assert (await accept(people, for_grace, "")).user.name == "grace"


async def test_the_name_of_somebody_who_is_gone_is_an_administrators_to_give() -> None:
    """
    Homes are found by name: a stranger of that name would get the files that were left behind.
    """
    people = People()
    host = await people.principal("root")
    async with people.store.unit() as unit:
        await unit.accounts.put(retired("ada", created=people.clock.now()))
    _, for_anybody = await people.invitations.invite(host)
    _, for_ada = await people.invitations.invite(host, name="ada")

    with pytest.raises(AlreadyExists):
        await accept(people, for_anybody, "ada")
    await people.sign_up(name="ada", password=PASSWORD, address="10.0.0.1")

    assert await people.sign_up.waiting(host) == []
    assert (await accept(people, for_ada, "")).user.name == "ada"


async def test_invitations_are_listed_withdrawn_and_end() -> None:
    people = People()
    root = await people.principal("root")
    first, first_code = await people.invitations.invite(root, days=1)
    second, _ = await people.invitations.invite(root, days=3)
    listed = await people.invitations.list(root)
    await people.invitations.withdraw(root, second.id)

    assert listed == [first, second]
    assert await people.invitations.list(root) == [first]
    people.clock.advance(timedelta(days=1).total_seconds())
    assert await people.invitations.list(root) == []
    with pytest.raises(NoSuchInvitation):
        await people.invitations.look(first_code)


@pytest.mark.parametrize("days", [0, -1, 1000, float("nan")])
async def test_an_invitation_lives_a_sensible_time(days: float) -> None:
    people = People()

    with pytest.raises(InvalidRequest):
        await people.invitations.invite(await people.principal("root"), days=days)


async def test_nobody_with_an_account_is_invited_again() -> None:
    people = People()
    await first_admin(people)

    with pytest.raises(AlreadyExists):
        await people.invitations.invite(await people.principal("root"), name="ada")


async def sign_up(people: People, name: str = "bob", password: str = PASSWORD) -> None:
    await people.sign_up(name=name, password=password, address="10.0.0.9")


async def test_who_signs_up_waits_for_approval() -> None:
    people = People()
    await sign_up(people, "Bob")
    root = await people.principal("root")
    waiting = await people.sign_up.waiting(root)

    user = await people.sign_up.approve(root, "bob")

    assert [account.name for account in waiting] == ["bob"]
    assert (user.name, user.admin) == ("bob", False)
    assert await people.sign_up.waiting(root) == []


async def test_who_is_refused_can_ask_again() -> None:
    people = People()
    root = await people.principal("root")
    await sign_up(people)

    await people.sign_up.refuse(root, "bob")

    assert await people.sign_up.waiting(root) == []
    await sign_up(people)
    assert len(await people.sign_up.waiting(root)) == 1


async def test_signing_up_with_a_taken_name_looks_the_same_and_changes_nothing() -> None:
    """
    The answer must not tell who has an account, and must not give it away.
    """
    people = People()
    await first_admin(people)
    await people.enter("eve")

    await sign_up(people, "ada", "another long password")
    await sign_up(people, "eve")

    async with people.store.unit() as unit:
        account = await unit.accounts.get("ada")
        assert await unit.accounts.get("eve") is None
    assert account is not None
    assert account.password_hash == f"hash of {PASSWORD}"


async def test_signing_up_twice_keeps_the_first_password() -> None:
    people = People()
    await sign_up(people)
    await sign_up(people, password="a stranger's password")

    async with people.store.unit() as unit:
        account = await unit.accounts.get("bob")
    assert account is not None
    assert account.password_hash == f"hash of {PASSWORD}"


async def test_strangers_cannot_fill_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    people = People()
    for n in range(5):
        await sign_up(people, f"stranger{n}")

    assert len(await people.sign_up.waiting(await people.principal("root"))) == 2


async def test_signing_up_is_limited_by_address() -> None:
    people = People()
    for n in range(10):
        await sign_up(people, f"stranger{n}")

    with pytest.raises(TooManyAttempts):
        await sign_up(people)


async def test_signing_up_can_be_closed() -> None:
    with pytest.raises(NotAllowed, match="invitation"):
        await sign_up(People(allow_signup=False))


@pytest.mark.parametrize(("name", "password", "error"), [("b/d", PASSWORD, InvalidName), ("bob", "x", WeakPassword)])
async def test_signing_up_needs_a_name_and_a_password(name: str, password: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await sign_up(People(), name, password)


async def test_only_who_waits_is_approved_or_refused() -> None:
    people = People()
    await first_admin(people)
    root = await people.principal("root")

    for name in ("ada", "nobody"):
        with pytest.raises(NoSuchUser):
            await people.sign_up.approve(root, name)
        with pytest.raises(NoSuchUser):
            await people.sign_up.refuse(root, name)


async def test_a_new_password_ends_the_other_sessions() -> None:
    people = People()
    here = await first_admin(people)
    elsewhere = await people.sessions.open(here.user, "10.0.0.2", "")

    await people.change_password(here.user, old=PASSWORD, new="a newer password", keep=here.session.id)

    assert await people.identify.by_session(here.secret) is not None
    assert await people.identify.by_session(elsewhere.secret) is None
    assert [item.sid for item in people.proxy.revocations] == [elsewhere.session.id]
    async with people.store.unit() as unit:
        account = await unit.accounts.get("ada")
    assert account is not None
    assert account.password_hash == "hash of a newer password"


async def test_the_old_password_is_needed_and_guessing_it_is_limited() -> None:
    people = People()
    ada = (await first_admin(people)).user

    for _ in range(3):
        with pytest.raises(WrongCredentials):
            await people.change_password(ada, old="wrong", new="a newer password")
    with pytest.raises(TooManyAttempts):
        await people.change_password(ada, old=PASSWORD, new="a newer password")


async def test_who_has_no_password_here_has_none_to_change() -> None:
    people = People()
    eve = (await people.enter("eve")).user

    with pytest.raises(WrongCredentials):
        await people.change_password(eve, old="", new="a newer password")
