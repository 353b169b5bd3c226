"""
A request reaches the function of its route, once and after its access has decided; whoever has lost a right is refused
with the very next request.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from functools import partial
from typing import Any

import httpx
import pytest

from perijove.hub.domain.errors import NoSuchUser, StoreAway
from perijove.hub.web.dispatch import Dispatch
from perijove.hub.web.table import RouteTable
from tests.unit.hub.web.rig import Rig

NOW = "2026-05-06T07:08:09Z"


@pytest.mark.parametrize("method", ["HEAD", "DELETE", "PUT"])
async def test_an_address_of_the_api_answers_to_its_own_methods(rig: Rig, method: str) -> None:
    async with rig.program(await rig.token("ada")) as program:
        answer = await program.request(method, "/hub/api/user")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, OPTIONS"


async def test_a_page_answers_to_its_own_methods(rig: Rig) -> None:
    browser = await rig.signed_in("ada")

    answer = await browser.client.delete("/hub/home")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/hub/api/nothing", 404),
        ("/hub/nothing", 404),
        ("/hub//home", 404),
        ("/hub/api/users/", 404),
        ("/hub/error/nine", 400),
        ("/hub/error/503/", 404),
    ],
)
async def test_what_is_not_there_is_not_there(rig: Rig, path: str, status: int) -> None:
    async with rig.program(await rig.token("ada")) as program:
        answer = await program.get(path)

    assert answer.status_code == status


async def test_nobody_opens_a_websocket_to_the_hub() -> None:
    sent: MutableSequence[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await Dispatch(RouteTable())({"type": "websocket", "path": "/hub/home", "headers": []}, receive, send)

    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize(
    ("error", "status"), [(NoSuchUser(), 404), (StoreAway("It is away."), 503), (RuntimeError("surprise"), 500)]
)
async def test_what_fails_is_not_done_again(
    rig: Rig, error: Exception, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(rig.parts.activity, "report", partial(_fail, calls, error))
    transport = httpx.ASGITransport(app=rig.app, raise_app_exceptions=False)
    headers = {"Authorization": f"token {await rig.token('ada')}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.example", headers=headers) as client:
        answer = await client.post("/hub/api/users/bob/activity", json={"last_activity": NOW})

    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    assert len(calls) == 1


async def test_what_fails_unexpectedly_is_told_to_the_server_as_well(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("nobody expected this")
    monkeypatch.setattr(rig.parts.activity, "report", partial(_fail, [], error))
    headers = {"Authorization": f"token {await rig.token('ada')}"}
    transport = httpx.ASGITransport(app=rig.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.example", headers=headers) as client:
        with pytest.raises(RuntimeError, match="nobody expected"):
            await client.post("/hub/api/users/bob/activity", json={"last_activity": NOW})


async def _fail(calls: list[object], error: Exception, *_: object) -> None:
    calls.append(error)
    raise error


async def test_a_report_by_cookie_needs_the_token_of_a_page(rig: Rig) -> None:
    browser = await rig.signed_in("ada")

    answer = await browser.client.post("/hub/api/users/ada/activity", json={"last_activity": NOW})

    assert answer.status_code == 403


async def test_a_revoked_token_is_refused_with_the_next_request(rig: Rig) -> None:
    token = await rig.token("bob")
    bob = await rig.parts.get_user("bob")
    async with rig.program(token) as program:
        before = [await program.get(path) for path in ("/hub/api/user", "/hub/api/users/bob", "/hub/api/users")]
        (row,) = await rig.parts.tokens.list(bob)
        await rig.parts.tokens.revoke(bob, row.public_id)
        after = [await program.get(path) for path in ("/hub/api/user", "/hub/api/users/bob", "/hub/api/users")]

    assert [answer.status_code for answer in before[:2]] == [200, 200]
    assert [answer.status_code for answer in after] == [403, 403, 403]


async def test_an_ended_session_is_refused_with_the_next_request(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    before = await browser.get("/hub/api/user")
    found = await rig.parts.identify.by_session(browser.client.cookies["jupyterhub-hub-login"])
    assert found is not None

    await rig.parts.sign_out(found[0], await rig.parts.get_user("bob"))

    assert before.status_code == 200
    assert (await browser.get("/hub/api/user")).status_code == 403


async def test_a_deleted_user_is_refused_with_the_next_request(rig: Rig) -> None:
    token = await rig.token("bob")
    ada = await rig._principal("ada")
    async with rig.program(token) as program:
        before = await program.get("/hub/api/users/bob")
        await rig.parts.delete_user("bob", ada)
        after = await program.get("/hub/api/users/bob")

    assert (before.status_code, after.status_code) == (200, 403)


async def test_whoever_is_no_administrator_any_more_sees_others_no_more(rig: Rig) -> None:
    token = await rig.token("eve", ["inherit"])
    ada = await rig._principal("ada")
    await rig.parts.patch_user("eve", ada, admin=True)
    async with rig.program(token) as program:
        before = await program.get("/hub/api/users/bob")
        await rig.parts.patch_user("eve", ada, admin=False)
        after = await program.get("/hub/api/users/bob")

    assert (before.status_code, after.status_code) == (200, 404)
