from __future__ import annotations

import pytest

from perijove.wire.door import EXCHANGED_TOKEN_SECONDS
from tests.unit.hub.web.rig import CONTROL_TOKEN, Rig


@pytest.mark.parametrize("header", ["", "token wrong", "bearer control", CONTROL_TOKEN])
async def test_only_the_proxy_may_ask(rig: Rig, header: str) -> None:
    async with rig.client(Authorization=header) as client:
        assert (await client.post("/hub/_door/exchange", json={})).status_code == 403
        assert (await client.post("/hub/_door/recheck", json={})).status_code == 403


async def test_a_hub_token_becomes_an_identity_for_one_server(rig: Rig) -> None:
    token = await rig.token("bob")
    async with rig.program(CONTROL_TOKEN) as proxy:
        good = await proxy.post("/hub/_door/exchange", json={"token": token, "audience": "bob/"})
        other = await proxy.post("/hub/_door/exchange", json={"token": token, "audience": "eve/"})
        wrong = await proxy.post("/hub/_door/exchange", json={"token": "wrong", "audience": "bob/"})

    assert good.json() == {"identity": "signed-1", "expires_in": EXCHANGED_TOKEN_SECONDS}
    assert (other.status_code, wrong.status_code) == (403, 403)
    assert other.json()["reason"]


async def test_visits_are_judged_again(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    sid = browser.client.cookies["jupyterhub-session-id"]
    visit = {"sid": sid, "user": "bob", "audience": "bob/"}
    async with rig.program(CONTROL_TOKEN) as proxy:
        before = await proxy.post("/hub/_door/recheck", json={"visits": [visit]})
        await browser.get("/hub/logout")
        after = await proxy.post("/hub/_door/recheck", json={"visits": [visit]})

    assert before.json() == {"refused": []}
    assert after.json() == {"refused": [visit]}


async def test_a_visit_with_more_rights_than_there_are_is_refused(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    visit = {"sid": browser.client.cookies["jupyterhub-session-id"], "user": "bob", "audience": "bob/"}
    visits = [{**visit, "scope": "read write execute"}, {**visit, "scope": "read own"}]
    async with rig.program(CONTROL_TOKEN) as proxy:
        answer = await proxy.post("/hub/_door/recheck", json={"visits": visits})

    assert answer.json() == {"refused": [visit]}


@pytest.mark.parametrize(
    "visits",
    [
        [1],
        [{"sid": "a"}],
        "all",
        [{"sid": 1, "user": "a", "audience": "b"}],
        [{"sid": "a", "user": "a", "audience": "b", "scope": ["read"]}],
    ],
)
async def test_a_question_that_means_nothing_is_refused(rig: Rig, visits: object) -> None:
    async with rig.program(CONTROL_TOKEN) as proxy:
        assert (await proxy.post("/hub/_door/recheck", json={"visits": visits})).status_code == 400


async def test_there_is_a_limit_to_questions(rig: Rig) -> None:
    visit = {"sid": "s", "user": "bob", "audience": "bob/"}
    async with rig.program(CONTROL_TOKEN) as proxy:
        assert (await proxy.post("/hub/_door/recheck", json={"visits": [visit] * 1001})).status_code == 400
