from __future__ import annotations

import re

from tests.unit.hub.web.rig import PASSWORD, Browser, Rig

_ID = re.compile(r'name="id" value="([^"]+)"')


async def ids_on(browser: Browser) -> list[str]:
    return _ID.findall((await browser.get("/hub/sessions")).text)


async def is_in(browser: Browser) -> bool:
    return (await browser.get("/hub/home")).status_code == 200


async def test_the_page_shows_every_session_and_which_one_this_is(rig: Rig) -> None:
    here = await rig.signed_in("bob")
    await rig.signed_in("bob")

    page = await here.get("/hub/sessions")

    assert page.text.count("<tr>") == 3
    assert page.text.count("this one") == 1
    assert "A Python program" in page.text
    assert "10.0.0.9" in page.text


async def test_what_a_browser_calls_itself_is_text(rig: Rig) -> None:
    here = rig.browser()
    here.client.headers["User-Agent"] = "<script>alert(1)</script> Firefox/1"
    await here.get("/hub/login")
    await here.post("/hub/login?next=/hub/home", username="bob", password=PASSWORD)

    assert "<script>alert" not in (await here.get("/hub/sessions")).text


async def test_another_one_is_ended_by_its_button(rig: Rig) -> None:
    here, there = await rig.signed_in("bob"), await rig.signed_in("bob")
    (other,) = await ids_on(here)

    answer = await here.post("/hub/sessions/end", id=other)

    assert answer.headers["location"] == "/hub/sessions"
    assert (await is_in(here), await is_in(there)) == (True, False)
    assert len(rig.proxy.revocations) == 1


async def test_all_others_are_ended_by_one_button(rig: Rig) -> None:
    here, *others = [await rig.signed_in("bob") for _ in range(3)]
    await here.get("/hub/sessions")

    await here.post("/hub/sessions/end-others")

    assert await is_in(here)
    assert [await is_in(other) for other in others] == [False, False]
    assert "End all others" not in (await here.get("/hub/sessions")).text


async def test_this_one_is_ended_by_signing_out(rig: Rig) -> None:
    here = await rig.signed_in("bob")
    await here.get("/hub/sessions")

    answer = await here.post("/hub/sessions/end", id=here.client.cookies["jupyterhub-session-id"])

    assert answer.status_code == 404
    assert await is_in(here)


async def test_nobody_ends_somebody_elses(rig: Rig) -> None:
    bob, eve = await rig.signed_in("bob"), await rig.signed_in("eve")
    await eve.get("/hub/sessions")

    answer = await eve.post("/hub/sessions/end", id=bob.client.cookies["jupyterhub-session-id"])

    assert answer.status_code == 404
    assert await is_in(bob)


async def test_no_form_of_another_site_ends_a_session(rig: Rig) -> None:
    here, there = await rig.signed_in("bob"), await rig.signed_in("bob")
    await here.get("/hub/sessions")

    here.xsrf = "forged"
    forged = await here.post("/hub/sessions/end-others")
    await here.get("/hub/sessions")
    here.client.headers["Sec-Fetch-Site"] = "cross-site"
    foreign = await here.post("/hub/sessions/end-others")

    assert (forged.status_code, foreign.status_code) == (403, 403)
    assert await is_in(there)


async def test_a_session_that_somebody_planted_before_is_not_the_one_that_signs_in(rig: Rig) -> None:
    """
    Session fixation: what the browser had before signing in is worth nothing afterwards.
    """
    eve = rig.browser()
    await eve.get("/hub/login")
    planted = "a-secret-that-eve-knows"
    bob = rig.browser()
    bob.client.cookies.set("jupyterhub-hub-login", planted, path="/hub/", domain="hub.example")
    bob.client.cookies.set("jupyterhub-session-id", "planted", path="/", domain="hub.example")
    await bob.get("/hub/login")
    await bob.post("/hub/login?next=/hub/home", username="bob", password=PASSWORD)

    secrets = {cookie.value for cookie in bob.client.cookies.jar if cookie.name == "jupyterhub-hub-login"}
    eve.client.cookies.set("jupyterhub-hub-login", planted, path="/hub/", domain="hub.example")

    assert planted not in secrets
    assert await is_in(bob)
    assert not await is_in(eve)


async def test_a_session_of_eve_that_was_tossed_to_bob_ends_with_nobody_believed(rig: Rig) -> None:
    """
    Script of a user's server can plant a cookie at a longer path, which is sent first: Bob would act in Eve's name.
    """
    eve, bob = await rig.signed_in("eve"), await rig.signed_in("bob")
    tossed = eve.client.cookies["jupyterhub-hub-login"]
    own = bob.client.cookies["jupyterhub-hub-login"]

    async with rig.client(**dict(bob.client.headers)) as client:
        answer = await client.get(
            "/hub/home", headers={"Cookie": f"jupyterhub-hub-login={tossed}; jupyterhub-hub-login={own}"}
        )

    assert answer.status_code == 403
    assert "eve" not in answer.text
    assert 'jupyterhub-hub-login=""; ' in str(answer.headers.get_list("set-cookie"))


async def test_the_home_page_tells_who_else_opened_ones_server(rig: Rig) -> None:
    await rig.add_user("root", admin=True)
    await rig.start("bob")
    bob, root = await rig.signed_in("bob"), await rig.signed_in("root")
    before = (await bob.get("/hub/home")).text
    entered = await root.get("/hub/enter?server=bob/&next=/user/bob/lab")
    assert entered.headers["location"] == "/user/bob/lab", entered.text
    rig.clock.advance(86400)

    after = (await bob.get("/hub/home")).text

    assert "Opened by others" not in before
    assert "was opened by <strong>root</strong>" in after
    assert "1 day ago" in after
    assert "Opened by others" not in (await root.get("/hub/home")).text
