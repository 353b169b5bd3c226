from __future__ import annotations

import pytest

from perijove.config.settings import ServerPolicy
from perijove.hub.web.limits import MAX_BODY
from perijove.kit.tasks import TaskGroup
from perijove.wire.identity import IDENTITY_COOKIE
from tests.unit.hub.web.rig import SCRIPT, Rig, make_settings


async def test_visiting_ones_own_stopped_server_starts_it_and_ends_up_there(rig: Rig) -> None:
    browser = await rig.signed_in("bob")

    answer = await browser.get("/hub/user/bob/lab/tree/a%2Fb%20c.ipynb?reset&x=%26")

    assert answer.status_code == 302
    assert answer.headers["location"] == "/user/bob/lab/tree/a%2Fb%20c.ipynb?reset&x=%26"
    assert rig.spawners.running() == ["bob/"]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/hub/user/bob/api/kernels", {}),
        ("GET", "/hub/user/bob/lab", {"Accept": "application/json"}),
        ("GET", "/hub/user/bob/lab", SCRIPT),
        ("POST", "/hub/user/bob/anything", {}),
    ],
)
async def test_a_forgotten_tab_starts_nothing(rig: Rig, method: str, path: str, headers: dict[str, str]) -> None:
    browser = await rig.signed_in("bob")

    answer = await browser.client.request(method, path, headers=headers)

    assert answer.status_code == 424
    address = path.removeprefix("/hub")
    start = "http://hub.example/hub/spawn/bob"
    assert (
        answer.json()["message"] == f"JupyterHub server no longer running at {address}. Restart the server at {start}"
    )
    assert not rig.spawners.running()


async def test_a_change_in_a_page_left_open_starts_the_server_and_is_sent_again(rig: Rig) -> None:
    """
    Saving a notebook: the browser repeats the request as it was, now with a key to the door.
    """
    browser = await rig.signed_in("bob")
    path = "/user/bob/api/contents/a%2Fb.ipynb?x=1"

    first = await browser.client.put(path, headers=SCRIPT, content=b"x" * (2 * MAX_BODY))
    second = await browser.client.put(first.headers["location"], headers=SCRIPT, content=b"x" * (2 * MAX_BODY))

    assert (first.status_code, first.headers["location"]) == (307, f"/hub{path}")
    assert (second.status_code, second.headers["location"]) == (307, path)
    assert IDENTITY_COOKIE in second.headers["set-cookie"]
    assert rig.spawners.running() == ["bob/"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("api/contents/x", {**SCRIPT, "Sec-Fetch-Site": "same-site"}),
        ("api/contents/x", {**SCRIPT, "Sec-Fetch-Site": "cross-site"}),
        ("api/contents/x", {}),
        ("lab/api/workspaces/default", SCRIPT),
        ("api/events", SCRIPT),
        ("perijove/keep", SCRIPT),
    ],
)
async def test_no_other_change_starts_it(rig: Rig, path: str, headers: dict[str, str]) -> None:
    browser = await rig.signed_in("bob")

    answer = await browser.client.put(f"/hub/user/bob/{path}", headers=headers)

    assert answer.status_code == 424
    assert not rig.spawners.running()


@pytest.mark.parametrize(
    ("query", "status"), [("content=0&hash=1", 307), ("content=1", 424), ("", 424), ("content=0&type=directory", 424)]
)
async def test_looking_after_a_file_before_it_is_saved_starts_the_server_and_polling_does_not(
    rig: Rig, query: str, status: int
) -> None:
    browser = await rig.signed_in("bob")

    answer = await browser.client.get(f"/hub/user/bob/api/contents/x.ipynb?{query}", headers=SCRIPT)

    assert answer.status_code == status


async def test_a_change_in_a_folder_with_the_name_of_ours_starts_it(rig: Rig) -> None:
    browser = await rig.signed_in("bob")

    answer = await browser.client.put("/hub/user/bob/api/contents/perijove/x.ipynb", headers=SCRIPT)

    assert answer.status_code == 307


async def test_a_change_starts_no_server_of_another(rig: Rig) -> None:
    browser = await rig.signed_in("ada")

    answer = await browser.client.put("/hub/user/bob/api/contents/x", headers=SCRIPT)

    assert answer.status_code == 424
    assert not rig.spawners.running()


async def test_a_change_that_waits_in_vain_is_asked_to_come_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perijove.hub.web.pages.user_server.PATIENCE_OF_A_CHANGE", 0.0)
    rig.spawners.gate.clear()
    browser = await rig.signed_in("bob")

    answer = await browser.client.put("/hub/user/bob/api/contents/x", headers=SCRIPT)

    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_an_administrator_can_switch_starting_by_visits_off(tasks: TaskGroup) -> None:
    rig = Rig(tasks=tasks, settings=make_settings(servers=ServerPolicy(start_by_visit=False)))
    await rig.add_user("bob")
    browser = await rig.signed_in("bob")

    page = await browser.get("/hub/user/bob/lab")
    change = await browser.client.put("/hub/user/bob/api/contents/x", headers=SCRIPT)

    assert (page.status_code, change.status_code) == (424, 424)
    assert not rig.spawners.running()


async def test_below_a_prefix_a_change_is_sent_where_it_starts_the_server(tasks: TaskGroup) -> None:
    rig = Rig(tasks=tasks, settings=make_settings(base_url="/jupyter/"))
    async with rig.client() as client:
        answer = await client.put("/jupyter/user/bob/api/contents/x", headers=SCRIPT)

    assert (answer.status_code, answer.headers["location"]) == (307, "/jupyter/hub/user/bob/api/contents/x")


async def test_a_change_by_a_program_starts_nothing(rig: Rig) -> None:
    async with rig.program(await rig.token("bob")) as program:
        inside = await program.put("/hub/user/bob/api/contents/x", headers=SCRIPT)
        outside = await program.put("/user/bob/api/contents/x")

    assert (inside.status_code, outside.status_code) == (424, 405)
    assert not rig.spawners.running()


async def test_the_server_of_another_does_not_exist(rig: Rig) -> None:
    """
    The same answer whether bob runs one, does not, or is nobody.
    """
    await rig.start("bob")
    eve = await rig.signed_in("eve")

    answers = [await eve.get(path) for path in ("/hub/user/bob/lab", "/hub/user/ada/lab", "/hub/user/nobody/lab")]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1


async def test_strangers_are_asked_who_they_are(rig: Rig) -> None:
    page = await rig.browser().get("/hub/user/bob/lab?x=1")
    async with rig.client() as client:
        call = await client.get("/hub/user/bob/api/kernels")

    assert page.headers["location"] == "/hub/login?next=%2Fuser%2Fbob%2Flab%3Fx%3D1"
    assert call.status_code == 403
    assert call.json()["message"] == "Missing or invalid credentials."


async def test_an_administrator_sees_that_it_is_stopped_and_may_start_it(rig: Rig) -> None:
    """
    The visit of somebody else starts nothing by itself.
    """
    ada = await rig.signed_in("ada")

    page = await ada.get("/hub/user/bob/lab")

    assert page.status_code == 424
    assert "/hub/spawn/bob" in page.text
    assert not rig.spawners.running()


async def test_a_running_server_without_route_gets_it_back(rig: Rig) -> None:
    await rig.start("bob")
    rig.proxy.restart()
    browser = await rig.signed_in("bob")

    answer = await browser.get("/hub/user/bob/lab")

    assert answer.headers["location"] == "/user/bob/lab?redirects=1"
    assert "/user/bob" in rig.proxy.table


async def test_it_is_not_tried_for_ever(rig: Rig) -> None:
    await rig.start("bob")
    browser = await rig.signed_in("bob")

    assert (await browser.get("/hub/user/bob/lab?redirects=4")).status_code == 500


async def test_the_door_lets_in_whoever_may_enter(rig: Rig) -> None:
    await rig.start("bob")
    browser = await rig.signed_in("bob")

    answer = await browser.get("/hub/enter?server=bob/&next=/user/bob/lab/tree/x")

    assert answer.headers["location"] == "/user/bob/lab/tree/x"
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(IDENTITY_COOKIE))
    assert "Path=/user/bob/" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


@pytest.mark.parametrize("then", ["/user/ada/lab", "https://evil.example/", "/hub/people", ""])
async def test_the_door_leads_nowhere_but_into_that_server(rig: Rig, then: str) -> None:
    await rig.start("bob")
    browser = await rig.signed_in("bob")

    answer = await browser.get(f"/hub/enter?server=bob/&next={then}")

    assert answer.headers["location"] == "/user/bob/lab"


async def test_the_door_stays_shut_for_others(rig: Rig) -> None:
    await rig.start("bob")
    eve = await rig.signed_in("eve")

    answer = await eve.get("/hub/enter?server=bob/&next=/user/bob/lab")

    assert answer.status_code == 404
    assert IDENTITY_COOKIE not in str(answer.headers)


async def test_the_door_asks_strangers_who_they_are(rig: Rig) -> None:
    answer = await rig.browser().get("/hub/enter?server=bob/&next=/user/bob/lab")

    assert answer.headers["location"] == "/hub/login?next=%2Fuser%2Fbob%2Flab"


async def test_a_failed_start_is_explained(rig: Rig) -> None:
    rig.spawners.fail_with = "There is no space left."
    browser = await rig.signed_in("bob")

    answer = await browser.get("/hub/user/bob/lab")
    page = await browser.get(answer.headers["location"])

    assert answer.headers["location"].startswith("/hub/spawn-pending/bob")
    assert page.status_code == 500
    assert "There is no space left." in page.text
    assert "last words" in page.text


async def test_a_server_that_signs_visitors_in_itself_gets_no_key_of_the_door(rig: Rig) -> None:
    rig.spawners.own_sign_in = True
    await rig.start("bob")
    bob = await rig.signed_in("bob")

    answer = await bob.get("/hub/spawn/bob")

    assert answer.headers["location"] == "/user/bob/lab"
    assert IDENTITY_COOKIE not in answer.headers.get("set-cookie", "")
    assert rig.proxy.table["/user/bob"]["access"] == "open"
