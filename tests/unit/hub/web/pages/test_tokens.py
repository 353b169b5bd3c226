from __future__ import annotations

import re

from tests.unit.hub.web.rig import Rig


async def test_a_token_is_shown_once_and_works(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    await browser.get("/hub/token")

    page = await browser.post("/hub/token", note="backup", expires_in="86400")

    found = re.search(r'id="token" readonly value="([0-9a-f]{32})"', page.text)
    assert found is not None
    async with rig.program(found[1]) as program:
        assert (await program.get("/hub/api/user")).json()["name"] == "bob"
    assert found[1] not in (await browser.get("/hub/token")).text


async def test_a_revoked_token_is_worth_nothing(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    await browser.get("/hub/token")
    page = await browser.post("/hub/token", note="backup", expires_in="0")
    found = re.search(r'value="([0-9a-f]{32})"', page.text)
    assert found is not None

    identifier = re.search(r'name="id" value="(a\d+)"', page.text)
    assert identifier is not None

    await browser.post("/hub/token/revoke", id=identifier[1])

    async with rig.program(found[1]) as program:
        assert (await program.get("/hub/api/user")).status_code == 403


async def test_a_life_that_is_none_is_explained(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    await browser.get("/hub/token")

    page = await browser.post("/hub/token", note="backup", expires_in="soon")

    assert page.status_code == 400
    assert "how long" in page.text
