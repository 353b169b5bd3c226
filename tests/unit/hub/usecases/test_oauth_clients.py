from __future__ import annotations

import pytest

from perijove.hub.domain.lifecycle import State
from perijove.hub.oauth.clients import OAuthClient
from perijove.hub.oauth.errors import BadClient
from tests.unit.hub.usecases.oauth_world import GRADES, SERVICE_SECRET, OAuthWorld

CALLBACK = "/user/ada/oauth_callback"


async def by_secret(world: OAuthWorld, client_id: str, secret: str) -> OAuthClient | None:
    async with world.people.store.unit() as unit:
        return await world.clients.by_secret(unit, client_id, secret, world.now())


async def test_a_server_that_runs_is_a_client() -> None:
    world = OAuthWorld()
    world.spawners.visitors_scopes = ("read:users!user",)
    server = await world.server("ada")

    client = await world.clients.find("jupyterhub-user-ada", CALLBACK)

    assert (client.server, client.owner_id) == ("ada/", server.user_id)
    assert client.allowed_scopes == ("read:users!user",)


@pytest.mark.parametrize("state", [State.STOPPED])
async def test_a_server_that_is_stopped_is_none(state: State) -> None:
    """
    It has no secret, so nobody could come for a token.
    """
    world = OAuthWorld()
    await world.server("ada", state=state)

    with pytest.raises(BadClient):
        await world.clients.find("jupyterhub-user-ada", CALLBACK)


@pytest.mark.parametrize(
    ("client_id", "redirect_uri"),
    [
        ("jupyterhub-user-eve", "/user/eve/oauth_callback"),
        ("jupyterhub-user-ada", "/user/eve/oauth_callback"),
        ("jupyterhub-user-ada-lab", "/user/ada/lab/oauth_callback"),
        ("jupyterhub-user-ada", "http://hub.example/user/ada/oauth_callback"),
        ("service-grades", CALLBACK),
        ("service-other", "/services/other/oauth_callback"),
        ("grades", "/services/grades/oauth_callback"),
        ("", ""),
    ],
)
async def test_nobody_else_is_a_client(client_id: str, redirect_uri: str) -> None:
    world = OAuthWorld()
    await world.server("ada")

    with pytest.raises(BadClient):
        await world.clients.find(client_id, redirect_uri)


async def test_of_two_servers_with_one_client_id_the_address_tells() -> None:
    world = OAuthWorld()
    await world.server("ada", "lab", secret="one-secret-of-ada")
    await world.server("ada-lab", secret="two-secret-of-ada-lab")

    named = await world.clients.find("jupyterhub-user-ada-lab", "/user/ada/lab/oauth_callback")
    default = await world.clients.find("jupyterhub-user-ada-lab", "/user/ada-lab/oauth_callback")
    first = await by_secret(world, "jupyterhub-user-ada-lab", "one-secret-of-ada")
    second = await by_secret(world, "jupyterhub-user-ada-lab", "two-secret-of-ada-lab")

    assert (named.server, default.server) == ("ada/lab", "ada-lab/")
    assert first is not None
    assert second is not None
    assert (first.server, second.server) == ("ada/lab", "ada-lab/")


async def test_a_servers_secret_is_the_token_that_it_was_started_with() -> None:
    world = OAuthWorld()
    await world.server("ada", secret="secret-of-ada")
    await world.server("eve", secret="secret-of-eve")
    ada = await world.people.user("ada")
    _, own_token = await world.people.tokens.create(user=ada, maker=await world.people.principal("ada"))

    assert await by_secret(world, "jupyterhub-user-ada", "secret-of-ada") is not None
    for wrong in ("secret-of-eve", "secret-of-adb", "secret-o", "", own_token, SERVICE_SECRET):
        assert await by_secret(world, "jupyterhub-user-ada", wrong) is None, wrong


async def test_a_service_is_a_client_with_its_token_for_a_secret() -> None:
    world = OAuthWorld()
    await world.runtime_service("late", "secret-of-late", url="http://127.0.0.1:8", oauth_no_confirm=True)

    grades = await world.clients.find("service-grades", "/services/grades/oauth_callback")
    late = await world.clients.find("service-late", "/services/late/oauth_callback")

    assert (grades.service, grades.is_trusted) == ("grades", False)
    assert (late.service, late.is_trusted) == ("late", True)
    assert await by_secret(world, "service-grades", SERVICE_SECRET) == grades
    assert await by_secret(world, "service-late", "secret-of-late") == late
    assert await by_secret(world, "service-late", SERVICE_SECRET) is None
    assert await by_secret(world, "service-grades", "") is None


async def test_a_service_of_the_configuration_is_not_replaced_by_one_that_is_added() -> None:
    world = OAuthWorld()
    await world.runtime_service("grades", "another-secret", url="http://evil.example")
    await world.runtime_service(
        "others",
        "third-secret",
        oauth_client_id="service-grades",
        oauth_redirect_uri="/services/grades/oauth_callback",
    )

    for secret in ("another-secret", "third-secret"):
        assert await by_secret(world, "service-grades", secret) is None
    assert await by_secret(world, "service-grades", SERVICE_SECRET) is not None


async def test_a_program_with_a_token_alone_is_no_client() -> None:
    world = OAuthWorld(services=[{"name": "script", "api_token": "secret-of-script"}])

    with pytest.raises(BadClient):
        await world.clients.find("service-script", "/services/script/oauth_callback")


async def test_what_a_service_declares_counts() -> None:
    declared = {
        "oauth_client_id": "service-x",
        "oauth_redirect_uri": "https://app.example/cb",
        "oauth_client_allowed_scopes": ["read:users!user"],
        "oauth_no_confirm": True,
    }
    world = OAuthWorld(services=[{**GRADES, **declared}])

    client = await world.clients.find("service-x", "https://app.example/cb")

    assert (client.allowed_scopes, client.is_trusted) == (("read:users!user",), True)
