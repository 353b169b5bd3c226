from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest

from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings

SERVICES: Final = "/hub/api/services"
TOKEN: Final = "token-of-the-board"
DECLARED: Final = [
    {"name": "grader", "api_token": "token-of-grader", "url": "http://grader:1", "info": {"a": 1}},
    {"name": "hidden", "api_token": "token-of-hidden", "url": "http://hidden:1", "display": False},
    {"name": "script", "api_token": "token-of-script", "admin": True},
]


@pytest.fixture
async def served(tasks: TaskGroup) -> Rig:
    """
    A hub with three services, of which one has no address.
    """
    rig = Rig(tasks=tasks, settings=make_settings(services=DECLARED))
    await rig.add_user("ada", admin=True)
    await rig.add_user("bob")
    return rig


@pytest.fixture
async def script(served: Rig) -> AsyncIterator[httpx.AsyncClient]:
    async with served.program("token-of-script") as client:
        yield client


async def test_services_are_an_object_by_name(script: httpx.AsyncClient) -> None:
    found = (await script.get(SERVICES)).json()

    assert list(found) == ["grader", "hidden", "script"]
    assert found["grader"] == {
        "kind": "service",
        "name": "grader",
        "admin": False,
        "roles": [],
        "url": "http://grader:1",
        "prefix": "/services/grader/",
        "command": [],
        "pid": 0,
        "info": {"a": 1},
        "display": True,
        "access": "open",
    }
    assert (found["script"]["prefix"], found["script"]["roles"]) == ("", ["admin"])


async def test_an_added_service_is_routed_to_until_it_is_removed(served: Rig, script: httpx.AsyncClient) -> None:
    made = await script.post(f"{SERVICES}/board", json={"api_token": TOKEN, "url": "http://board:1"})
    route = served.proxy.table.get("/services/board", {})
    async with served.program(TOKEN) as board:
        who = (await board.get("/hub/api/user")).json()
    deleted = await script.delete(f"{SERVICES}/board")

    assert (made.status_code, made.json()["prefix"], deleted.status_code) == (201, "/services/board/", 200)
    assert (route["target"], route["access"], route["service"]) == ("http://board:1", "open", "board")
    assert (who["kind"], who["name"], who["scopes"]) == ("service", "board", [])
    assert "/services/board" not in served.proxy.table
    assert (await script.get(f"{SERVICES}/board")).status_code == 404


@pytest.mark.parametrize(
    ("method", "name", "body", "status"),
    [
        ("POST", "board", None, 400),
        ("POST", "board", {"command": ["true"], "api_token": TOKEN}, 400),
        ("POST", "board", {"shoe_size": 44}, 400),
        ("POST", "board", {"api_token": "token-of-script"}, 400),
        ("POST", "grader", {"api_token": TOKEN}, 409),
        ("DELETE", "grader", None, 405),
        ("DELETE", "none", None, 404),
        ("GET", "none", None, 404),
    ],
)
async def test_what_cannot_be_is_refused(
    script: httpx.AsyncClient, method: str, name: str, body: Any, status: int
) -> None:
    answer = await script.request(method, f"{SERVICES}/{name}", json=body)

    assert (answer.status_code, answer.json()["status"]) == (status, status)


async def test_a_filter_to_a_service_hides_the_others(served: Rig) -> None:
    token = await served.token("ada", ["list:services!service=grader", "read:services:name!service=grader"])

    async with served.program(token) as program:
        listed = (await program.get(SERVICES)).json()
        hidden, none = [await program.get(f"{SERVICES}/{name}") for name in ("hidden", "none")]

    assert list(listed) == ["grader"]
    assert listed["grader"].keys() == {"kind", "name", "admin"}
    assert (hidden.status_code, hidden.json()) == (none.status_code, none.json())


async def test_an_ordinary_user_neither_sees_nor_adds_services(served: Rig) -> None:
    async with served.program(await served.token("bob")) as program:
        answers = [
            await program.get(SERVICES),
            await program.get(f"{SERVICES}/grader"),
            await program.post(f"{SERVICES}/board", json={"api_token": TOKEN}),
            await program.delete(f"{SERVICES}/grader"),
        ]

    assert {answer.status_code for answer in answers} == {403}


async def test_the_menu_has_the_services_that_one_may_enter_and_that_are_to_be_shown(served: Rig) -> None:
    for name, shown in (("ada", True), ("bob", False)):
        page = (await (await served.signed_in(name)).get("/hub/home")).text

        assert ('href="/services/grader/"' in page) == shown
        assert "/services/hidden/" not in page
        assert "/services/script/" not in page
