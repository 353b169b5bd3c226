from __future__ import annotations

from collections.abc import MutableSequence
from typing import Any

import pytest

from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.usecases.auth_states import MAX_STATE, AuthStateBook
from perijove.hub.usecases.testing import FakeVault
from tests.unit.hub.usecases.people import People

STATE = {"access_token": "upstream secret", "groups": ["lab"]}


async def sealed(people: People, name: str = "ada") -> str | None:
    user = await people.user(name)
    async with people.store.reading() as unit:
        return await unit.auth_states.get(user.id)


async def test_what_the_method_wants_remembered_is_sealed_with_the_sign_in() -> None:
    people = People()
    people.method.auth_state = STATE

    user = (await people.enter()).user

    assert await people.auth_states.get(user) == STATE
    assert "upstream secret" not in str(await sealed(people))


async def test_a_sign_in_with_nothing_to_remember_forgets_what_was() -> None:
    people = People()
    people.method.auth_state = STATE
    await people.enter()
    people.method.auth_state = None

    user = (await people.enter()).user

    assert await people.auth_states.get(user) is None
    assert await sealed(people) is None


async def test_without_keys_nothing_is_kept_and_nothing_is_read() -> None:
    people = People()
    people.method.auth_state = STATE
    user = (await people.enter()).user
    kept = await sealed(people)
    book = AuthStateBook(store=people.store, vault=None)
    async with people.store.unit() as unit:
        await book.put_in(unit, user, {"other": 1})

    assert (await book.get(user), book.is_enabled) == (None, False)
    assert await sealed(people) == kept
    await book.renew()
    with pytest.raises(InvalidRequest, match="enable_auth_state"):
        book.check(STATE)
    book.check(None)


async def test_new_keys_seal_anew_what_old_ones_sealed_so_that_those_can_go() -> None:
    people = People()
    people.method.auth_state = STATE
    names = [f"user{number}" for number in range(7)]
    users = [(await people.enter(name)).user for name in names]
    people.vault.keys.insert(0, "second")

    await people.auth_states.renew()
    people.auth_states.adopt(FakeVault("second"))

    assert [await people.auth_states.get(user) for user in users] == [STATE] * 7


async def test_a_key_that_is_gone_makes_nobody_stumble(logged: MutableSequence[Any]) -> None:
    people = People()
    people.method.auth_state = STATE
    user = (await people.enter()).user
    people.auth_states.adopt(FakeVault("another"))

    assert await people.auth_states.get(user) is None
    await people.auth_states.renew()
    assert [line["event"] for line in logged if line["log_level"] == "warning"] == ["auth_state.unreadable"] * 2

    again = (await people.enter()).user
    assert await people.auth_states.get(again) == STATE


async def test_the_state_of_one_user_is_nothing_for_another() -> None:
    """
    Whoever can write to the database could have put it there.
    """
    people = People()
    people.method.auth_state = STATE
    await people.enter("ada")
    eve = (await people.enter("eve")).user
    stolen = await sealed(people, "ada")
    async with people.store.unit() as unit:
        await unit.auth_states.put(eve.id, stolen)

    assert await people.auth_states.get(eve) is None


@pytest.mark.parametrize("state", [{"x": "y" * MAX_STATE}, {"x": object()}])
async def test_what_cannot_be_kept_is_refused(state: dict[str, Any]) -> None:
    people = People()
    user = (await people.enter()).user

    async with people.store.unit() as unit:
        with pytest.raises(InvalidRequest):
            await people.auth_states.put_in(unit, user, state)
