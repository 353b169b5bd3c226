from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from perijove.hub.domain.users import User
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings


@pytest.mark.parametrize(
    ("path", "location", "status"),
    [
        ("/", "/hub/", 302),
        ("/somewhere?x=1", "/hub/somewhere?x=1", 302),
        ("/user/bob/lab?x=1", "/hub/user/bob/lab?x=1", 302),
        ("/user/bob", "/user/bob/", 301),
        ("/hub", "/hub/", 301),
        ("/user/bob/files/a%2Fb%20c.txt?download", "/hub/user/bob/files/a%2Fb%20c.txt?download", 302),
        ("//evil.example/", "/hub/evil.example/", 302),
    ],
)
async def test_what_has_no_route_is_the_hubs(rig: Rig, path: str, location: str, status: int) -> None:
    async with rig.client() as client:
        answer = await client.get(f"http://hub.example{path}")

    assert answer.headers["location"] == location
    assert answer.status_code == status


async def test_a_deployment_below_a_prefix_stays_below_it(tasks: TaskGroup) -> None:
    rig = Rig(tasks=tasks, settings=make_settings(base_url="/jupyter/"))
    async with rig.client() as client:
        outside = await client.get("/jupyter/user/bob/lab")
        login = await client.get("/jupyter/hub/login")

    assert outside.headers["location"] == "/jupyter/hub/user/bob/lab"
    assert 'action="/jupyter/hub/login"' in login.text


async def test_the_front_door_leads_into_ones_own_server(rig: Rig) -> None:
    browser = await rig.signed_in("bob")

    assert (await browser.get("/hub/")).headers["location"] == "/user/bob/lab"
    assert (await rig.browser().get("/hub/")).headers["location"] == "/hub/login?next=%2Fhub%2F"


async def test_a_link_for_everybody_leads_to_each_ones_own(rig: Rig) -> None:
    browser = await rig.signed_in("bob")

    answer = await browser.get("/hub/user-redirect/lab/tree/a.ipynb?x=1")
    then = await browser.get(answer.headers["location"])

    assert answer.headers["location"] == "/hub/spawn/bob?next=%2Fuser%2Fbob%2Flab%2Ftree%2Fa.ipynb%3Fx%3D1"
    assert then.headers["location"] == "/user/bob/lab/tree/a.ipynb?x=1"


async def test_the_error_page_of_the_proxy_is_fine_by_itself(rig: Rig) -> None:
    """
    The proxy adds the status; a 503 tries again by itself.
    """
    async with rig.client() as client:
        away = await client.get("/hub/error/503?url=/user/bob/lab")
        missing = await client.get("/hub/error/404?url=https://evil.example/")

    assert away.status_code == 200
    assert 'http-equiv="refresh"' in away.text
    assert 'href="/user/bob/lab"' in away.text
    assert "evil" not in missing.text
    assert 'http-equiv="refresh"' not in missing.text


async def test_the_hubs_own_files_are_cached_by_their_content(rig: Rig) -> None:
    url = rig.app.state.edge.static.url("style.css")
    async with rig.client() as client:
        current, other, none = [await client.get(path) for path in (url, "/hub/static/style.css", "/hub/static/x.css")]

    assert "immutable" in current.headers["cache-control"]
    assert other.headers["cache-control"] == "no-cache"
    assert current.headers["content-type"] == "text/css; charset=utf-8"
    assert none.status_code == 404


async def test_an_unknown_page_is_a_page(rig: Rig) -> None:
    async with rig.client() as client:
        answer = await client.get("/hub/nothing/here")

    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


async def test_health_asks_nobody(rig: Rig) -> None:
    async with rig.client() as client:
        answers = [
            await client.get("/hub/health"),
            await client.head("/hub/health"),
            await client.get("/hub/api/health"),
        ]

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.text for answer in answers} == {""}


async def test_a_link_for_everybody_leads_into_the_named_server_that_the_administrator_says(tasks: TaskGroup) -> None:
    rig = Rig(tasks=tasks, settings=make_settings(default_server_name="course"))
    await rig.add_user("bob")
    browser = await rig.signed_in("bob")

    answer = await browser.get("/hub/user-redirect/lab/tree/a.ipynb?x=1")

    wanted = quote("/user/bob/course/lab/tree/a.ipynb?x=1", safe="")
    assert answer.headers["location"] == f"/hub/spawn/bob/course?next={wanted}"


@pytest.mark.parametrize(
    ("answers", "location"),
    [
        ("/services/portal/?of=bob", "/services/portal/?of=bob"),
        ("https://elsewhere.example/", "/hub/home"),
        ("//elsewhere.example/", "/hub/home"),
        (None, "/hub/spawn/bob?next=%2Fuser%2Fbob%2Flab"),
    ],
)
@pytest.mark.parametrize("is_slow", [False, True])
async def test_a_hook_may_send_such_a_link_elsewhere_on_this_host(
    tasks: TaskGroup, answers: str | None, location: str, *, is_slow: bool
) -> None:
    asked = []

    def hook(path: str, _request: object, user: User, base_url: str) -> str | None:
        asked.append((path, user.name, base_url))
        return answers

    async def slow_hook(*arguments: Any) -> str | None:
        await asyncio.sleep(0)
        return hook(*arguments)

    rig = Rig(tasks=tasks, settings=make_settings(user_redirect_hook=slow_hook if is_slow else hook))
    await rig.add_user("bob")
    browser = await rig.signed_in("bob")

    answer = await browser.get("/hub/user-redirect/lab")

    assert answer.headers["location"] == location
    assert asked == [("lab", "bob", "/")]
