from __future__ import annotations

from datetime import timedelta

import pytest

from perijove.hub.domain.audit import Action
from perijove.hub.domain.principals import Principal
from perijove.hub.oauth.errors import ErrorCode, TokenRefused
from perijove.hub.usecases.oauth_authorize import CODE_SECONDS
from perijove.hub.usecases.oauth_exchange import prefix_of
from tests.unit.hub.usecases.oauth_world import (
    SERVICE_SECRET,
    VERIFIER,
    OAuthWorld,
    challenge_of,
    request_of,
)

CALLBACK = "/user/ada/oauth_callback"
ADA = request_of("jupyterhub-user-ada", CALLBACK)
CLIENT = {"client_id": "jupyterhub-user-ada", "client_secret": "secret-of-ada", "redirect_uri": CALLBACK}


async def with_server(**settings: int) -> tuple[OAuthWorld, Principal]:
    world = OAuthWorld(**settings)  # type: ignore[arg-type]
    await world.server("ada", secret="secret-of-ada")
    return world, await world.people.principal("ada")


async def refusal(world: OAuthWorld, **form: str) -> ErrorCode:
    with pytest.raises(TokenRefused) as caught:
        await world.token(**form)
    return caught.value.code


async def test_a_code_gives_a_token_of_who_agreed() -> None:
    world, ada = await with_server()

    issued = await world.token(**CLIENT, code=await world.code(ada, ADA))
    holder = await world.people.identify.by_token(issued.text)

    async with world.people.store.unit() as unit:
        entry = next(e for e in await unit.audit.page(limit=10) if e.action is Action.TOKEN_MADE)
    assert (entry.actor, entry.target, entry.detail["note"]) == ("ada", "ada", "Server at /user/ada/")
    assert issued.text not in str(entry)
    assert len(issued.text) == 30
    assert issued.scopes == ("access:servers!server=ada/", "read:users:name!user", "read:users:groups!user")
    assert holder is not None
    assert (holder.name, holder.session_id, holder.given_in) == ("ada", "", ada.session_id)
    assert holder.scopes == {
        "access:servers!server=ada/",
        "access:servers:write!server=ada/",
        "access:servers:read!server=ada/",
        "read:users:name!user=ada",
        "read:users:groups!user=ada",
    }


async def test_a_token_ends_with_the_session_it_was_given_in() -> None:
    world, _ = await with_server()
    signed_in = await world.people.enter("ada")
    found = await world.people.identify.by_session(signed_in.secret)
    assert found is not None
    issued = await world.token(**CLIENT, code=await world.code(found[1], ADA))
    other = await world.token(**CLIENT, code=await world.code(await world.people.principal("ada"), ADA))

    await world.people.sign_out(signed_in.session, signed_in.user)

    assert await world.people.identify.by_token(issued.text) is None
    assert await world.people.identify.by_token(other.text) is not None


@pytest.mark.parametrize(("seconds", "expected"), [(0, 14 * 86400), (60, 60), (10**9, 14 * 86400)])
async def test_a_token_never_outlives_the_sign_in(seconds: int, expected: int) -> None:
    world, ada = await with_server(token_seconds=seconds)

    issued = await world.token(**CLIENT, code=await world.code(ada, ADA))
    world.people.clock.advance(expected)

    assert issued.expires_in == expected
    assert await world.people.identify.by_token(issued.text) is None


async def test_a_code_that_comes_twice_ends_the_token_that_it_gave() -> None:
    """
    RFC 6749, 4.1.2: one of the two has stolen it, and nobody knows which.
    """
    world, ada = await with_server()
    first, second = await world.code(ada, ADA), await world.code(ada, ADA)
    stolen = await world.token(**CLIENT, code=first)
    other = await world.token(**CLIENT, code=second)
    holder = await world.people.identify.by_token(stolen.text)
    assert holder is not None

    assert await refusal(world, **CLIENT, code=first) is ErrorCode.INVALID_GRANT
    assert await world.people.identify.by_token(stolen.text) is None
    assert await world.people.identify.by_token(other.text) is not None
    assert [item.sid for item in world.people.proxy.revocations] == [f"token:{holder.token_id}"]


async def test_a_code_that_another_client_repeats_ends_nothing() -> None:
    world, ada = await with_server()
    code = await world.code(ada, ADA)
    issued = await world.token(**CLIENT, code=code)
    service = {"client_id": "service-grades", "client_secret": SERVICE_SECRET}

    assert await refusal(world, **service, redirect_uri=CALLBACK, code=code) is ErrorCode.INVALID_GRANT
    assert await world.people.identify.by_token(issued.text) is not None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_secret": "secret-of-eve"}, ErrorCode.INVALID_CLIENT),
        ({"client_secret": "wrong"}, ErrorCode.INVALID_CLIENT),
        ({"client_id": "jupyterhub-user-eve"}, ErrorCode.INVALID_CLIENT),
        ({"client_id": "jupyterhub-user-nobody"}, ErrorCode.INVALID_CLIENT),
        ({"redirect_uri": "/user/eve/oauth_callback"}, ErrorCode.INVALID_GRANT),
        ({"redirect_uri": f"http://hub.example{CALLBACK}"}, ErrorCode.INVALID_GRANT),
        ({"code": "another"}, ErrorCode.INVALID_GRANT),
        ({"code_verifier": VERIFIER}, ErrorCode.INVALID_GRANT),
        ({"grant_type": "password"}, ErrorCode.UNSUPPORTED_GRANT_TYPE),
    ],
)
async def test_whoever_is_not_the_client_or_asks_otherwise_gets_nothing(
    changes: dict[str, str], code: ErrorCode
) -> None:
    world, ada = await with_server()
    await world.server("eve", secret="secret-of-eve")
    form = CLIENT | {"code": await world.code(ada, ADA)} | changes

    assert await refusal(world, **form) is code
    async with world.people.store.unit() as unit:
        rows = await unit.tokens.of_user(ada.user_id)
    assert [row.client_id for row in rows if row.client_id] == []


async def test_a_code_of_one_client_is_no_code_of_another_and_is_gone() -> None:
    world, ada = await with_server()
    await world.server("eve", secret="secret-of-eve")
    code = await world.code(ada, ADA)
    eve = {"client_id": "jupyterhub-user-eve", "client_secret": "secret-of-eve"}

    assert await refusal(world, **eve, redirect_uri=CALLBACK, code=code) is ErrorCode.INVALID_GRANT
    assert await refusal(world, **CLIENT, code=code) is ErrorCode.INVALID_GRANT


async def test_pkce_holds_from_the_request_to_the_exchange() -> None:
    world, ada = await with_server()
    challenged = {**ADA, "code_challenge": [challenge_of(VERIFIER)], "code_challenge_method": ["S256"]}
    codes = [await world.code(ada, challenged) for _ in range(4)]

    assert await refusal(world, **CLIENT, code=codes[0]) is ErrorCode.INVALID_REQUEST
    assert await refusal(world, **CLIENT, code=codes[1], code_verifier=VERIFIER[::-1]) is ErrorCode.INVALID_GRANT
    wrong = challenge_of(VERIFIER)
    assert await refusal(world, **CLIENT, code=codes[2], code_verifier=wrong) is ErrorCode.INVALID_GRANT
    assert (await world.token(**CLIENT, code=codes[3], code_verifier=VERIFIER)).text


async def test_a_plain_challenge_is_its_verifier() -> None:
    world, ada = await with_server()
    code = await world.code(ada, {**ADA, "code_challenge": [VERIFIER], "code_challenge_method": ["plain"]})

    assert (await world.token(**CLIENT, code=code, code_verifier=VERIFIER)).text


async def test_a_code_ends_after_five_minutes() -> None:
    world, ada = await with_server()
    code, late = await world.code(ada, ADA), await world.code(ada, ADA)

    world.people.clock.advance(CODE_SECONDS - 1)
    assert (await world.token(**CLIENT, code=code)).text
    world.people.clock.advance(1)
    assert await refusal(world, **CLIENT, code=late) is ErrorCode.INVALID_GRANT


async def test_a_code_ends_with_its_session() -> None:
    world, _ = await with_server()
    signed_in = await world.people.enter("ada")
    found = await world.people.identify.by_session(signed_in.secret)
    assert found is not None
    code = await world.code(found[1], ADA)

    await world.people.sign_out(signed_in.session, signed_in.user)

    assert await refusal(world, **CLIENT, code=code) is ErrorCode.INVALID_GRANT


async def test_a_session_that_is_over_but_not_swept_gives_no_token() -> None:
    world, _ = await with_server()
    signed_in = await world.people.enter("ada")
    found = await world.people.identify.by_session(signed_in.secret)
    assert found is not None
    world.people.clock.set(signed_in.session.expires_at - timedelta(seconds=1))
    code = await world.code(found[1], ADA)
    world.people.clock.advance(1)

    assert await refusal(world, **CLIENT, code=code) is ErrorCode.INVALID_GRANT


async def test_who_is_blocked_meanwhile_gives_no_token() -> None:
    world, ada = await with_server()
    code = await world.code(ada, ADA)
    after = OAuthWorld(blocked_users=["ada"], store=world.people.store)

    assert await refusal(after, **CLIENT, code=code) is ErrorCode.INVALID_GRANT


def test_the_beginning_of_a_token_tells_nothing_about_its_code() -> None:
    assert prefix_of("a") != prefix_of("b")
    assert len(prefix_of("a")) == 8
