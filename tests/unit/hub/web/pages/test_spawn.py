from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

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


FORM = '<label>Profile <input name="profile" value="{options}"></label> for {whose}'


async def options_of(rig: Rig, name: str, server: str = "") -> Mapping[str, Any]:
    user = await rig.parts.get_user(name)
    return (await rig.parts.get_server(user, server)).user_options


@pytest.mark.parametrize("path", ["/hub/spawn", "/hub/spawn/bob", "/hub/", "/user/bob/lab"])
async def test_a_start_that_asks_something_asks_first(rig: Rig, path: str) -> None:
    rig.start_options.html = FORM
    browser = await rig.signed_in("bob")

    answer = await browser.get(f"/hub{path}" if path.startswith("/user") else path)
    if answer.status_code == 302:
        answer = await browser.get(answer.headers["location"])

    assert 'name="profile"' in answer.text
    assert "for bob/" in answer.text
    assert not rig.spawners.running()


async def test_answers_become_options_and_the_server_starts(rig: Rig) -> None:
    rig.start_options.html = FORM
    browser = await rig.signed_in("bob")
    await browser.get("/hub/spawn?next=/user/bob/lab/tree/x")

    answer = await browser.post("/hub/spawn/bob", profile="large", _start="1", _next="/user/bob/lab/tree/x")

    assert answer.headers["location"] == "/user/bob/lab/tree/x"
    assert await options_of(rig, "bob") == {"profile": "large"}
    assert rig.spawners.running() == ["bob/"]


async def test_a_server_that_was_started_before_starts_again_without_a_question(rig: Rig) -> None:
    rig.start_options.html = FORM
    browser = await rig.signed_in("bob")
    await browser.get("/hub/spawn")
    await browser.post("/hub/spawn", profile="large", _start="1")
    await browser.get("/hub/home")
    await browser.post("/hub/stop/bob")

    visit = await browser.get("/hub/user/bob/lab")

    assert visit.headers["location"] == "/user/bob/lab"
    assert await options_of(rig, "bob") == {"profile": "large"}


async def test_a_mere_button_leads_to_the_question(rig: Rig) -> None:
    rig.start_options.html = FORM
    browser = await rig.signed_in("bob")
    await browser.get("/hub/home")

    answer = await browser.post("/hub/spawn/bob")

    assert 'name="profile"' in answer.text
    assert not rig.spawners.running()


async def test_wrong_answers_are_asked_again_with_what_is_wrong(rig: Rig) -> None:
    rig.start_options.html = FORM
    rig.start_options.refused = ("huge",)
    browser = await rig.signed_in("bob")
    await browser.get("/hub/spawn")

    answer = await browser.post("/hub/spawn", profile="huge", _start="1")

    assert answer.status_code == 400
    assert "there is no such profile" in answer.text
    assert 'name="profile"' in answer.text
    assert not rig.spawners.running()


async def test_files_of_a_form_are_read_with_their_names(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    await browser.get("/hub/home")
    read: dict[str, Any] = {}

    async def remember(_user: object, _name: str, form: Mapping[str, Any]) -> Mapping[str, Any]:
        read.update(form)
        return {}

    rig.start_options.read = remember  # type: ignore[method-assign,assignment]
    await browser.client.post(
        "/hub/spawn", data={"_xsrf": browser.xsrf, "a": "1"}, files={"list": ("x.txt", b"numpy", "text/plain")}
    )

    assert read == {"a": ["1"], "list_file": [{"filename": "x.txt", "content_type": "text/plain", "body": b"numpy"}]}


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("opt-profile=large", {"profile": "large"}),
        ("profile=large&next=/user/bob/tree", {"profile": "large"}),
        ("opt-profile=large&ignored=1", {"profile": "large"}),
    ],
)
async def test_an_address_with_options_starts_with_them(rig: Rig, query: str, options: Mapping[str, str]) -> None:
    browser = await rig.signed_in("bob")

    answer = await browser.get(f"/hub/spawn?{query}")

    assert answer.headers["location"].startswith("/user/bob/")
    assert await options_of(rig, "bob") == options


async def test_a_link_of_another_site_with_options_asks_before_it_starts_anything(rig: Rig) -> None:
    browser = await rig.signed_in("bob")

    page = await browser.get("/hub/spawn?opt-profile=<large>", headers={"Sec-Fetch-Site": "cross-site"})

    assert "A link has brought you here" in page.text
    assert '<input type="hidden" name="profile" value="&lt;large&gt;">' in page.text
    assert not rig.spawners.running()

    await browser.post("/hub/spawn/bob", profile="<large>", _start="1")
    assert await options_of(rig, "bob") == {"profile": "<large>"}


async def test_options_of_a_server_that_runs_change_nothing(rig: Rig) -> None:
    await rig.start("bob")
    browser = await rig.signed_in("bob")

    answer = await browser.get("/hub/spawn?opt-profile=large")

    assert answer.headers["location"] == "/user/bob/lab"
    assert await options_of(rig, "bob") == {}


async def test_endless_options_are_refused(rig: Rig) -> None:
    browser = await rig.signed_in("bob")

    answer = await browser.get("/hub/spawn?" + "&".join(f"opt-{number}=1" for number in range(51)))

    assert answer.status_code == 400
    assert not rig.spawners.running()
