from __future__ import annotations

import asyncio
from datetime import timedelta
from unittest.mock import patch

import pytest

from perijove.hub.domain.errors import NoSuchServer, NoSuchService, NotAllowed
from perijove.hub.domain.servers import MAX_SERVER_NAME
from perijove.hub.domain.users import User
from perijove.hub.usecases.door import Visit
from perijove.hub.usecases.sign_out import EARLY
from perijove.kit.jws import SigningKey, Verifier
from perijove.singleuser.visitor import visitor
from perijove.wire.door import EXCHANGED_TOKEN_SECONDS, MAX_VISITS
from perijove.wire.identity import IDENTITY_COOKIE, IdentityClaims
from tests.unit.hub.usecases.people import People, service

CULLER = {"name": "culler", "api_token": "token-of-the-culler"}
ROLE = {"name": "culling", "scopes": ["access:servers"], "services": ["culler"]}


async def add_server(people: People, user: User, name: str = "") -> None:
    async with people.store.unit() as unit:
        await unit.servers.add(user_id=user.id, name=name, created=people.clock.now())


async def test_a_session_opens_ones_own_server_as_long_as_it_lives() -> None:
    people = People()
    signed_in = await people.enter()
    ada = await people.principal()
    await add_server(people, signed_in.user)
    people.clock.advance(60)

    entry = await people.door.enter(ada, "ada/")

    claims = IdentityClaims.from_claims(people.signer.signed[-1])
    assert (entry.path, entry.server_path) == ("/user/ada/", "/user/ada/")
    assert entry.max_age == timedelta(days=14).total_seconds() - 60
    assert (claims.sub, claims.sid, claims.aud) == ("ada", ada.session_id, "ada/")
    assert claims.scope == ("read", "write", "execute")
    assert claims.exp - claims.iat == entry.max_age


async def test_a_server_is_told_how_its_visitors_are_shown() -> None:
    people = People()
    people.method.user_info = {"display_name": "Ada L.", "avatar_url": "https://a.example/a.png", "color": "red"}
    await add_server(people, (await people.enter()).user)
    ada = await people.principal()
    _, token = await people.tokens.create(user=await people.user("ada"), maker=ada)

    await people.door.enter(ada, "ada/")
    await people.door.exchange(token, "ada/")

    assert len(people.signer.signed) == 2

    for signed in people.signer.signed:
        claims = IdentityClaims.from_claims(signed)
        told = (claims.name, claims.avatar_url, claims.color, claims.initials)
        assert told == ("Ada L.", "https://a.example/a.png", "red", "")


async def test_a_statement_fits_into_a_cookie_however_long_everything_is() -> None:
    """
    A browser drops a cookie that is too long, and its owner would never come in.
    """
    people = People()
    name = "\U00010428" * 64
    people.method.user_info = {"display_name": "\u00e9" * 999, "avatar_url": "/" + "a" * 1000, "color": "a" * 64}
    user = (await people.enter(name)).user
    server = "w" * MAX_SERVER_NAME
    await add_server(people, user, server)
    key = SigningKey.generate()

    with patch.object(people.signer, "sign", key.sign):
        entry = await people.door.enter(await people.principal(name), f"{name}/{server}")

    assert len(entry.cookie_value) + len(IDENTITY_COOKIE) < 4096
    claims = Verifier([key.public_jwk]).verify(entry.cookie_value, audience=f"{name}/{server}", now=people.clock.now())
    assert visitor(IdentityClaims.from_claims(claims)).display_name == name


async def test_somebody_elses_server_is_as_if_it_were_not_there() -> None:
    """
    Nobody learns from the door which servers there are.
    """
    people = People()
    ada = await people.principal("ada")
    await add_server(people, (await people.enter("bob")).user)

    for audience in ("bob/", "nobody/", "", "/"):
        with pytest.raises(NoSuchServer):
            await people.door.enter(ada, audience)
    assert people.signer.signed == []


async def test_an_administrator_may_open_every_server() -> None:
    people = People()
    root = await people.principal("root")
    await add_server(people, (await people.enter("bob")).user, "work")

    entry = await people.door.enter(root, "bob/work")

    assert entry.path == "/user/bob/work/"
    assert people.signer.signed[-1]["sub"] == "root"
    with pytest.raises(NoSuchServer):
        await people.door.enter(root, "bob/other")


async def test_who_may_open_no_server_at_all_is_told_so() -> None:
    people = People()
    await people.enter()

    with pytest.raises(NotAllowed):
        await people.door.enter(service("helper"), "ada/")


async def test_a_token_cannot_get_a_browsers_cookie() -> None:
    people = People()
    signed_in = await people.enter()
    await add_server(people, signed_in.user)
    _, text = await people.tokens.create(user=signed_in.user, maker=await people.principal())
    by_token = await people.identify.by_token(text)
    assert by_token is not None

    with pytest.raises(NotAllowed, match="Sign in"):
        await people.door.enter(by_token, "ada/")


async def test_a_hub_token_is_exchanged_for_a_short_statement() -> None:
    people = People()
    user = (await people.enter()).user
    token, text = await people.tokens.create(user=user, maker=await people.principal())

    _, seconds = await people.door.exchange(text, "ada/")

    claims = people.signer.signed[-1]
    assert seconds == EXCHANGED_TOKEN_SECONDS == claims["exp"] - claims["iat"]
    assert (claims["sub"], claims["sid"]) == ("ada", f"token:{token.public_id}")


async def test_the_statement_ends_no_later_than_the_token() -> None:
    """
    The proxy asks again only when a statement has ended, so this is how it learns that the token has.
    """
    people = People()
    signed_in = await people.enter()
    await add_server(people, signed_in.user)
    _, text = await people.tokens.create(user=signed_in.user, maker=await people.principal(), expires_in=20)
    people.clock.advance(5)

    _, seconds = await people.door.exchange(text, "ada/")

    claims = IdentityClaims.from_claims(people.signer.signed[-1])
    assert seconds == 15
    assert claims.exp == int(people.clock.now().timestamp()) + 15


async def test_a_token_that_may_not_enter_is_exchanged_for_nothing() -> None:
    people = People()
    user = (await people.enter()).user
    ada = await people.principal()
    _, narrow = await people.tokens.create(user=user, maker=ada, scopes=["read:users!user"])
    _, wide = await people.tokens.create(user=user, maker=ada)

    for token, audience in ((narrow, "ada/"), (wide, "bob/"), ("unknown", "ada/"), ("", "ada/")):
        with pytest.raises(NotAllowed):
            await people.door.exchange(token, audience)


async def test_visits_in_order_are_let_be() -> None:
    people = People(services=[CULLER], roles=[ROLE])
    signed_in = await people.enter()
    token, _ = await people.tokens.create(user=signed_in.user, maker=await people.principal())
    visits = [
        Visit(sid=signed_in.session.id, user="ada", audience="ada/"),
        Visit(sid=f"token:{token.public_id}", user="ada", audience="ada/work"),
        Visit(sid="token:s-culler", user="culler", audience="ada/"),
    ]

    assert await people.door.recheck(visits) == []


async def test_visits_that_lost_their_ground_are_refused() -> None:
    """
    The message that should have closed them may have been lost; this one heals it.
    """
    people = People(services=[CULLER], roles=[ROLE])
    gone, here = await people.enter(), await people.enter()
    token, _ = await people.tokens.create(user=here.user, maker=await people.principal(), expires_in=5)
    await people.sign_out(gone.session, gone.user)
    people.clock.advance(5)
    visits = [
        Visit(sid=gone.session.id, user="ada", audience="ada/"),
        Visit(sid=here.session.id, user="bob", audience="ada/"),
        Visit(sid=here.session.id, user="ada", audience="bob/"),
        Visit(sid=f"token:{token.public_id}", user="ada", audience="ada/"),
        Visit(sid="token:a999", user="ada", audience="ada/"),
        Visit(sid="token:nonsense", user="ada", audience="ada/"),
        Visit(sid="token:s-culler", user="ada", audience="ada/"),
        Visit(sid="token:s-unknown", user="unknown", audience="ada/"),
    ]

    assert await people.door.recheck(visits) == visits


async def test_a_token_whose_owner_changed_name_is_refused() -> None:
    people = People()
    user = (await people.enter()).user
    token, _ = await people.tokens.create(user=user, maker=await people.principal())
    async with people.store.unit() as unit:
        await unit.users.rename(user.id, "grace")
    visit = Visit(sid=f"token:{token.public_id}", user="ada", audience="ada/")

    assert await people.door.recheck([visit]) == [visit]


async def test_sessions_end_at_the_door_too() -> None:
    people = People()
    signed_in = await people.enter()
    people.clock.advance(timedelta(days=14).total_seconds())
    visit = Visit(sid=signed_in.session.id, user="ada", audience="ada/")

    assert await people.door.recheck([visit]) == [visit]


async def test_visits_of_somebody_blocked_are_refused() -> None:
    people = People(blocked_users=["eve"])
    signed_in = await people.enter("eve")
    token, _ = await people.tokens.create(user=signed_in.user, maker=service("script"))
    visits = [
        Visit(sid=signed_in.session.id, user="eve", audience="eve/"),
        Visit(sid=f"token:{token.public_id}", user="eve", audience="eve/"),
    ]

    assert await people.door.recheck(visits) == visits


async def test_too_many_visits_at_once_are_refused() -> None:
    people = People()
    signed_in = await people.enter()
    visits = [Visit(sid=signed_in.session.id, user="ada", audience="ada/")] * (MAX_VISITS + 1)

    assert await people.door.recheck(visits) == visits


async def share(people: People, owner: str, user: str, *scopes: str, server: str = "") -> None:
    """Give *user* exactly *scopes* of *owner*'s server."""
    async with people.store.unit() as unit:
        row = await unit.servers.by_key(owner, server)
        to = await unit.users.by_name(user)
        assert row is not None
        assert to is not None
        await unit.shares.put(row.id, user_id=to.id, scopes=scopes, created=people.clock.now())


@pytest.mark.parametrize(
    ("scope", "rights"),
    [
        ("access:servers:read", ("read",)),
        ("access:servers:write", ("read", "write")),
        ("access:servers", ("read", "write", "execute")),
    ],
)
async def test_a_statement_says_what_a_share_allows_and_no_more(scope: str, rights: tuple[str, ...]) -> None:
    people = People()
    await add_server(people, (await people.enter("ada")).user)
    await people.enter("bob")
    await share(people, "ada", "bob", scope)
    bob = await people.principal("bob")
    _, text = await people.tokens.create(user=await people.user("bob"), maker=bob)

    await people.door.enter(bob, "ada/")
    await people.door.exchange(text, "ada/")

    assert [IdentityClaims.from_claims(claims).scope for claims in people.signer.signed] == [rights, rights]


async def test_a_token_gets_no_more_than_its_own_scopes() -> None:
    people = People()
    user = (await people.enter()).user
    _, text = await people.tokens.create(user=user, maker=await people.principal(), scopes=["access:servers:read!user"])

    await people.door.exchange(text, "ada/")

    assert IdentityClaims.from_claims(people.signer.signed[-1]).scope == ("read",)


async def test_what_was_taken_back_while_somebody_was_on_their_way_in_is_not_signed() -> None:
    """
    A request is judged when it comes in, its statement is signed later, and lives as long as the session.
    """
    people = People()
    await add_server(people, (await people.enter("ada")).user)
    await people.enter("bob")
    await share(people, "ada", "bob", "access:servers")
    bob = await people.principal("bob")
    await share(people, "ada", "bob", "access:servers:read")

    await people.door.enter(bob, "ada/")

    assert IdentityClaims.from_claims(people.signer.signed[-1]).scope == ("read",)


async def test_a_visit_with_more_rights_than_there_are_left_is_refused() -> None:
    """
    They come in again at once, with what is left.
    """
    people = People()
    await add_server(people, (await people.enter("ada")).user)
    session = (await people.enter("bob")).session
    await share(people, "ada", "bob", "access:servers:write")
    fits = Visit(sid=session.id, user="bob", audience="ada/", scope=("read", "write"))
    too_much = Visit(sid=session.id, user="bob", audience="ada/", scope=("read", "write", "execute"))
    silent = Visit(sid=session.id, user="bob", audience="ada/")

    assert await people.door.recheck([fits, too_much, silent]) == [too_much]


async def test_who_comes_back_in_the_second_of_a_revocation_waits_for_the_next() -> None:
    """
    A statement of that second would be refused with the old ones, and the browser sent round and round.
    """
    people = People()
    signed_in = await people.enter()
    await add_server(people, signed_in.user)
    ada = await people.principal()
    _, text = await people.tokens.create(user=signed_in.user, maker=ada)
    people.clock.advance(0.25)
    waits = asyncio.get_running_loop().time

    await people.revocations.revoke_visits([("ada", "ada/"), ("bob", "ada/")])
    began = waits()
    await people.door.enter(ada, "ada/")
    entered = waits() - began
    await people.door.exchange(text, "ada/")
    exchanged = waits() - began - entered
    people.clock.advance(0.75)
    await people.door.enter(ada, "ada/")
    later = waits() - began - entered - exchanged

    assert [entered, exchanged, later] == pytest.approx([0.75 + EARLY, 0.75 + EARLY, 0])
    assert [(revocation.user, revocation.audience) for revocation in people.proxy.revocations] == [
        ("ada", "ada/"),
        ("bob", "ada/"),
    ]


BOARD = {"name": "board", "api_token": "token-of-the-board", "url": "http://127.0.0.1:9", "access": "gated"}
OPEN = {"name": "open", "api_token": "token-of-the-open", "url": "http://127.0.0.1:9"}
READERS = {"name": "readers", "scopes": ["access:services!service=board"], "users": ["ada"], "services": ["culler"]}


async def test_a_session_opens_a_guarded_service_for_who_may_enter_it() -> None:
    people = People(services=[BOARD, OPEN], roles=[READERS])
    await people.enter()
    ada = await people.principal()

    entry = await people.door.enter(ada, "/services/board")

    claims = IdentityClaims.from_claims(people.signer.signed[-1])
    assert (entry.path, claims.aud, claims.sub) == ("/services/board/", "/services/board", "ada")
    assert claims.scope == ("read", "write", "execute")


async def test_who_may_not_enter_a_service_learns_nothing_of_it() -> None:
    people = People(services=[BOARD, OPEN], roles=[READERS])
    ada, bob = await people.principal("ada"), await people.principal("bob")

    with pytest.raises(NotAllowed):
        await people.door.enter(bob, "/services/board")
    for audience in ("/services/open", "/services/none", "/services/"):
        # Bob may enter no service, ada may enter one: neither is told which there are.
        with pytest.raises(NotAllowed):
            await people.door.enter(bob, audience)
        with pytest.raises(NoSuchService):
            await people.door.enter(ada, audience)
    assert people.signer.signed == []


async def test_a_service_that_asks_its_visitors_itself_has_no_door() -> None:
    people = People(services=[BOARD, OPEN])
    root = await people.principal("root")

    with pytest.raises(NoSuchService):
        await people.door.enter(root, "/services/open")
    assert (await people.door.enter(root, "/services/board")).path == "/services/board/"


async def test_servers_and_services_of_one_name_are_two_things() -> None:
    """
    The right to enter the one is none to enter the other, whatever people are called.
    """
    people = People(services=[{**BOARD, "name": "ada"}])
    names = ("services", "ada")
    for name in names:
        await add_server(people, (await people.enter(name)).user, "ada")
    services, ada = [await people.principal(name) for name in names]

    await people.door.enter(services, "services/ada")
    assert people.signer.signed[-1]["aud"] == "services/ada"
    for principal in (services, ada):
        with pytest.raises(NotAllowed):
            await people.door.enter(principal, "/services/ada")


async def test_a_hub_token_opens_a_guarded_service_and_a_narrow_one_does_not() -> None:
    people = People(services=[BOARD, CULLER], roles=[READERS])
    user = (await people.enter()).user
    ada = await people.principal()
    token, wide = await people.tokens.create(user=user, maker=ada)
    _, narrow = await people.tokens.create(user=user, maker=ada, scopes=["access:servers!user"])

    await people.door.exchange(wide, "/services/board")
    claims = people.signer.signed[-1]
    await people.door.exchange(CULLER["api_token"], "/services/board")

    assert (claims["aud"], claims["sid"]) == ("/services/board", f"token:{token.public_id}")
    assert people.signer.signed[-1]["sub"] == "culler"
    with pytest.raises(NotAllowed):
        await people.door.exchange(narrow, "/services/board")
    with pytest.raises(NotAllowed):
        await people.door.exchange(wide, "/services/other")


async def test_visits_to_a_service_are_judged_again() -> None:
    people = People(services=[BOARD], roles=[READERS])
    ada, bob = await people.enter("ada"), await people.enter("bob")
    good = Visit(sid=ada.session.id, user="ada", audience="/services/board", scope=("read", "write", "execute"))
    bad = Visit(sid=bob.session.id, user="bob", audience="/services/board")

    assert await people.door.recheck([good, bad]) == [bad]
