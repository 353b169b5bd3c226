"""
The short way gives what the long way gives, and refuses whoever has lost a right with the very next request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute, iter_route_contexts

from perijove.hub.web import access
from perijove.hub.web.access import PUBLIC, Access
from perijove.hub.web.api.caller import CallOf
from perijove.hub.web.quick import QuickTable
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings

SERVICE = {"name": "script", "api_token": "token-of-the-script"}
ROLE = {"name": "script", "services": ["script"], "scopes": ["admin:users", "admin:servers", "list:users"]}
PATHS = (
    "/hub/api",
    "/hub/api/",
    "/hub/api/user",
    "/hub/api/users",
    "/hub/api/users?state=active&limit=1&sort=-name",
    "/hub/api/users?sort=nonsense",
    "/hub/api/users/bob",
    "/hub/api/users/bob?include_stopped_servers=1",
    "/hub/api/users/nobody",
    "/hub/api/users/",
)


@pytest.fixture
async def long_way(tasks: TaskGroup) -> Rig:
    """
    The same hub as `rig`, which knows of no short way.
    """
    return await _people(_without_short_ways(Rig(tasks=tasks, settings=_settings())))


@pytest.fixture
async def short_way(tasks: TaskGroup) -> Rig:
    return await _people(Rig(tasks=tasks, settings=_settings()))


def _settings() -> Any:
    return make_settings(services=[SERVICE], load_roles=[ROLE])


async def _people(rig: Rig) -> Rig:
    await rig.add_user("ada", admin=True)
    await rig.add_user("bob")
    await rig.add_user("eve")
    return rig


def _without_short_ways(rig: Rig) -> Rig:
    rig.app.quick._fixed.clear()
    rig.app.quick._named.clear()
    return rig


def test_every_short_way_is_a_declared_route_with_its_own_decision(rig: Rig) -> None:
    declared: dict[str | None, tuple[Callable[..., Any], Access]] = {}
    for context in iter_route_contexts(rig.app.routes):
        route = context.original_route
        assert isinstance(route, APIRoute)
        if route.methods == {"GET"}:
            owners = [getattr(dependency.call, "__self__", None) for dependency in route.dependant.dependencies]
            declared[context.path] = (route.endpoint, next(owner for owner in owners if isinstance(owner, Access)))

    assert set(rig.app.quick.endpoints) == {
        "/hub/api",
        "/hub/api/",
        "/hub/api/user",
        "/hub/api/users",
        "/hub/api/users/{user_name}",
    }
    for path, found in rig.app.quick.endpoints.items():
        assert found == declared[path]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("who", ["nobody", "wrong", "service", "user", "narrow"])
async def test_both_ways_give_the_same_answer(short_way: Rig, long_way: Rig, path: str, who: str) -> None:
    answers = []
    for rig in (short_way, long_way):
        await rig.start("bob")
        async with rig.client(**await _credentials(rig, who)) as client:
            answer = await client.get(path)
        answers.append((answer.status_code, answer.json(), dict(answer.headers)))

    assert answers[0] == answers[1]


async def _credentials(rig: Rig, who: str) -> dict[str, str]:
    if who == "nobody":
        return {}
    tokens = {"wrong": "x" * 32, "service": SERVICE["api_token"]}
    if who == "user":
        return {"Authorization": f"token {await rig.token('ada')}"}
    if who == "narrow":
        return {"Authorization": f"token {await rig.token('bob', ['read:users:name!user'])}"}
    return {"Authorization": f"token {tokens[who]}"}


@pytest.mark.parametrize("method", ["HEAD", "DELETE", "PUT"])
async def test_only_reading_is_short(rig: Rig, method: str) -> None:
    token = await rig.token("ada")
    async with rig.program(token) as program:
        answer = await program.request(method, "/hub/api/user")

    assert answer.status_code == 405


# -- whoever has lost a right is refused at once --------------------------------------------------------------


async def test_a_revoked_token_is_refused_with_the_next_request(rig: Rig) -> None:
    token = await rig.token("bob")
    bob = await rig.parts.get_user("bob")
    async with rig.program(token) as program:
        before = [await program.get(path) for path in ("/hub/api/user", "/hub/api/users/bob", "/hub/api/users")]
        (row,) = await rig.parts.tokens.list(bob)
        await rig.parts.tokens.revoke(bob, row.public_id)
        after = [await program.get(path) for path in ("/hub/api/user", "/hub/api/users/bob", "/hub/api/users")]

    assert [answer.status_code for answer in before[:2]] == [200, 200]
    assert [answer.status_code for answer in after] == [403, 403, 403]


async def test_an_ended_session_is_refused_with_the_next_request(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    before = await browser.get("/hub/api/user")
    found = await rig.parts.identify.by_session(browser.client.cookies["jupyterhub-hub-login"])
    assert found is not None

    await rig.parts.sign_out(found[0], await rig.parts.get_user("bob"))

    assert before.status_code == 200
    assert (await browser.get("/hub/api/user")).status_code == 403


async def test_a_deleted_user_is_refused_with_the_next_request(rig: Rig) -> None:
    token = await rig.token("bob")
    ada = await rig._principal("ada")
    async with rig.program(token) as program:
        before = await program.get("/hub/api/users/bob")
        await rig.parts.delete_user("bob", ada)
        after = await program.get("/hub/api/users/bob")

    assert (before.status_code, after.status_code) == (200, 403)


async def test_whoever_is_no_administrator_any_more_sees_others_no_more(rig: Rig) -> None:
    token = await rig.token("eve", ["inherit"])
    ada = await rig._principal("ada")
    await rig.parts.patch_user("eve", ada, admin=True)
    async with rig.program(token) as program:
        before = await program.get("/hub/api/users/bob")
        await rig.parts.patch_user("eve", ada, admin=False)
        after = await program.get("/hub/api/users/bob")

    assert (before.status_code, after.status_code) == (200, 404)


# -- the table ------------------------------------------------------------------------------------------------


def _table(path: str, endpoint: Callable[..., Any], methods: list[str]) -> QuickTable:
    router = APIRouter()
    router.add_api_route(f"/hub{path}", endpoint, methods=methods, dependencies=[PUBLIC])
    table = QuickTable()
    table.fill(router.routes, [endpoint])
    return table


async def _of_call(call: CallOf, name: str) -> Any: ...


async def _of_number(number: int) -> Any: ...


def test_a_name_with_a_slash_is_another_address() -> None:
    table = _table("/things/{name}", _of_call, ["GET"])

    assert table.find("/hub/things/one") is not None
    assert table.find("/hub/things/one/two") is None
    assert table.find("/hub/things/") is None
    assert table.find("one") is None


@pytest.mark.parametrize(
    ("path", "endpoint", "methods"),
    [
        ("/things/{name}", _of_call, ["POST"]),
        ("/things/{name}/part", _of_call, ["GET"]),
        ("/things/{number}", _of_number, ["GET"]),
    ],
)
def test_what_cannot_be_short_is_refused_at_start(path: str, endpoint: Callable[..., Any], methods: list[str]) -> None:
    with pytest.raises(ValueError, match="/hub/things"):
        _table(path, endpoint, methods)


def test_the_decision_is_the_accesses_own() -> None:
    table = _table("/things/{name}", _of_call, ["GET"])

    ((_, decides),) = table.endpoints.values()

    assert isinstance(decides, access.Public)
