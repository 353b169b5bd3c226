from __future__ import annotations

from datetime import timedelta

import pytest

from perijove.hub.domain.errors import InvalidRequest, InvalidScope, NoSuchToken
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.usecases.tokens import MAX_NOTE
from tests.unit.hub.usecases.people import People, service


async def test_a_token_is_shown_once_and_kept_as_a_hash() -> None:
    people = People()
    ada = await people.principal()

    token, text = await people.tokens.create(user=await people.user("ada"), maker=ada)

    assert len(text) == 32
    assert (token.prefix, token.token_hash) == (text[:8], hash_secret(text))
    assert text not in repr(token)
    assert token.scopes == ("inherit",)
    assert token.expires_at is None
    assert token.note == "Requested via api"


async def test_a_note_says_who_made_it_for_somebody_else() -> None:
    people = People()
    await people.enter()

    token, _ = await people.tokens.create(user=await people.user("ada"), maker=service("helper", "tokens"))
    long, _ = await people.tokens.create(user=await people.user("ada"), maker=service("helper"), note="x" * 9999)

    assert token.note == "Requested via api by service helper"
    assert len(long.note) == MAX_NOTE


async def test_scopes_come_from_a_list_or_from_roles() -> None:
    people = People(roles=[{"name": "reader", "scopes": ["read:users!user"], "users": ["ada"]}])
    ada = await people.principal()
    user = await people.user("ada")

    listed, _ = await people.tokens.create(user=user, maker=ada, scopes=["read:users!user"])
    by_role, _ = await people.tokens.create(user=user, maker=ada, roles=["reader"])

    assert listed.scopes == by_role.scopes == ("read:users!user",)
    assert "read:users:name!user=ada" in people.tokens.expanded_scopes(listed, user, await people.tokens.owned(user))
    with pytest.raises(InvalidRequest):
        await people.tokens.create(user=user, maker=ada, scopes=[], roles=[])


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"scopes": ["read:minds"]}, InvalidScope),
        ({"roles": ["mind-reader"]}, InvalidScope),
        ({"scopes": ["admin:users"]}, InvalidRequest),
        ({"scopes": ["read:users!user=bob"]}, InvalidRequest),
        ({"roles": ["admin"]}, InvalidRequest),
        ({"expires_in": 0}, InvalidRequest),
        ({"expires_in": -5}, InvalidRequest),
        ({"expires_in": 10**12}, InvalidRequest),
    ],
)
async def test_a_token_beyond_its_owner_or_reason_is_refused(asked: dict[str, object], error: type[Exception]) -> None:
    people = People()
    ada = await people.principal()

    with pytest.raises(error):
        await people.tokens.create(user=await people.user("ada"), maker=ada, **asked)  # type: ignore[arg-type]


async def test_a_narrow_token_cannot_make_a_wide_one() -> None:
    """
    Whoever finds a token that may only make tokens must not have found them all.
    """
    people = People()
    user = (await people.enter()).user
    _, text = await people.tokens.create(user=user, maker=await people.principal(), scopes=["tokens!user"])
    narrow = await people.identify.by_token(text)
    assert narrow is not None

    inheriting, _ = await people.tokens.create(user=user, maker=narrow)

    own = {"read:users:name!user=ada", "read:users:groups!user=ada"}
    assert set(inheriting.scopes) == {"tokens!user=ada", "read:tokens!user=ada", *own}
    with pytest.raises(InvalidRequest, match="its owner or its maker"):
        await people.tokens.create(user=user, maker=narrow, scopes=["servers!user"])


async def test_a_limit_on_life_makes_every_token_end() -> None:
    people = People(max_token_seconds=3600)
    ada = await people.principal()
    user = await people.user("ada")

    by_default, _ = await people.tokens.create(user=user, maker=ada)
    short, _ = await people.tokens.create(user=user, maker=ada, expires_in=60)

    assert by_default.expires_at == people.clock.now() + timedelta(hours=1)
    assert short.expires_at == people.clock.now() + timedelta(minutes=1)
    with pytest.raises(InvalidRequest):
        await people.tokens.create(user=user, maker=ada, expires_in=3601)


async def test_tokens_are_listed_the_most_recently_used_first_without_ended_ones() -> None:
    people = People()
    ada = await people.principal()
    user = await people.user("ada")
    unused, _ = await people.tokens.create(user=user, maker=ada)
    used, text = await people.tokens.create(user=user, maker=ada)
    await people.tokens.create(user=user, maker=ada, expires_in=1)
    people.clock.advance(1)
    await people.identify.by_token(text)
    await people.activity.flush()

    assert [token.id for token in await people.tokens.list(user)] == [used.id, unused.id]


async def test_revoking_a_token_ends_it_and_the_visits_it_opened() -> None:
    people = People()
    user = (await people.enter()).user
    token, text = await people.tokens.create(user=user, maker=await people.principal())

    await people.tokens.revoke(user, token.public_id)

    assert await people.identify.by_token(text) is None
    assert [item.sid for item in people.proxy.revocations] == [f"token:{token.public_id}"]
    with pytest.raises(NoSuchToken):
        await people.tokens.get(user, token.public_id)


async def test_a_token_is_found_by_its_own_user_only() -> None:
    people = People()
    ada, bob = (await people.enter("ada")).user, (await people.enter("bob")).user
    token, _ = await people.tokens.create(user=ada, maker=await people.principal())

    assert await people.tokens.get(ada, token.public_id) == token
    for user, public_id in ((bob, token.public_id), (ada, "a999"), (ada, str(token.id)), (ada, "o1"), (ada, "a-1")):
        with pytest.raises(NoSuchToken):
            await people.tokens.get(user, public_id)
        with pytest.raises(NoSuchToken):
            await people.tokens.revoke(user, public_id)


async def test_a_token_that_inherits_shows_just_that() -> None:
    people = People()
    user = (await people.enter()).user
    token, _ = await people.tokens.create(user=user, maker=await people.principal())

    assert people.tokens.expanded_scopes(token, user, await people.tokens.owned(user)) == {"inherit"}


async def test_revoking_one_token_of_an_application_revokes_all_that_this_user_gave_it() -> None:
    people = People()
    ada, bob = (await people.enter("ada")).user, (await people.enter("bob")).user
    async with people.store.unit() as unit:
        rows = [
            await unit.tokens.add(
                user_id=user.id,
                prefix="p",
                token_hash="",
                scopes=("tokens!user", "read:users!user"),
                note="Service grades",
                created=people.clock.now(),
                client_id="service-grades",
            )
            for user in (ada, ada, bob)
        ]
    (application,) = await people.tokens.applications(ada)

    await people.tokens.revoke(ada, rows[0].public_id)

    assert (application.client_id, application.description) == ("service-grades", "Service grades")
    assert application.scopes == ("tokens!user", "read:users!user")
    assert await people.tokens.applications(ada) == []
    assert len(await people.tokens.applications(bob)) == 1
    assert [item.sid for item in people.proxy.revocations] == [f"token:{row.public_id}" for row in rows[:2]]
