from __future__ import annotations

import pytest

from perijove.hub.domain.accounts import Account, AccountState
from perijove.kit.tasks import TaskGroup
from perijove.wire.identity import IDENTITY_COOKIE
from tests.unit.hub.web.rig import PASSWORD, Rig, make_settings


async def test_signing_in_leads_straight_into_jupyterlab(rig: Rig) -> None:
    """
    One form, one answer: the server is started, its door is open, and no redirect is spent on the way.
    """
    browser = rig.browser()
    await browser.get("/hub/login")

    answer = await browser.post("/hub/login", username="Bob ", password=PASSWORD)

    assert answer.status_code == 302
    assert answer.headers["location"] == "/user/bob/lab"
    assert browser.client.cookies.get(IDENTITY_COOKIE, path="/user/bob/")
    assert rig.spawners.running() == ["bob/"]
    assert "/user/bob" in rig.proxy.table


async def test_a_server_that_takes_long_is_watched(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perijove.hub.web.pages.arrival.PATIENCE", 0.0)
    rig.spawners.gate.clear()
    browser = rig.browser()
    await browser.get("/hub/login")

    answer = await browser.post("/hub/login", username="bob", password=PASSWORD)

    assert answer.headers["location"] == "/hub/spawn-pending/bob?next=%2Fuser%2Fbob%2Flab"


async def test_whoever_wanted_something_gets_there(rig: Rig) -> None:
    browser = rig.browser()
    await browser.get("/hub/login")

    answer = await browser.post(
        "/hub/login?next=%2Fuser%2Fbob%2Flab%2Ftree%2Fa.ipynb", username="bob", password=PASSWORD
    )

    assert answer.headers["location"] == "/user/bob/lab/tree/a.ipynb"
    assert rig.spawners.running() == ["bob/"]


async def test_nobody_is_sent_to_another_host(rig: Rig) -> None:
    browser = rig.browser()
    await browser.get("/hub/login")

    answer = await browser.post("/hub/login?next=https://evil.example/", username="bob", password=PASSWORD)

    assert answer.headers["location"] == "/user/bob/lab"


async def test_a_wrong_password_says_so_and_keeps_the_name(rig: Rig) -> None:
    browser = rig.browser()
    await browser.get("/hub/login")

    answer = await browser.post("/hub/login", username="bob", password="wrong")

    assert answer.status_code == 403
    assert "Invalid username or password" in answer.text
    assert 'value="bob"' in answer.text
    assert "wrong" not in answer.text.replace("password was wrong", "")


async def test_too_many_attempts_are_slowed_down(rig: Rig) -> None:
    browser = rig.browser()
    await browser.get("/hub/login")
    for _ in range(3):
        await browser.post("/hub/login", username="bob", password="wrong")

    answer = await browser.post("/hub/login", username="bob", password=PASSWORD)

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_an_account_that_waits_is_told_so(rig: Rig) -> None:
    async with rig.store.unit() as unit:
        password_hash = await rig.hasher.hash(PASSWORD)
        await unit.accounts.put(
            Account(name="zoe", password_hash=password_hash, state=AccountState.WAITING, created=rig.clock.now())
        )
    browser = rig.browser()
    await browser.get("/hub/login")

    answer = await browser.post("/hub/login", username="zoe", password=PASSWORD)

    assert answer.status_code == 403
    assert "waits for an administrator" in answer.text


async def test_a_form_of_another_browser_signs_nobody_in(rig: Rig) -> None:
    """
    Otherwise somebody could be signed in as somebody else without noticing, and hand over their work.
    """
    mine, theirs = rig.browser(), rig.browser()
    await mine.get("/hub/login")
    await theirs.get("/hub/login")
    theirs.xsrf = mine.xsrf

    answer = await theirs.post("/hub/login", username="bob", password=PASSWORD)

    assert answer.status_code == 403
    assert not rig.spawners.running()


async def test_what_a_name_says_is_only_text(rig: Rig) -> None:
    browser = rig.browser()
    await browser.get("/hub/login")

    answer = await browser.post("/hub/login", username='"><script>alert(1)</script>', password="wrong")

    assert "<script>alert" not in answer.text


async def test_jupyterlabs_own_link_signs_out(rig: Rig) -> None:
    browser = await rig.signed_in("bob")

    answer = await browser.get("/hub/logout")

    assert answer.headers["location"] == "/hub/login"
    assert [revocation.sid for revocation in rig.proxy.revocations]
    assert (await browser.get("/hub/home")).status_code == 302


async def test_a_link_elsewhere_signs_nobody_out(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    browser.client.headers["Sec-Fetch-Site"] = "cross-site"

    answer = await browser.get("/hub/logout")

    assert answer.status_code == 200
    assert "Sign out?" in answer.text
    assert (await browser.get("/hub/home")).status_code == 200


async def test_the_button_signs_out_and_servers_keep_running(rig: Rig) -> None:
    await rig.start("bob")
    browser = await rig.signed_in("bob")
    await browser.get("/hub/home")

    await browser.post("/hub/logout")

    assert rig.spawners.running() == ["bob/"]
    assert (await browser.get("/hub/home")).headers["location"] == "/hub/login?next=%2Fhub%2Fhome"


async def test_over_tls_the_cookies_say_so(rig: Rig) -> None:
    """
    The proxy tells how the browser came; over the unix socket there is no client address.
    """
    browser = rig.browser()
    browser.client._transport = rig.proxied_transport()
    browser.client.headers["X-Forwarded-Proto"] = "https"
    browser.client.base_url = "https://hub.example"
    await browser.get("/hub/login")

    answer = await browser.post("/hub/login?next=/hub/home", username="bob", password=PASSWORD)

    cookies = answer.headers.get_list("set-cookie")
    assert any(line.startswith("__Host-jupyterhub-hub-login=") for line in cookies)
    assert all("Secure" in line for line in cookies if "Max-Age=0" not in line)


async def test_the_home_page_comes_first_if_the_administrator_says_so(tasks: TaskGroup) -> None:
    rig = Rig(tasks=tasks, settings=make_settings(redirect_to_server=False))
    await rig.add_user("bob")
    browser = rig.browser()
    await browser.get("/hub/login")

    answer = await browser.post("/hub/login", username="bob", password=PASSWORD)

    assert answer.headers["location"] == "/hub/home"
    assert not rig.spawners.running()


async def test_a_planted_second_cookie_signs_nobody_in_and_is_removed(rig: Rig) -> None:
    """
    Else script of eve's server could make ada's browser act as eve on the hub, or worse.
    """
    ada = await rig.signed_in("ada")
    ada.client.cookies.set("jupyterhub-hub-login", "planted", domain="hub.example", path="/hub")
    refused = await ada.get("/hub/home")
    again = await ada.get("/hub/home")

    assert refused.status_code == 403
    assert (again.status_code, again.headers["location"]) == (302, "/hub/login?next=%2Fhub%2Fhome")
