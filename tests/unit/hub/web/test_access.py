"""
Nobody gets past an undecided route: every route of the application has an access, and each kind of visitor
gets the answer that it is due.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perijove.hub.web.access import Access, LeftOpen, OpenPage, Page, Public
from perijove.hub.web.declared import Routes
from perijove.hub.web.table import Route
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import SCRIPT, Rig
from tests.unit.hub.web.split import split_rig


def routes_of(rig: Rig) -> Iterator[Route]:
    return iter(rig.app.routes)


def test_every_route_has_a_decision(rig: Rig) -> None:
    """
    Deny by default: none can be declared without one.
    """
    routes = list(routes_of(rig))

    assert len(routes) > 50
    assert all(isinstance(route.access, Access) for route in routes)
    with pytest.raises(TypeError, match="access"):
        Routes().get("/open")


def test_only_these_are_public(rig: Rig) -> None:
    public = {route.path for route in routes_of(rig) if isinstance(route.access, Public)}

    assert public == {
        "/hub/api",
        "/hub/api/",
        "/hub/api/health",
        "/hub/api/identity-keys",
        "/hub/api/oauth2/token",
        "/hub/api/openapi.json",
        "/hub/api/{rest:path}",
        "/hub/doorstep",
        "/hub/error/{code}",
        "/hub/health",
        "/hub/lab-assets/{version}/_start.json",
        "/hub/lab-assets/{version}/{name:path}",
        "/hub/logo",
        "/hub/static/{name}",
        "/{rest:path}",
        # Leads where a decision is made.
        "/user/{rest:path}",
    }


async def test_with_subdomains_every_route_has_a_decision_too(tasks: TaskGroup) -> None:
    routes = list(routes_of(await split_rig(tasks)))

    assert all(isinstance(route.access, Access) for route in routes)
    assert "/user/{user_name}/{rest:path}" in {route.path for route in routes if isinstance(route.access, LeftOpen)}


def filled(path: str) -> str:
    values = {
        "{user_name}": "bob",
        "{server_name}": "work",
        "{token_id}": "a1",
        "{rest:path}": "lab",
        "{code}": "503",
        "{group_name}": "class",
        "{service_name}": "board",
    }
    for name, value in values.items():
        path = path.replace(name, value)
    return path


async def test_a_stranger_gets_nothing_but_the_way_to_sign_in(rig: Rig) -> None:
    answers = {}
    async with rig.client() as client:
        for route in routes_of(rig):
            if isinstance(route.access, Public | OpenPage):
                continue
            for method in route.methods:
                answer = await client.request(method, filled(route.path))
                answers[method, route.path] = (answer.status_code, answer.headers.get("location", ""))

    assert len(answers) > 40
    for (method, path), (status, location) in answers.items():
        is_redirect = status == 302 and location.startswith("/hub/login?next=")
        assert status == 403 or is_redirect, (method, path, status)


async def test_an_ordinary_user_gets_nothing_of_another(rig: Rig) -> None:
    """
    403 or 404 for everything that is about bob, or that needs an administrator.
    """
    token = await rig.token("eve")
    async with rig.program(token) as client:
        for route in routes_of(rig):
            if not route.path.startswith("/hub/api/users"):
                continue
            for method in route.methods:
                answer = await client.request(method, filled(route.path), json={})
                if (method, route.path) == ("GET", "/hub/api/users"):
                    assert [user["name"] for user in answer.json()] == ["eve"] if answer.status_code == 200 else True
                    continue
                assert answer.status_code in {403, 404}, (method, route.path, answer.text)


async def test_pages_of_another_are_refused(rig: Rig) -> None:
    browser = await rig.signed_in("eve")
    for route in routes_of(rig):
        if not (isinstance(route.access, Page) and route.access.scopes):
            continue
        path = filled(route.path)
        answer = await (browser.get(path) if "GET" in route.methods else browser.post(path))

        assert answer.status_code in {403, 404}, path


@pytest.mark.parametrize("path", ["/hub/home", "/hub/token", "/hub/people", "/hub/login", "/hub/password"])
async def test_script_of_a_users_server_cannot_read_a_page(rig: Rig, path: str) -> None:
    """
    Such script has the hub's origin: only Fetch-Metadata tells it from the person.
    """
    browser = await rig.signed_in("ada")

    assert (await browser.client.get(path)).status_code in {200, 302}
    answer = await browser.client.get(path, headers=SCRIPT)
    assert answer.status_code == 403
    assert "_xsrf" not in answer.text


async def test_a_form_without_its_token_changes_nothing(rig: Rig) -> None:
    browser = await rig.signed_in("ada")

    answer = await browser.client.post("/hub/people/delete", data={"name": "bob"})

    assert answer.status_code == 403
    assert (await rig.parts.get_user("bob")).name == "bob"


async def test_a_token_of_another_session_is_worthless(rig: Rig) -> None:
    ada = await rig.signed_in("ada")
    eve = await rig.signed_in("eve")
    await eve.get("/hub/home")

    ada.xsrf = eve.xsrf

    assert (await ada.post("/hub/people/delete", name="bob")).status_code == 403


async def test_another_site_changes_nothing_even_with_the_token(rig: Rig) -> None:
    browser = await rig.signed_in("ada")
    await browser.get("/hub/people")
    browser.client.headers["Sec-Fetch-Site"] = "cross-site"

    assert (await browser.post("/hub/people/delete", name="bob")).status_code == 403
