from __future__ import annotations

import pytest

from perijove.config.settings import ServerPolicy
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings


@pytest.fixture
async def named(tasks: TaskGroup) -> Rig:
    rig = Rig(tasks=tasks, settings=make_settings(servers=ServerPolicy(allow_named_servers=True)))
    await rig.add_user("bob")
    return rig


async def test_the_home_page_says_how_the_server_is(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    before = await browser.get("/hub/home")
    await rig.start("bob")

    after = await browser.get("/hub/home")

    assert "Stopped" in before.text
    assert "Running" in after.text
    assert 'href="/user/bob/lab"' in after.text


async def test_more_servers_are_offered_only_where_they_are_allowed(rig: Rig, named: Rig) -> None:
    assert "More servers" not in (await (await rig.signed_in("bob")).get("/hub/home")).text
    assert "More servers" in (await (await named.signed_in("bob")).get("/hub/home")).text


async def test_a_named_server_is_made_started_and_removed(named: Rig) -> None:
    browser = await named.signed_in("bob")
    await browser.get("/hub/home")

    made = await browser.post("/hub/home", server_name="work")
    started = await browser.get(made.headers["location"])
    await browser.get("/hub/home")
    await browser.post("/hub/stop/bob/work")
    await browser.post("/hub/remove/bob/work")

    assert started.headers["location"] == "/user/bob/work/lab"
    assert "work" not in (await browser.get("/hub/home")).text


async def test_a_bad_name_is_explained_on_the_page(named: Rig) -> None:
    browser = await named.signed_in("bob")
    await browser.get("/hub/home")

    page = await browser.post("/hub/home", server_name="No Good")

    assert page.status_code == 400
    assert "Invalid server_name" in page.text


async def test_the_server_of_another_cannot_be_stopped(rig: Rig) -> None:
    await rig.start("bob")
    eve = await rig.signed_in("eve")
    await eve.get("/hub/home")

    answer = await eve.post("/hub/stop/bob")

    assert answer.status_code == 404
    assert rig.spawners.running() == ["bob/"]


@pytest.fixture
async def culling(tasks: TaskGroup) -> Rig:
    rig = Rig(tasks=tasks, settings=make_settings(cull_policies=[{"idle_seconds": 3600, "warn_seconds": 300}]))
    await rig.add_user("bob")
    return rig


async def test_a_server_that_will_be_stopped_soon_is_kept_by_a_button(culling: Rig) -> None:
    browser = await culling.signed_in("bob")
    await culling.start("bob")
    before = await browser.get("/hub/home")
    culling.clock.advance(3400)
    warned = await browser.get("/hub/home")
    pressed = await browser.post("/hub/keep/bob")
    after = await browser.get("/hub/home")

    assert "will be stopped" not in before.text
    assert "because nothing has run here for 1 hour." in warned.text
    assert 'action="/hub/keep/bob"' in warned.text
    assert pressed.headers["location"] == "/hub/home"
    assert "will be stopped" not in after.text


async def test_a_button_pressed_too_late_leads_to_the_page_that_says_so(culling: Rig) -> None:
    browser = await culling.signed_in("bob")
    await culling.start("bob")
    await browser.get("/hub/home")
    user = await culling.parts.get_user("bob")
    server = await culling.parts.get_server(user, "")
    await culling.parts.stop_server.if_due(server, lambda _: "It was stopped because it was time.")
    await culling.parts.stop_server.gone(server, timeout=5)

    pressed = await browser.post("/hub/keep/bob")
    home = await browser.get("/hub/home")
    pending = await browser.get("/hub/spawn-pending/bob")

    assert pressed.headers["location"] == "/hub/home"
    assert "It was stopped because it was time. Your files are safe." in home.text
    assert "It was stopped because it was time. Start it and go on." in pending.text


async def test_an_end_that_cannot_be_put_off_has_no_button(tasks: TaskGroup) -> None:
    policy = {"max_age_seconds": 600, "extend_seconds": 0}
    rig = Rig(tasks=tasks, settings=make_settings(cull_policies=[policy]))
    await rig.add_user("bob")
    browser = await rig.signed_in("bob")
    await rig.start("bob")
    rig.clock.advance(400)

    page = await browser.get("/hub/home")

    assert "because no server runs longer than 10 minutes here." in page.text
    assert "/hub/keep/bob" not in page.text


async def test_a_stopped_named_server_is_renamed_on_the_page(named: Rig) -> None:
    rig = named
    bob = await rig.parts.get_user("bob")
    for name in ("work", "other"):
        await rig.parts.create_server(bob, name)
    browser = await rig.signed_in("bob")
    page = await browser.get("/hub/home")

    renamed = await browser.post("/hub/rename/bob/work", server_name="play", display_name="At play")
    clash = await browser.post("/hub/rename/bob/play", server_name="other", display_name="At play")
    after = await browser.get("/hub/home")

    assert 'action="/hub/rename/bob/work"' in page.text
    assert renamed.headers["location"] == "/hub/home"
    assert (clash.status_code, "already has server" in clash.text) == (409, True)
    assert "At play" in after.text
    assert (await rig.parts.get_server(bob, "play")).display_name == "At play"
