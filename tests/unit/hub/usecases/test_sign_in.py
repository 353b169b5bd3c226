from __future__ import annotations

from datetime import timedelta

import pytest

from perijove.hub.domain.errors import TooManyAttempts, WrongCredentials
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.users import Person
from perijove.hub.usecases.sign_in import MAX_USER_AGENT
from tests.unit.hub.usecases.people import People


async def fail(people: People, name: str = "ada", address: str = "10.0.0.1") -> None:
    with pytest.raises(WrongCredentials):
        await people.sign_in(form={"username": name, "password": "wrong"}, address=address, user_agent="")


async def test_the_first_sign_in_makes_the_user_and_a_session() -> None:
    people = People()

    signed_in = await people.enter("Ada")

    assert signed_in.user == await people.user("ada")
    assert signed_in.user.last_activity == people.clock.now()
    assert signed_in.session.expires_at == people.clock.now() + timedelta(days=14)
    async with people.store.unit() as unit:
        assert await unit.sessions.by_id(signed_in.session.id) == (
            signed_in.session,
            Person(user=signed_in.user),
        )


async def test_the_store_never_sees_the_secret() -> None:
    signed_in = await People().enter()

    assert len(signed_in.secret) >= 43, "256 bits"
    assert signed_in.session.secret_hash == hash_secret(signed_in.secret)
    assert signed_in.secret not in repr(signed_in.session)


async def test_a_second_sign_in_is_the_same_user_in_another_session() -> None:
    people = People()

    first, second = await people.enter(), await people.enter()

    assert first.user.id == second.user.id
    assert first.session.id != second.session.id
    assert first.secret != second.secret


async def test_wrong_credentials_make_nobody() -> None:
    people = People()

    await fail(people)

    async with people.store.unit() as unit:
        assert await unit.users.by_name("ada") is None


async def test_administrators_are_made_by_the_method_or_the_configuration() -> None:
    people = People(admin_users=["grace"])

    admins = {name: (await people.enter(name)).user.admin for name in ("root", "grace", "ada")}

    assert admins == {"root": True, "grace": True, "ada": False}


async def test_a_method_that_does_not_say_leaves_an_administrator_one() -> None:
    people = People()
    ada = (await people.enter()).user
    async with people.store.unit() as unit:
        await unit.users.set_admin(ada.id, admin=True)

    assert (await people.enter()).user.admin


async def test_somebody_added_to_admin_users_becomes_one_at_the_next_sign_in() -> None:
    people = People(admin_users=["bob"])
    async with people.store.unit() as unit:
        await unit.users.add(name="bob", admin=False, created=people.clock.now())

    assert (await people.enter("bob")).user.admin
    assert (await people.user("bob")).admin


async def test_too_many_failures_make_even_the_right_password_wait() -> None:
    people = People()
    for _ in range(3):
        await fail(people)

    with pytest.raises(TooManyAttempts) as caught:
        await people.enter()

    people.clock.advance(caught.value.retry_after)
    assert (await people.enter()).user.name == "ada"


async def test_the_limit_counts_one_account_however_it_is_spelt() -> None:
    people = People()
    for name in ("ada", " ADA ", "Ada"):
        await fail(people, name, address=f"10.0.0.{len(name)}")

    with pytest.raises(TooManyAttempts):
        await people.enter()


async def test_a_success_starts_the_count_afresh() -> None:
    people = People()
    for _ in range(4):
        await fail(people)
        await people.enter()


async def test_an_endless_browser_name_is_cut() -> None:
    people = People()

    signed_in = await people.sign_in(
        form={"username": "ada", "password": "secret"}, address="", user_agent="x" * 10_000
    )

    assert len(signed_in.session.user_agent) == MAX_USER_AGENT


async def test_a_session_can_be_opened_for_somebody_known() -> None:
    people = People()
    user = (await people.enter()).user

    opened = await people.sessions.open(user, "10.0.0.1", "a browser")

    assert await people.identify.by_session(opened.secret) is not None
