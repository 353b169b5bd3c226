"""
The authorization endpoint over HTTP: what is a page, what a redirect, and to whom nothing is told.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
import pytest

from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import SCRIPT, Browser, Rig, make_settings

CALLBACK = "/user/bob/oauth_callback"
BOBS = {"client_id": "jupyterhub-user-bob", "redirect_uri": CALLBACK, "response_type": "code", "state": "st"}
GRADES = {
    "client_id": "service-grades",
    "redirect_uri": "https://grades.example/cb",
    "response_type": "code",
    "state": "st",
}
SERVICE = {
    "name": "grades",
    "api_token": "secret-of-grades",
    "oauth_redirect_uri": "https://grades.example/cb",
    "oauth_client_allowed_scopes": ["read:users!user", "tokens!user"],
}
ROLES = [{"name": "user", "scopes": ["self", "access:services!service=grades"]}]
_SCOPES = re.compile(r'name="scopes" value="([^"]+)"')


@pytest.fixture
async def rig(tasks: TaskGroup) -> Rig:
    rig = Rig(tasks=tasks, settings=make_settings(services=[SERVICE], load_roles=ROLES))
    await rig.add_user("ada", admin=True)
    await rig.add_user("bob")
    await rig.add_user("eve")
    await rig.start("bob")
    return rig


def url(parameters: dict[str, str], **changes: str) -> str:
    return f"/hub/api/oauth2/authorize?{urlencode(parameters | changes)}"


def answer_of(response: httpx.Response) -> dict[str, list[str]]:
    assert response.status_code == 302, response.text
    return parse_qs(urlsplit(response.headers["location"]).query)


async def agreed(browser: Browser, page: httpx.Response, **changes: Any) -> httpx.Response:
    scopes = [unescape(scope) for scope in _SCOPES.findall(page.text)]
    return await browser.post(str(page.url), **{"scopes": scopes, **changes})


async def test_a_server_of_ones_own_gets_its_code_at_once(rig: Rig) -> None:
    bob = await rig.signed_in("bob")

    answer = await bob.get(url(BOBS))

    assert urlsplit(answer.headers["location"]).path == CALLBACK
    assert not urlsplit(answer.headers["location"]).netloc
    assert answer_of(answer)["state"] == ["st"]
    assert len(answer_of(answer)["code"][0]) == 30


async def test_who_is_not_signed_in_comes_back_after_it(rig: Rig) -> None:
    stranger = rig.browser()

    answer = await stranger.get(url(BOBS))

    assert answer.headers["location"] == f"/hub/login?next={quote(url(BOBS), safe='')}"
    assert (await stranger.client.post(url(BOBS))).status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "cross-site", "same-site", "none"])
async def test_a_redirect_from_wherever_may_lead_here(rig: Rig, site: str) -> None:
    """
    A service may live on another origin.
    """
    bob = await rig.signed_in("bob")

    answer = await bob.get(url(BOBS), headers={"Sec-Fetch-Site": site})

    assert "code" in answer_of(answer)


@pytest.mark.parametrize("headers", [SCRIPT, {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}])
@pytest.mark.parametrize("parameters", [BOBS, GRADES])
async def test_script_of_a_users_server_gets_no_code_and_no_page(
    rig: Rig, headers: dict[str, str], parameters: dict[str, str]
) -> None:
    bob = await rig.signed_in("bob")

    answer = await bob.get(url(parameters), headers=headers)

    assert answer.status_code == 403
    assert "_xsrf" not in answer.text


async def test_consent_says_who_asks_for_what_and_where_the_answer_goes(rig: Rig) -> None:
    eve = await rig.signed_in("eve")

    page = await eve.get(url(GRADES))

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    for words in (
        "Service grades",
        "Read names of users: your own only.",
        "Open services: the service grades only.",
        "https://grades.example",
    ):
        assert words in page.text
    assert [unescape(scope) for scope in _SCOPES.findall(page.text)] == [
        "access:services!service=grades",
        "read:users:name!user",
        "read:users:groups!user",
        "read:users!user",
        "tokens!user",
    ]


async def test_the_policy_of_the_page_lets_the_answer_through_and_nothing_else(rig: Rig) -> None:
    """
    Browsers hold the redirect after a form to the form's policy.
    """
    eve = await rig.signed_in("eve")
    own = await eve.get("/hub/home")

    page = await eve.get(url(GRADES))

    policy = page.headers["content-security-policy"]
    assert "form-action 'self' https://grades.example;" in policy
    assert policy.replace(" https://grades.example", "") == own.headers["content-security-policy"]
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store"


async def test_who_agrees_gives_a_code(rig: Rig) -> None:
    eve = await rig.signed_in("eve")

    answer = await agreed(eve, await eve.get(url(GRADES)))

    assert answer.headers["location"].startswith("https://grades.example/cb?code=")
    assert answer_of(answer)["state"] == ["st"]


async def test_who_does_not_agree_gives_none(rig: Rig) -> None:
    eve = await rig.signed_in("eve")

    answer = await agreed(eve, await eve.get(url(GRADES)), deny="1")

    assert answer_of(answer)["error"] == ["access_denied"]
    assert "code" not in answer_of(answer)


async def test_more_than_was_asked_for_cannot_be_agreed_to(rig: Rig) -> None:
    eve = await rig.signed_in("eve")
    page = await eve.get(url(GRADES, scope="read:users!user"))

    answer = await agreed(eve, page, scopes=["read:users!user", "tokens!user"])

    assert answer_of(answer)["error"] == ["invalid_scope"]


async def test_consent_without_its_token_counts_for_nothing(rig: Rig) -> None:
    eve = await rig.signed_in("eve")
    await eve.get(url(GRADES))
    other = await rig.signed_in("bob")
    await other.get(url(GRADES))

    without = await eve.client.post(url(GRADES), data={"scopes": "read:users!user"})
    eve.xsrf = other.xsrf
    with_anothers = await eve.post(url(GRADES))

    assert (without.status_code, with_anothers.status_code) == (403, 403)
    assert without.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_site_cannot_agree_for_anybody(rig: Rig, site: str) -> None:
    eve = await rig.signed_in("eve")
    page = await eve.get(url(GRADES))
    eve.client.headers["Sec-Fetch-Site"] = site

    assert (await agreed(eve, page)).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "jupyterhub-user-nobody"},
        {"client_id": ""},
        {"redirect_uri": ""},
        {"redirect_uri": "/user/eve/oauth_callback"},
        {"redirect_uri": "/user/bob/oauth_callback/"},
        {"redirect_uri": "//evil.example/user/bob/oauth_callback"},
        {"redirect_uri": "https://evil.example/user/bob/oauth_callback"},
        {"redirect_uri": "http://hub.example/user/bob/oauth_callback"},
        {"redirect_uri": "/user/bob/../eve/oauth_callback"},
        {"redirect_uri": "/user/%62ob/oauth_callback"},
        {"redirect_uri": "/user/bob/oauth_callback#x"},
    ],
)
async def test_an_unknown_client_or_address_is_a_page_and_no_redirect(rig: Rig, changes: dict[str, str]) -> None:
    bob = await rig.signed_in("bob")

    answer = await bob.get(url(BOBS, **changes))

    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert "style-src" in answer.headers["content-security-policy"]
    assert "location" not in answer.headers


async def test_a_client_id_there_twice_is_no_client(rig: Rig) -> None:
    bob = await rig.signed_in("bob")

    assert (await bob.get(url(BOBS) + "&client_id=service-grades")).status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "admin:users"}, "invalid_scope"),
        ({"code_challenge": "short"}, "invalid_request"),
    ],
)
async def test_other_errors_go_back_to_the_client(rig: Rig, changes: dict[str, str], error: str) -> None:
    bob = await rig.signed_in("bob")

    answer = await bob.get(url(BOBS, **changes))

    assert urlsplit(answer.headers["location"]).path == CALLBACK
    assert answer_of(answer)["error"] == [error]
    assert answer_of(answer)["state"] == ["st"]


async def test_who_may_not_enter_gets_a_page_that_says_so(rig: Rig) -> None:
    eve = await rig.signed_in("eve")

    answer = await eve.get(url(BOBS))

    assert answer.status_code == 403
    assert "Server at /user/bob/ is not open to you" in answer.text


async def test_a_token_is_not_a_person_who_could_agree(rig: Rig) -> None:
    async with rig.program(await rig.token("bob")) as program:
        answer = await program.get(url(BOBS))

    assert answer.headers["location"].startswith("/hub/login")
