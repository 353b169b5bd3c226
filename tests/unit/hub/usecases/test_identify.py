from __future__ import annotations

from datetime import timedelta

import pytest

from perijove.hub.domain.principals import Kind
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.users import Person
from tests.unit.hub.usecases.people import People, service

SERVICE = {"name": "culler", "api_token": "token-of-the-culler"}
ROLE = {"name": "culling", "scopes": ["list:users", "delete:servers"], "services": ["culler"]}


async def test_a_cookie_is_its_session_and_its_user() -> None:
    people = People()
    signed_in = await people.enter()

    found = await people.identify.by_session(signed_in.secret)

    assert found is not None
    session, principal = found
    assert session == signed_in.session
    assert (principal.name, principal.session_id, principal.token_id) == ("ada", session.id, "")
    assert principal.scopes == people.roles.scopes_of_person(Person(user=signed_in.user))


@pytest.mark.parametrize("secret", ["", "unknown", "x" * 100_000, "\x00", "\udcff"])
async def test_what_is_nobodys_secret_is_nobody(secret: str) -> None:
    people = People()
    await people.enter()

    assert await people.identify.by_session(secret) is None
    assert await people.identify.by_token(secret) is None


async def test_a_session_ends_with_its_time() -> None:
    people = People()
    signed_in = await people.enter()
    people.clock.advance(timedelta(days=14).total_seconds() - 1)
    before = await people.identify.by_session(signed_in.secret)
    people.clock.advance(1)

    assert before is not None
    assert await people.identify.by_session(signed_in.secret) is None


async def test_blocking_somebody_ends_what_they_still_hold() -> None:
    """
    Not only the next sign-in: a cookie lives for two weeks, a token perhaps for ever.
    """
    people = People(blocked_users=["eve"])
    signed_in = await people.enter("eve")
    _, token = await people.tokens.create(user=signed_in.user, maker=service("script"))

    assert await people.identify.by_session(signed_in.secret) is None
    assert await people.identify.by_token(token) is None


async def test_a_token_allows_what_it_was_made_for_and_no_more() -> None:
    people = People()
    ada = await people.principal()
    token, text = await people.tokens.create(user=await people.user("ada"), maker=ada, scopes=["read:users!user=ada"])

    principal = await people.identify.by_token(text)

    assert principal is not None
    assert (principal.name, principal.token_id, principal.session_id) == ("ada", token.public_id, "")
    assert principal.scopes == {
        f"{scope}!user=ada" for scope in ("read:users", "read:users:name", "read:users:groups", "read:users:activity")
    }


async def test_a_token_that_inherits_follows_its_owner() -> None:
    """
    Somebody who is no longer an administrator has no token of one either.
    """
    people = People()
    root = await people.principal("root")
    _, text = await people.tokens.create(user=await people.user("root"), maker=root)
    before = await people.identify.by_token(text)
    async with people.store.unit() as unit:
        await unit.users.set_admin(root.user_id, admin=False)

    after = await people.identify.by_token(text)

    assert before is not None
    assert after is not None
    assert "admin:users" in before.scopes
    assert "admin:users" not in after.scopes


async def test_a_token_ends_with_its_time() -> None:
    people = People()
    ada = await people.principal()
    _, text = await people.tokens.create(user=await people.user("ada"), maker=ada, expires_in=60)
    people.clock.advance(60)

    assert await people.identify.by_token(text) is None


async def test_the_right_prefix_is_not_enough() -> None:
    people = People()
    ada = await people.principal()
    _, text = await people.tokens.create(user=await people.user("ada"), maker=ada)

    assert await people.identify.by_token(f"{text[:-1]}x") is None
    assert await people.identify.by_token(text[:8]) is None


async def test_a_services_token_is_the_service_with_its_roles() -> None:
    people = People(services=[SERVICE], roles=[ROLE])

    principal = await people.identify.by_token("token-of-the-culler")

    assert principal is not None
    assert (principal.kind, principal.name, principal.user_id) == (Kind.SERVICE, "culler", 0)
    assert principal.scopes == {"list:users", "read:users:name", "delete:servers"}
    assert principal.visit_id == "token:s-culler"


async def test_a_service_without_roles_may_do_nothing() -> None:
    people = People(services=[SERVICE])

    principal = await people.identify.by_token("token-of-the-culler")

    assert principal is not None
    assert principal.scopes == frozenset()


async def test_the_token_of_a_server_allows_what_the_contract_lists() -> None:
    people = People()
    ada = (await people.enter()).user
    async with people.store.unit() as unit:
        await unit.tokens.add(
            user_id=ada.id,
            prefix="01234567",
            token_hash=hash_secret("0123456789"),
            scopes=people.roles.server_token_scopes,
            note="Server at /user/ada/",
            created=people.clock.now(),
            server="ada/",
        )

    principal = await people.identify.by_token("0123456789")

    assert principal is not None
    assert principal.scopes == {
        "access:servers!server=ada/",
        "read:users:name!user=ada",
        "read:users:groups!user=ada",
        "users:activity!user=ada",
        "read:users:activity!user=ada",
        # What JupyterHub has not, below the first.
        "access:servers:read!server=ada/",
        "access:servers:write!server=ada/",
    }


async def test_uses_are_noted_and_written_later() -> None:
    people = People()
    signed_in = await people.enter()
    ada = await people.principal()
    token, text = await people.tokens.create(user=signed_in.user, maker=ada)
    people.clock.advance(10)
    await people.identify.by_session(signed_in.secret)
    await people.identify.by_token(text)

    await people.activity.flush()

    async with people.store.unit() as unit:
        found, row = await unit.sessions.by_id(signed_in.session.id), await unit.tokens.get(token.id)
    assert found is not None
    assert row is not None
    assert found[0].last_seen == row.last_activity == people.clock.now()


async def test_a_token_filtered_to_a_group_reaches_those_who_are_in_it_now() -> None:
    people = People(roles=[{"name": "reader", "users": ["ada"], "scopes": ["read:users"]}])
    ada = await people.principal("ada")
    for name in ("bob", "eve"):
        await people.enter(name)
    user, bob = await people.user("ada"), await people.user("bob")
    _, text = await people.tokens.create(user=user, maker=ada, scopes=["read:users!group=class"])
    async with people.store.unit() as unit:
        group = await unit.groups.put("class", properties={})
        await unit.groups.add_members(group.id, [bob.id])

    before = await people.identify.by_token(text)
    async with people.store.unit() as unit:
        await unit.groups.remove_members(group.id, [bob.id])
    after = await people.identify.by_token(text)

    assert before is not None
    assert after is not None
    assert "read:users!user=bob" in before.scopes
    assert "read:users!user=eve" not in before.scopes
    assert "read:users!user=bob" not in after.scopes
