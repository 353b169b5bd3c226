from __future__ import annotations

import pytest

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import NoSuchSession
from perijove.hub.domain.users import User
from perijove.hub.usecases.audit import Wanted
from perijove.hub.usecases.sign_in import SignedIn
from tests.unit.hub.usecases.people import PASSWORD, People


async def bind_token(people: People, signed_in: SignedIn) -> str:
    """A token that an OAuth client got in this session; answers what its visits are called."""
    async with people.store.unit() as unit:
        token = await unit.tokens.add(
            user_id=signed_in.user.id,
            prefix=f"p{signed_in.session.id[:6]}",
            token_hash=f"hash of {signed_in.session.id}",
            scopes=["inherit"],
            note="",
            created=people.clock.now(),
            session_id=signed_in.session.id,
        )
    return f"token:{token.public_id}"


async def left(people: People, user: User) -> tuple[set[str], int]:
    """Ids of sessions, and how many tokens."""
    async with people.store.reading() as unit:
        sessions = await unit.sessions.of_user(user.id)
        return {session.id for session in sessions}, len(await unit.tokens.of_user(user.id))


def told_to_proxy(people: People) -> list[str]:
    return [revocation.sid or f"user {revocation.user}" for revocation in people.proxy.revocations]


async def test_sessions_are_listed_the_last_seen_first_without_those_that_have_ended() -> None:
    people = People()
    old = await people.enter()
    people.clock.advance(10 * 86400)
    first, second = await people.enter(), await people.enter()
    people.clock.advance(60)
    people.activity.note_session(first.session.id, people.clock.now())

    listed = await people.own_sessions.list(old.user)
    people.clock.advance(5 * 86400)
    later = await people.own_sessions.list(old.user)

    assert [row.id for row in listed] == [first.session.id, second.session.id, old.session.id]
    assert (listed[0].last_seen - listed[1].last_seen).total_seconds() == 60
    assert old.session.id not in {row.id for row in later}


async def test_a_session_that_is_ended_takes_its_tokens_and_visits_with_it() -> None:
    people = People()
    here, there = await people.enter(), await people.enter()
    visits = await bind_token(people, there)
    kept = await bind_token(people, here)

    await people.own_sessions.end(here.user, there.session.id, by=await people.principal())

    assert await people.identify.by_session(there.secret) is None
    assert await people.identify.by_session(here.secret) is not None
    assert told_to_proxy(people) == [there.session.id, visits]
    assert kept not in told_to_proxy(people)
    (entry,) = await people.audit.page(Wanted(action=Action.SESSION_ENDED), limit=9)
    assert (entry.actor, entry.target, entry.detail["session"]) == ("ada", "ada", there.session.id)


async def test_all_others_end_and_this_one_stays() -> None:
    people = People()
    here, *others = [await people.enter() for _ in range(4)]

    count = await people.own_sessions.end_others(here.user, keep=here.session.id, by=await people.principal("root"))

    assert count == 3
    assert await left(people, here.user) == ({here.session.id}, 0)
    assert set(told_to_proxy(people)) == {other.session.id for other in others}
    assert await people.own_sessions.end_others(here.user, keep=here.session.id, by=await people.principal("root")) == 0


async def test_nobody_ends_a_session_of_somebody_else_by_its_id() -> None:
    people = People()
    ada, bob = await people.enter("ada"), await people.enter("bob")

    for wanted in (bob.session.id, "", "nothing"):
        with pytest.raises(NoSuchSession):
            await people.own_sessions.end(ada.user, wanted, by=await people.principal("ada"))

    assert await people.identify.by_session(bob.secret) is not None
    assert told_to_proxy(people) == []


async def test_signing_out_shuts_out_what_the_sessions_tokens_opened() -> None:
    people = People()
    signed_in = await people.enter()
    visits = await bind_token(people, signed_in)

    await people.sign_out(signed_in.session, signed_in.user)

    assert await left(people, signed_in.user) == (set(), 0)
    assert told_to_proxy(people) == [signed_in.session.id, visits]


async def test_another_password_ends_all_others_with_their_tokens() -> None:
    people = People()
    root = await people.principal("root")
    _, code = await people.invitations.invite(root, name="ada")
    here = await people.invitations.accept(code, name="", password=PASSWORD, address="", user_agent="")
    other = await people.enter()
    visits = await bind_token(people, other)

    await people.change_password(here.user, old=PASSWORD, new=PASSWORD * 2, keep=here.session.id)

    assert await left(people, here.user) == ({here.session.id}, 0)
    assert told_to_proxy(people) == [other.session.id, visits]


async def test_whoever_is_blocked_has_no_session_left_even_when_they_are_let_in_again() -> None:
    people = People()
    ada, bob = await people.enter("ada"), await people.enter("bob")

    await people.own_sessions.end_of_blocked({"ada", "nobody"})

    assert await left(people, ada.user) == (set(), 0)
    assert await people.identify.by_session(bob.secret) is not None
    assert told_to_proxy(people) == ["user ada", "user nobody"]
    (entry,) = await people.audit.page(Wanted(action=Action.SESSION_ENDED), limit=9)
    assert (entry.actor, entry.detail["why"]) == ("", "blocked")
