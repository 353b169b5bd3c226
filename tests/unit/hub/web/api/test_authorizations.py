from __future__ import annotations

import pytest

from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings

SERVICE = {"name": "script", "api_token": "secret-of-script"}


@pytest.fixture
async def rig(tasks: TaskGroup) -> Rig:
    rig = Rig(tasks=tasks, settings=make_settings(services=[SERVICE]))
    await rig.add_user("bob")
    await rig.add_user("eve")
    return rig


async def test_a_service_asks_whose_a_token_is(rig: Rig) -> None:
    """
    Contract d48: as services of JupyterHub 1 do.
    """
    bobs = await rig.token("bob", ["read:users:name!user"])
    async with rig.program(SERVICE["api_token"]) as service:
        known = await service.get(f"/hub/api/authorizations/token/{bobs}")
        itself = await service.get(f"/hub/api/authorizations/token/{SERVICE['api_token']}")
        unknown = await service.get("/hub/api/authorizations/token/nobodys")

    assert known.json() == {"kind": "user", "name": "bob", "user_info": None, "groups": []}
    assert (itself.json()["kind"], itself.json()["name"]) == ("service", "script")
    assert (unknown.status_code, unknown.json()["status"]) == (404, 404)


async def test_a_service_asks_whose_a_cookie_is(rig: Rig) -> None:
    """
    Contract d50.
    """
    browser = await rig.signed_in("bob")
    cookie = browser.client.cookies["jupyterhub-hub-login"]
    path = "/hub/api/authorizations/cookie"
    async with rig.program(SERVICE["api_token"]) as service:
        by_address = await service.get(f"{path}/jupyterhub-hub-login/{cookie}")
        by_body = await service.request("GET", f"{path}/jupyterhub-hub-login", content=cookie)
        wrong = await service.get(f"{path}/jupyterhub-hub-login/another")
        other = await service.get(f"{path}/_xsrf/{cookie}")

    assert by_address.json() == by_body.json() == {"kind": "user", "name": "bob", "user_info": None, "groups": []}
    assert (wrong.status_code, other.status_code) == (404, 404)


async def test_who_asks_sees_more_only_if_they_may(rig: Rig) -> None:
    bobs = await rig.token("bob")
    async with rig.program(bobs) as bob, rig.program(await rig.token("eve")) as eve:
        mine = (await bob.get(f"/hub/api/authorizations/token/{bobs}")).json()
        theirs = (await eve.get(f"/hub/api/authorizations/token/{bobs}")).json()

    assert mine["admin"] is False
    assert "servers" in mine
    assert theirs == {"kind": "user", "name": "bob", "user_info": None, "groups": []}


@pytest.mark.parametrize("path", ["token/x", "cookie/jupyterhub-hub-login", "cookie/jupyterhub-hub-login/x"])
async def test_strangers_are_told_nothing(rig: Rig, path: str) -> None:
    async with rig.client() as stranger:
        assert (await stranger.get(f"/hub/api/authorizations/{path}")).status_code == 403


async def test_what_jupyterhub_removed_is_not_there(rig: Rig) -> None:
    """
    Contract d49.
    """
    async with rig.program(await rig.token("bob")) as bob:
        assert (await bob.post("/hub/api/authorizations/token", json={})).status_code == 404
