from __future__ import annotations

from typing import Any

import pytest

from tests.unit.hub.web.rig import SCRIPT, Rig


async def call(rig: Rig, method: str, path: str, *, name: str = "bob", scopes: list[str] | None = None) -> Any:
    async with rig.program(await rig.token(name, scopes)) as program:
        return await program.request(method, path)


async def listed(rig: Rig) -> list[dict[str, Any]]:
    answer = await call(rig, "GET", "/hub/api/users/bob/sessions")
    return [session for session in answer.json()["sessions"] if session["user_agent"]]


async def test_sessions_are_listed_without_anything_that_opens_one(rig: Rig) -> None:
    browser = rig.browser()
    browser.client.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    await browser.get("/hub/login")
    await browser.post("/hub/login?next=/hub/home", username="bob", password="right horse battery")

    (session,) = await listed(rig)

    assert session["device"] == "Firefox on Linux"
    assert session["address"] == "10.0.0.9"
    assert session["current"] is False
    assert session.keys() == {
        *("id", "created", "last_seen", "expires_at", "address", "user_agent", "device", "current")
    }
    secret = browser.client.cookies["jupyterhub-hub-login"]
    assert secret not in str(session)


async def test_a_session_is_ended_by_its_id(rig: Rig) -> None:
    browser, other = await rig.signed_in("bob"), await rig.signed_in("bob")
    first, second = sorted(await listed(rig), key=lambda row: str(row["id"]))

    gone = await call(rig, "DELETE", f"/hub/api/users/bob/sessions/{first['id']}")
    again = await call(rig, "DELETE", f"/hub/api/users/bob/sessions/{first['id']}")

    assert (gone.status_code, again.status_code) == (204, 404)
    assert [row["id"] for row in await listed(rig)] == [second["id"]]
    statuses = {(await one.get("/hub/home")).status_code for one in (browser, other)}
    assert statuses == {200, 302}


async def test_a_token_ends_all_of_them(rig: Rig) -> None:
    browser = await rig.signed_in("bob")

    gone = await call(rig, "DELETE", "/hub/api/users/bob/sessions")

    assert gone.status_code == 204
    assert (await browser.get("/hub/home")).status_code == 302
    assert await listed(rig) == []


@pytest.mark.parametrize(
    ("method", "path", "scopes"),
    [
        ("GET", "/hub/api/users/bob/sessions", ["read:users!user"]),
        ("DELETE", "/hub/api/users/bob/sessions", ["read:tokens!user"]),
        ("DELETE", "/hub/api/users/bob/sessions/x", ["read:tokens!user", "read:users!user"]),
    ],
)
async def test_reading_takes_the_scope_that_shows_tokens_and_ending_the_one_that_revokes_them(
    rig: Rig, method: str, path: str, scopes: list[str]
) -> None:
    assert (await call(rig, method, path, scopes=scopes)).status_code == 403


@pytest.mark.parametrize(("method", "below"), [("GET", ""), ("DELETE", ""), ("DELETE", "/x")])
async def test_somebody_elses_are_as_if_they_were_not_there(rig: Rig, method: str, below: str) -> None:
    assert (await call(rig, method, f"/hub/api/users/bob/sessions{below}", name="eve")).status_code == 404


async def test_administrators_end_them_for_others(rig: Rig) -> None:
    await rig.add_user("root", admin=True)
    browser = await rig.signed_in("bob")

    assert (await call(rig, "DELETE", "/hub/api/users/bob/sessions", name="root")).status_code == 204
    assert (await browser.get("/hub/home")).status_code == 302


async def test_a_page_of_ours_ends_all_but_its_own(rig: Rig) -> None:
    here, there = await rig.signed_in("bob"), await rig.signed_in("bob")
    await here.get("/hub/home")
    headers = {**SCRIPT, "X-XSRFToken": here.xsrf}

    listed_here = await here.client.get("/hub/api/users/bob/sessions", headers=headers)
    forged = await here.client.delete("/hub/api/users/bob/sessions", headers=SCRIPT)
    ended = await here.client.delete("/hub/api/users/bob/sessions", headers=headers)

    assert [row["current"] for row in listed_here.json()["sessions"]].count(True) == 1
    assert (forged.status_code, ended.status_code) == (403, 204)
    assert (await here.get("/hub/home")).status_code == 200
    assert (await there.get("/hub/home")).status_code == 302
