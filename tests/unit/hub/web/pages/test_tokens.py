from __future__ import annotations

import re

from perijove.hub.domain.secrets_at_rest import hash_secret
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


async def test_applications_are_listed_and_revoked_there(rig: Rig) -> None:
    """
    Features 163: what holds a token of mine, in words, and a button that ends it.
    """
    user = await rig.parts.get_user("bob")
    async with rig.store.unit() as unit:
        for text in ("first", "second"):
            await unit.tokens.add(
                user_id=user.id,
                prefix=text,
                token_hash=hash_secret(text),
                scopes=("read:users:name!user", "access:services!service=grades"),
                note="Service grades",
                created=rig.clock.now(),
                client_id="service-grades",
            )
    browser = await rig.signed_in("bob")

    page = await browser.get("/hub/token")
    await browser.post("/hub/token/revoke-application", client_id="service-grades")
    after = await browser.get("/hub/token")

    assert page.text.count("<strong>Service grades</strong>") == 1
    assert "Read names of users: your own only." in page.text
    assert "You have no tokens." in page.text
    assert "Service grades" not in after.text
    async with rig.store.unit() as unit:
        assert [row for row in await unit.tokens.of_user(user.id) if row.client_id] == []


async def test_revoking_no_application_revokes_no_token(rig: Rig) -> None:
    """
    Tokens that people made themselves have an empty client.
    """
    token = await rig.token("bob")
    browser = await rig.signed_in("bob")
    await browser.get("/hub/token")

    await browser.post("/hub/token/revoke-application", client_id="")

    async with rig.program(token) as program:
        assert (await program.get("/hub/api/user")).status_code == 200
