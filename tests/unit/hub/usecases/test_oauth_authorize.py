from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from perijove.hub.domain.errors import NotAllowed
from perijove.hub.oauth.errors import AuthorizationRefused, ErrorCode
from tests.unit.hub.usecases.oauth_world import (
    GRADES,
    OPEN_SERVICES,
    SERVICE_SECRET,
    VERIFIER,
    OAuthWorld,
    challenge_of,
    request_of,
)

ADA = request_of("jupyterhub-user-ada", "/user/ada/oauth_callback")
TO_GRADES = request_of("service-grades", "/services/grades/oauth_callback")
VISITORS = {"name": "visitors", "users": ["eve"], "scopes": ["access:servers!user=ada"]}


async def test_nobody_is_asked_about_a_server_of_their_own() -> None:
    world = OAuthWorld()
    await world.server("ada")

    asked = await world.authorize.ask(await world.people.principal("ada"), ADA)

    assert not asked.needs_consent
    assert asked.scopes == ("access:servers!server=ada/", "read:users:name!user", "read:users:groups!user")


async def test_a_visitor_is_asked_about_somebody_elses_server() -> None:
    world = OAuthWorld(roles=[OPEN_SERVICES, VISITORS])
    await world.server("ada")

    asked = await world.authorize.ask(await world.people.principal("eve"), ADA)

    assert asked.needs_consent
    assert asked.client.description == "Server at /user/ada/"


async def test_who_may_not_enter_is_refused_without_a_word_to_the_client() -> None:
    world = OAuthWorld(roles=[])
    await world.server("ada")
    eve = await world.people.principal("eve")

    with pytest.raises(NotAllowed, match="is not open to you"):
        await world.authorize.ask(eve, ADA)
    with pytest.raises(NotAllowed):
        await world.authorize.ask(eve, TO_GRADES)


@pytest.mark.parametrize("declared", [{}, {"oauth_no_confirm": True}])
async def test_an_administrator_may_trust_a_service(declared: Mapping[str, Any]) -> None:
    world = OAuthWorld(services=[{**GRADES, **declared}])

    asked = await world.authorize.ask(await world.people.principal("ada"), TO_GRADES)

    assert asked.needs_consent is (not declared)


async def test_who_has_agreed_is_not_asked_again_until_it_ends_or_more_is_asked() -> None:
    allowed = {"oauth_client_allowed_scopes": ["read:users!user", "tokens!user"]}
    world = OAuthWorld(services=[{**GRADES, **allowed}], token_seconds=60)
    ada = await world.people.principal("ada")
    some = {**TO_GRADES, "scope": ["read:users!user"]}
    code = await world.code(ada, some)
    form = {"client_id": "service-grades", "client_secret": SERVICE_SECRET, "code": code}
    await world.token(**form, redirect_uri="/services/grades/oauth_callback")

    same = await world.authorize.ask(ada, some)
    less = await world.authorize.ask(ada, {**TO_GRADES, "scope": ["read:users:activity!user"]})
    more = await world.authorize.ask(ada, TO_GRADES)
    other = await world.authorize.ask(await world.people.principal("eve"), some)
    world.people.clock.advance(60)
    later = await world.authorize.ask(ada, some)

    assert [asked.needs_consent for asked in (same, less, more, other, later)] == [False, False, True, True, True]


async def test_a_client_with_all_that_its_user_has_needs_no_more() -> None:
    world = OAuthWorld(services=[{**GRADES, "oauth_client_allowed_scopes": ["inherit"]}])
    ada = await world.people.principal("ada")
    assert (await world.authorize.ask(ada, TO_GRADES)).needs_consent
    code = await world.code(ada, TO_GRADES)
    form = {"client_id": "service-grades", "client_secret": SERVICE_SECRET, "code": code}
    await world.token(**form, redirect_uri="/services/grades/oauth_callback")

    assert not (await world.authorize.ask(ada, TO_GRADES)).needs_consent


async def test_a_scope_that_the_client_may_not_have_goes_back_to_it() -> None:
    world = OAuthWorld()

    with pytest.raises(AuthorizationRefused) as caught:
        await world.authorize.ask(await world.people.principal("ada"), {**TO_GRADES, "scope": ["admin:users"]})

    assert (caught.value.code, caught.value.state) == (ErrorCode.INVALID_SCOPE, "st")


async def test_less_may_be_agreed_to_but_not_more() -> None:
    """
    The form that comes back is the browser's, and a browser sends what somebody has told it to.
    """
    world = OAuthWorld(services=[{**GRADES, "oauth_client_allowed_scopes": ["read:users!user", "tokens!user"]}])
    ada = await world.people.principal("ada")
    asked = await world.authorize.ask(ada, {**TO_GRADES, "scope": ["read:users!user"]})

    code = await world.code(ada, {**TO_GRADES, "scope": ["read:users!user tokens!user"]}, ["read:users!user"])
    form = {"client_id": "service-grades", "client_secret": SERVICE_SECRET, "code": code}
    issued = await world.token(**form, redirect_uri="/services/grades/oauth_callback")

    assert "read:users!user" in issued.scopes
    assert "tokens!user" not in issued.scopes
    assert "access:services!service=grades" in issued.scopes
    for more in (["tokens!user"], ["inherit"], ["read:users!user", "admin:users"]):
        with pytest.raises(AuthorizationRefused):
            await world.authorize.agree(ada, asked, more)


async def test_older_clients_name_roles() -> None:
    reader = {"name": "reader", "scopes": ["read:users!user"]}
    allowed = {"oauth_client_allowed_scopes": ["read:users!user"]}
    world = OAuthWorld(services=[{**GRADES, **allowed}], roles=[OPEN_SERVICES, reader])

    asked = await world.authorize.ask(await world.people.principal("ada"), {**TO_GRADES, "scope": ["reader"]})

    assert "read:users!user" in asked.scopes


async def test_a_code_is_kept_as_a_hash_with_what_was_agreed_to() -> None:
    world = OAuthWorld()
    await world.server("ada", secret="secret-of-ada")
    ada = await world.people.principal("ada")
    challenge = {"code_challenge": [challenge_of(VERIFIER)], "code_challenge_method": ["S256"]}

    code = await world.code(ada, {**ADA, **challenge})

    assert len(code) == 30
    async with world.people.store.unit() as unit:
        assert await unit.oauth_codes.take(code) is None


async def test_pkce_can_be_required() -> None:
    world = OAuthWorld(require_pkce=True)
    await world.server("ada")
    ada = await world.people.principal("ada")

    with pytest.raises(AuthorizationRefused, match="Code challenge required"):
        await world.authorize.ask(ada, ADA)
    await world.authorize.ask(ada, {**ADA, "code_challenge": [challenge_of(VERIFIER)]})
