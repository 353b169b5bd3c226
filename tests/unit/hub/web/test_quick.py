"""
The short way gives what the long way gives, and refuses whoever has lost a right with the very next request.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute, iter_route_contexts

from perijove.hub.domain.errors import NoSuchUser, StoreAway
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
    rig.app.quick.clear()
    return rig


def test_every_short_way_is_a_declared_route_with_its_own_decision(rig: Rig) -> None:
    declared: dict[tuple[str, str | None], tuple[Callable[..., Any], Access]] = {}
    for context in iter_route_contexts(rig.app.routes):
        route = context.original_route
        assert isinstance(route, APIRoute)
        for method in route.methods or ():
            owners = [getattr(dependency.call, "__self__", None) for dependency in route.dependant.dependencies]
            access = next(owner for owner in owners if isinstance(owner, Access))
            declared[method, context.path] = (route.endpoint, access)

    assert set(rig.app.quick.endpoints) == {
        ("GET", "/hub/api"),
        ("GET", "/hub/api/"),
        ("GET", "/hub/api/user"),
        ("GET", "/hub/api/users"),
        ("GET", "/hub/api/users/{user_name}"),
        ("POST", "/hub/api/users/{user_name}/activity"),
    }
    for place, found in rig.app.quick.endpoints.items():
        assert found == declared[place]


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


NOW = "2026-05-06T07:08:09Z"
BODIES = (
    json.dumps({"last_activity": NOW, "servers": {"": {"last_activity": NOW, "busy": True}}}),
    json.dumps({"last_activity": NOW}),
    json.dumps({"last_activity": "2999-01-01T00:00:00Z"}),
    json.dumps({"last_activity": NOW, "servers": {"nothing": {"last_activity": NOW}}}),
    "{}",
    "",
    "no json",
    "[" * 100_000,
)


@pytest.mark.parametrize(
    ("body", "name", "who"),
    [
        *((body, "bob", "service") for body in BODIES),
        *((BODIES[0], name, who) for name in ("bob", "nobody", "") for who in ("nobody", "wrong", "user", "narrow")),
    ],
)
async def test_both_ways_take_the_same_reports(short_way: Rig, long_way: Rig, name: str, body: str, who: str) -> None:
    answers = []
    for rig in (short_way, long_way):
        await rig.start("bob")
        async with rig.client(**await _credentials(rig, who)) as client:
            answer = await client.post(f"/hub/api/users/{name}/activity", content=body)
        noted = rig.parts.activity.fresh_user(await rig.parts.get_user("bob")).last_activity
        answers.append((answer.status_code, answer.text, dict(answer.headers), noted))

    assert answers[0] == answers[1]


async def test_a_report_by_cookie_needs_the_token_of_a_page(short_way: Rig) -> None:
    browser = await short_way.signed_in("ada")
    body = {"last_activity": NOW}

    assert (await browser.client.post("/hub/api/users/ada/activity", json=body)).status_code == 403


@pytest.mark.parametrize("error", [NoSuchUser(), StoreAway("It is away."), RuntimeError("nobody expected this")])
async def test_what_fails_is_not_done_again(
    short_way: Rig, long_way: Rig, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    for rig in (short_way, long_way):
        calls: list[object] = []
        monkeypatch.setattr(rig.parts.activity, "report", partial(_fail, calls, error))
        transport = httpx.ASGITransport(app=rig.app, raise_app_exceptions=False)
        headers = {"Authorization": f"token {await rig.token('ada')}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://hub.example", headers=headers) as client:
            answer = await client.post("/hub/api/users/bob/activity", json={"last_activity": NOW})
        answers.append((answer.status_code, answer.text, dict(answer.headers)))
        assert len(calls) == 1

    assert answers[0] == answers[1]


async def _fail(calls: list[object], error: Exception, *_: object) -> None:
    calls.append(error)
    raise error


async def test_what_fails_unexpectedly_is_told_to_the_server_as_well(
    short_way: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("nobody expected this")
    monkeypatch.setattr(short_way.parts.activity, "report", partial(_fail, [], error))
    headers = {"Authorization": f"token {await short_way.token('ada')}"}
    transport = httpx.ASGITransport(app=short_way.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.example", headers=headers) as client:
        with pytest.raises(RuntimeError, match="nobody expected"):
            await client.post("/hub/api/users/bob/activity", json={"last_activity": NOW})


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


def _table(path: str, endpoint: Callable[..., Any], methods: list[str], access: Any = PUBLIC) -> QuickTable:
    router = APIRouter()
    router.add_api_route(f"/hub{path}", endpoint, methods=methods, dependencies=[access])
    table = QuickTable()
    table.fill(router.routes, [endpoint])
    return table


async def _of_call(call: CallOf, name: str) -> Any: ...


async def _of_number(number: int) -> Any: ...


def test_a_name_with_a_slash_is_another_address() -> None:
    table = _table("/things/{name}", _of_call, ["GET"])

    assert table.find("GET", "/hub/things/one") is not None
    for path in ("/hub/things/one/two", "/hub/things/", "/hub/things//", "one", ""):
        assert table.find("GET", path) is None


def test_a_name_may_stand_before_the_last_segment() -> None:
    table = _table("/things/{name}/part", _of_call, ["POST"])

    found = table.find("POST", "/hub/things/one/part")
    assert found is not None
    assert found[1] == {"name": "one"}
    for path in ("/hub/things//part", "/hub/things/one/two/part", "/hub/things/one/part/", "/hub/things/one/other"):
        assert table.find("POST", path) is None
    assert table.find("GET", "/hub/things/one/part") is None


@pytest.mark.parametrize(
    ("path", "endpoint", "methods"),
    [
        ("/things/{name}", _of_call, ["GET", "POST"]),
        ("/things/{name}/part/of", _of_call, ["GET"]),
        ("/things/{name}/{other}", _of_call, ["GET"]),
        ("/things/{number}", _of_number, ["GET"]),
    ],
)
def test_what_cannot_be_short_is_refused_at_start(path: str, endpoint: Callable[..., Any], methods: list[str]) -> None:
    with pytest.raises(ValueError, match="/hub/things"):
        _table(path, endpoint, methods)


def test_an_access_that_may_read_the_body_is_refused_at_start() -> None:
    with pytest.raises(TypeError, match="more than the head"):
        _table("/things/{name}", _of_call, ["POST"], access.SIGNED_IN)


def test_one_address_has_one_short_way() -> None:
    table = _table("/things/{name}", _of_call, ["GET"])
    router = APIRouter()
    router.add_api_route("/hub/things/", _of_nothing, methods=["GET"], dependencies=[PUBLIC])

    with pytest.raises(ValueError, match="already"):
        table.fill(router.routes, [_of_nothing])


async def _of_nothing() -> Any: ...


def test_the_decision_is_the_accesses_own() -> None:
    table = _table("/things/{name}", _of_call, ["GET"])

    ((_, decides),) = table.endpoints.values()

    assert isinstance(decides, access.Public)
