"""
The token endpoint over HTTP, and what the token is good for then.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Browser, Rig, make_settings

SECRET = "secret-of-grades"
CALLBACK = "/services/grades/oauth_callback"
SERVICE = {"name": "grades", "api_token": SECRET, "url": "http://127.0.0.1:9", "oauth_no_confirm": True}
ROLES = [{"name": "user", "scopes": ["self", "access:services!service=grades"]}]
ASKED = {"client_id": "service-grades", "redirect_uri": CALLBACK, "response_type": "code"}


@pytest.fixture
async def rig(tasks: TaskGroup) -> Rig:
    rig = Rig(tasks=tasks, settings=make_settings(services=[SERVICE], load_roles=ROLES))
    await rig.add_user("ada", admin=True)
    await rig.add_user("bob")
    return rig


async def code_of(browser: Browser) -> str:
    answer = await browser.get(f"/hub/api/oauth2/authorize?{urlencode(ASKED)}")
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


async def exchange(rig: Rig, code: str, **changes: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "client_id": "service-grades",
        "client_secret": SECRET,
        "redirect_uri": CALLBACK,
        "code": code,
    }
    async with rig.client() as client:
        return await client.post("/hub/api/oauth2/token", data=form | changes)


async def token_of(rig: Rig, browser: Browser) -> str:
    text: str = (await exchange(rig, await code_of(browser))).json()["access_token"]
    return text


async def whoami(rig: Rig, token: str) -> httpx.Response:
    async with rig.program(token) as program:
        return await program.get("/hub/api/user")


async def test_the_answer_is_that_of_the_contract(rig: Rig) -> None:
    answer = await exchange(rig, await code_of(await rig.signed_in("bob")))

    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    body = answer.json()
    assert body.keys() == {"access_token", "expires_in", "token_type", "scope"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 1209600)
    assert body["scope"].split() == ["access:services!service=grades", "read:users:name!user", "read:users:groups!user"]


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_id": "service-other"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"code": "x" * 30}, 400, "invalid_grant"),
        ({"redirect_uri": "/services/other/oauth_callback"}, 400, "invalid_grant"),
    ],
)
async def test_refusals_are_those_of_the_contract(rig: Rig, changes: dict[str, str], status: int, error: str) -> None:
    answer = await exchange(rig, **{"code": await code_of(await rig.signed_in("bob")), **changes})

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"
    assert SECRET not in answer.text


async def test_credentials_elsewhere_than_in_the_body_do_not_count(rig: Rig) -> None:
    """
    Contract b: no HTTP Basic, and the token in the Authorization header is ignored here.
    """
    form = {"grant_type": "authorization_code", "client_id": "service-grades", "redirect_uri": CALLBACK}
    form["code"] = await code_of(await rig.signed_in("bob"))
    async with rig.client() as client:
        basic = await client.post("/hub/api/oauth2/token", data=form, auth=("service-grades", SECRET))
        bearer = await client.post("/hub/api/oauth2/token", data=form, headers={"Authorization": f"token {SECRET}"})
        query = await client.post(f"/hub/api/oauth2/token?{urlencode({**form, 'client_secret': SECRET})}")

    assert [answer.status_code for answer in (basic, bearer, query)] == [401, 401, 400]


async def test_a_token_says_whose_it_is_and_in_full_what_it_may(rig: Rig) -> None:
    bob = await rig.signed_in("bob")
    token = await token_of(rig, bob)

    answer = (await whoami(rig, token)).json()

    assert (answer["kind"], answer["name"], answer["groups"]) == ("user", "bob", [])
    assert answer["session_id"] == bob.client.cookies["jupyterhub-session-id"]
    assert answer["scopes"] == [
        "access:services!service=grades", "read:users:groups!user=bob", "read:users:name!user=bob"
    ]  # fmt: skip
    assert "servers" not in answer


async def test_a_servers_own_token_says_what_the_contract_shows(rig: Rig) -> None:
    """
    [V] of contract f.
    """
    await rig.start("bob")
    token = rig.spawners.processes["bob/"].environment["JUPYTERHUB_API_TOKEN"]

    answer = (await whoami(rig, token)).json()

    assert answer["scopes"] == [
        "access:servers!server=bob/",
        # Ours besides: less than all of a server.
        "access:servers:read!server=bob/",
        "access:servers:write!server=bob/",
        "read:users:activity!user=bob",
        "read:users:groups!user=bob",
        "read:users:name!user=bob",
        "users:activity!user=bob",
    ]


async def test_signing_out_ends_the_tokens_of_that_session(rig: Rig) -> None:
    bob, elsewhere = await rig.signed_in("bob"), await rig.signed_in("bob")
    ended, kept = await token_of(rig, bob), await token_of(rig, elsewhere)

    await bob.get("/hub/home")
    await bob.post("/hub/logout")

    assert (await whoami(rig, ended)).status_code == 403
    assert (await whoami(rig, kept)).status_code == 200


async def test_deleting_one_token_of_a_client_deletes_all_of_that_user(rig: Rig) -> None:
    """
    Contract b and d20: revoking an application is revoking it everywhere.
    """
    bob, ada = await rig.signed_in("bob"), await rig.signed_in("ada")
    first, second, adas = await token_of(rig, bob), await token_of(rig, bob), await token_of(rig, ada)
    async with rig.program(await rig.token("bob")) as program:
        listed = (await program.get("/hub/api/users/bob/tokens")).json()["api_tokens"]
        (one, two) = [token for token in listed if token["oauth_client"] == "Service grades"]
        gone = await program.delete(f"/hub/api/users/bob/tokens/{one['id']}")
        still = (await program.get("/hub/api/user")).status_code

    assert one["session_id"] == two["session_id"] == bob.client.cookies["jupyterhub-session-id"]
    assert (gone.status_code, still) == (204, 200)
    assert [(await whoami(rig, token)).status_code for token in (first, second, adas)] == [403, 403, 200]


async def test_a_server_that_stops_takes_what_it_was_given_along(rig: Rig) -> None:
    await rig.start("bob")
    bob = await rig.signed_in("bob")
    secret = rig.spawners.processes["bob/"].environment["JUPYTERHUB_API_TOKEN"]
    mine = {"client_id": "jupyterhub-user-bob", "redirect_uri": "/user/bob/oauth_callback"}
    answer = await bob.get(f"/hub/api/oauth2/authorize?{urlencode({**ASKED, **mine})}")
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    made: Any = (await exchange(rig, code, **mine, client_secret=secret)).json()

    assert (await whoami(rig, made["access_token"])).status_code == 200
    user = await rig.parts.get_user("bob")
    await rig.parts.stop_server(user, "")
    row = await rig.parts.get_server(user, "")
    await rig.parts.driver.settled(row.id, 5)

    assert (await whoami(rig, made["access_token"])).status_code == 403
    assert (await exchange(rig, code, **mine, client_secret=secret)).status_code == 401
