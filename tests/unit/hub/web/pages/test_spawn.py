from __future__ import annotations

from tests.unit.hub.web.rig import Rig


async def test_the_page_of_a_start_shows_its_progress_with_and_without_script(rig: Rig) -> None:
    rig.spawners.gate.clear()
    bob = await rig.parts.get_user("bob")
    await rig.parts.start_server(bob, "")
    browser = await rig.signed_in("bob")

    page = await browser.get("/hub/spawn-pending/bob")

    assert 'data-progress="/hub/api/users/bob/server/progress"' in page.text
    assert '<noscript><meta http-equiv="refresh"' in page.text


async def test_the_page_leads_on_when_the_server_is_up(rig: Rig) -> None:
    await rig.start("bob")
    browser = await rig.signed_in("bob")

    answer = await browser.get("/hub/spawn-pending/bob?next=/user/bob/lab/tree/x")

    assert answer.headers["location"] == "/user/bob/lab/tree/x"


async def test_looking_at_the_page_starts_nothing(rig: Rig) -> None:
    browser = await rig.signed_in("bob")

    page = await browser.get("/hub/spawn-pending/bob")

    assert "is not running" in page.text
    assert not rig.spawners.running()


async def test_an_administrator_starts_the_server_of_another_and_stays(rig: Rig) -> None:
    ada = await rig.signed_in("ada")
    await ada.get("/hub/people")

    answer = await ada.post("/hub/spawn/bob", next="/hub/people", stay="1")

    assert answer.headers["location"] == "/hub/people"
    assert rig.spawners.running() == ["bob/"]


async def test_stopping_waits_until_it_is_gone(rig: Rig) -> None:
    await rig.start("bob")
    browser = await rig.signed_in("bob")
    await browser.get("/hub/home")

    answer = await browser.post("/hub/stop/bob")
    page = await browser.get("/hub/home")

    assert answer.headers["location"] == "/hub/home"
    assert "Stopped" in page.text
    assert not rig.spawners.running()
