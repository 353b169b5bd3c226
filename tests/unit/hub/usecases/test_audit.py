from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from perijove.hub.domain.audit import Action, AuditEntry
from perijove.hub.domain.errors import AlreadyExists, WrongCredentials
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.users import User
from perijove.hub.usecases.audit import MAX_TEXT, SHOWN_DAYS, Wanted, record
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.hub.usecases.users import CreateUsers, PatchUser
from tests.unit.hub.usecases.people import PASSWORD, People, service
from tests.unit.hub.usecases.test_door import add_server


async def log_of(people: People, **wanted: Any) -> list[AuditEntry]:
    """Oldest first."""
    return list(reversed(await people.audit.page(Wanted(**wanted), limit=1000)))


def told(entry: AuditEntry) -> tuple[Action, str, str, str]:
    return entry.action, entry.actor, entry.target, entry.address


async def patch(people: People, by: Principal, name: str, **changes: Any) -> User:
    states = AuthStateBook(store=people.store, vault=None)
    use_case = PatchUser(store=people.store, clock=people.clock, revocations=people.revocations, auth_states=states)
    return await use_case(name, by, **changes)


# -- what is told --------------------------------------------------------------------------------------------------


async def test_signing_in_and_out_is_told_with_where_from() -> None:
    people = People()

    signed_in = await people.enter()
    await people.sign_out(signed_in.session, signed_in.user, address="10.0.0.2")

    added, entered, left = await log_of(people)
    assert told(added) == (Action.USER_ADDED, "ada", "ada", "10.0.0.1")
    assert told(entered) == (Action.SIGNED_IN, "ada", "ada", "10.0.0.1")
    assert entered.detail == {"session": signed_in.session.id, "browser": "a browser"}
    assert told(left) == (Action.SIGNED_OUT, "ada", "ada", "10.0.0.2")
    assert all(entry.actor_kind == "user" and entry.at == people.clock.now() for entry in (added, entered, left))


async def test_no_secret_is_ever_told() -> None:
    people = People()
    signed_in = await people.enter()
    ada = await people.principal()
    token, text = await people.tokens.create(user=signed_in.user, maker=ada, note="for my script")
    await people.tokens.revoke(signed_in.user, token.public_id, by=ada)

    entries = await log_of(people)
    everything = repr(entries)

    assert [told(entry)[:3] for entry in entries[-2:]] == [
        (Action.TOKEN_MADE, "ada", "ada"),
        (Action.TOKEN_REVOKED, "ada", "ada"),
    ]
    assert entries[-2].detail == {"token": token.public_id, "note": "for my script", "scopes": "inherit"}
    assert text not in everything
    assert signed_in.secret not in everything
    assert signed_in.session.secret_hash not in everything


async def tell_and_fail(people: People, by: Principal) -> None:
    async with people.store.unit() as unit:
        await record(unit, Action.SHARED, at=people.clock.now(), by=by)
        raise ZeroDivisionError


async def test_what_is_not_done_is_not_told() -> None:
    people = People()
    root = await people.principal("root")
    before = await log_of(people)
    create = CreateUsers(store=people.store, clock=people.clock)

    with pytest.raises(AlreadyExists):
        await create.one("root", admin=False, asker=root)
    with pytest.raises(WrongCredentials):
        await people.change_password(await people.user("root"), old="wrong", new=PASSWORD)
    with pytest.raises(ZeroDivisionError):
        await tell_and_fail(people, root)

    assert await log_of(people) == before


async def test_users_who_are_added_changed_and_renamed_are_told_of() -> None:
    people = People()
    root = await people.principal("root")
    await CreateUsers(store=people.store, clock=people.clock)(["ada"], admin=False, asker=root)
    before = len(await log_of(people))

    await patch(people, root, "ada", admin=True, new_name="lovelace")
    await patch(people, root, "lovelace", admin=True)

    entries = await log_of(people)
    assert told(entries[before - 1])[:3] == (Action.USER_ADDED, "root", "ada")
    changes = [(entry.target, entry.detail) for entry in entries[before:]]
    assert changes == [
        ("ada", {"renamed_to": "lovelace"}),
        ("lovelace", {"renamed_from": "ada"}),
        ("lovelace", {"admin": True}),
    ]


async def test_a_password_that_is_changed_and_an_account_from_a_link_are_told_of() -> None:
    people = People()
    root = await people.principal("root")
    _, code = await people.invitations.invite(root, name="bob")
    joined = await people.invitations.accept(code, name="", password=PASSWORD, address="10.0.0.3", user_agent="")
    await people.change_password(joined.user, old=PASSWORD, new=PASSWORD * 2, address="10.0.0.4")

    entries = {entry.action: entry for entry in await log_of(people, target="bob")}

    assert entries[Action.USER_ADDED].detail == {"how": "invitation", "invited_by": "root", "admin": False}
    assert told(entries[Action.PASSWORD_CHANGED]) == (Action.PASSWORD_CHANGED, "bob", "bob", "10.0.0.4")
    assert entries[Action.PASSWORD_CHANGED].detail == {"sessions_ended": 1}


async def test_endless_texts_of_strangers_are_cut() -> None:
    people = People()
    async with people.store.unit() as unit:
        now = people.clock.now()
        await record(unit, Action.SHARED, at=now, by=None, target="x" * 999, address="y" * 999, note="z" * 999)

    (entry,) = await log_of(people)
    assert (len(entry.target), len(entry.address), len(entry.detail["note"])) == (MAX_TEXT, MAX_TEXT, MAX_TEXT)


# -- whoever enters somebody else's server -------------------------------------------------------------------------


async def visited(*, services: Mapping[str, Any] | None = None) -> tuple[People, User]:
    people = People(
        services=[services] if services else (),
        roles=[{"name": "helping", "scopes": ["access:servers"], "services": ["helper"]}] if services else (),
    )
    bob = (await people.enter("bob")).user
    await add_server(people, bob)
    return people, bob


async def test_an_administrator_in_somebodys_server_is_known_to_them_once_an_hour() -> None:
    people, bob = await visited()
    root = await people.principal("root")

    for _ in range(3):
        await people.door.enter(root, "bob/")
    once = await people.audit.visits(bob)
    people.clock.advance(3601)
    await people.door.enter(root, "bob/")
    again = await log_of(people, target="bob", action=Action.SERVER_ENTERED)

    assert [(entry.actor, entry.detail["server"], entry.address) for entry in once] == [("root", "", "")]
    assert len(again) == 2
    assert [entry.at for entry in await people.audit.visits(bob)] == [again[-1].at], "the latest of each visitor"


async def test_another_session_of_the_same_administrator_is_told_of_too() -> None:
    people, _ = await visited()

    for _ in range(2):
        await people.door.enter(await people.principal("root"), "bob/")

    assert len(await log_of(people, action=Action.SERVER_ENTERED)) == 2


async def test_ones_own_server_is_no_news() -> None:
    people, bob = await visited()

    await people.door.enter(await people.principal("bob"), "bob/")
    _, text = await people.tokens.create(user=bob, maker=await people.principal("bob"))
    await people.door.exchange(text, "bob/")

    assert await people.audit.visits(bob) == []


async def test_a_program_in_somebodys_server_is_known_to_them_once_a_day() -> None:
    people, bob = await visited(services={"name": "helper", "api_token": "token-of-the-helper"})

    for _ in range(30):
        await people.door.exchange("token-of-the-helper", "bob/")
        people.clock.advance(3600)

    entries = await log_of(people, action=Action.SERVER_ENTERED)
    assert len(entries) == 2
    assert (await people.audit.visits(bob))[0].actor_kind == "service"


async def test_a_service_of_the_same_name_is_somebody_else() -> None:
    people = People(
        services=[{"name": "bob", "api_token": "token-of-the-service"}],
        roles=[{"name": "helping", "scopes": ["access:servers"], "services": ["bob"]}],
    )
    bob = (await people.enter("bob")).user
    await add_server(people, bob)

    await people.door.exchange("token-of-the-service", "bob/")

    assert [entry.actor_kind for entry in await people.audit.visits(bob)] == ["service"]


async def test_visits_of_long_ago_are_shown_no_more() -> None:
    people, bob = await visited()
    await people.door.enter(await people.principal("root"), "bob/")
    people.clock.advance((SHOWN_DAYS + 1) * 86400)

    assert await people.audit.visits(bob) == []


# -- what one may see of it ----------------------------------------------------------------------------------------


async def test_everybody_sees_what_concerns_them_and_no_address_of_others() -> None:
    people, bob = await visited()
    root = await people.principal("root")
    await people.door.enter(root, "bob/")
    himself = await people.principal("bob")
    async with people.store.unit() as unit:
        now = people.clock.now()
        await record(unit, Action.SERVER_STOPPED, at=now, by=root, target="bob", address="10.9.9.9", server="")
        await record(unit, Action.SHARED, at=now, by=himself, target="ada", address="10.0.0.1")
        await record(unit, Action.SHARED, at=now, by=root, target="ada")
        await record(unit, Action.SHARED, at=now, by=service("bob"), target="ada")

    seen = await people.audit.concerning(bob, limit=99)

    others = [entry for entry in seen if entry.actor != "bob"]
    assert [(entry.actor, entry.action) for entry in others] == [
        ("root", Action.SERVER_STOPPED),
        ("root", Action.SERVER_ENTERED),
    ]
    assert {entry.address for entry in others} == {""}
    assert {entry.action for entry in seen if entry.actor == "bob"} == {
        Action.SHARED,
        Action.SIGNED_IN,
        Action.USER_ADDED,
    }
    assert all(entry.address == "10.0.0.1" for entry in seen if entry.action is Action.SIGNED_IN)
    assert await people.audit.concerning(bob, limit=99, before_id=seen[0].id) == seen[1:]
    assert await people.audit.concerning(bob, limit=99, action=Action.SERVER_STOPPED) == others[:1]


async def test_whoever_gets_a_name_does_not_see_what_was_done_under_it_before() -> None:
    people, _ = await visited()
    root = await people.principal("root")
    await people.door.enter(root, "bob/")
    eve = (await people.enter("eve")).user
    people.clock.advance(1)

    await patch(people, root, "bob", new_name="robert")
    async with people.store.unit() as unit:
        await unit.accounts.delete("bob")
    people.clock.advance(1)
    renamed = await patch(people, root, "eve", new_name="bob")

    assert renamed.id == eve.id
    assert await people.audit.visits(renamed) == []
    assert [entry.detail for entry in await people.audit.concerning(renamed, limit=9)] == [{"renamed_from": "eve"}]


async def test_a_new_user_of_an_old_name_sees_nothing_of_the_old_one() -> None:
    people, bob = await visited()
    await people.door.enter(await people.principal("root"), "bob/")
    async with people.store.unit() as unit:
        await unit.users.delete(bob.id)
        new = await unit.users.add(name="bob", admin=False, created=people.clock.now() + timedelta(seconds=1))

    assert await people.audit.visits(new) == []
    assert await people.audit.concerning(new, limit=9) == []
