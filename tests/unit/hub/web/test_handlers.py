"""
What handlers are given, and what they are not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from perijove.config.settings import ServerPolicy
from perijove.hub.web.errors import BadParameter
from perijove.hub.web.handlers import Given, Handler
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings

AgentOf = Annotated[str, Given(lambda request: request.headers.get("user-agent", ""))]


def _request(query: str = "", **path_params: str) -> Request:
    scope = {"type": "http", "query_string": query.encode(), "headers": [(b"user-agent", b"x")]}
    return Request(scope | {"path_params": path_params})


async def _all(
    agent: AgentOf, request: Request, name: str, number: int = 7, word: str | None = None, page: int | None = None
) -> list[Any]:
    return [agent, request.query_params.get("word"), name, number, word, page]


async def _said(query: str, **path_params: str) -> Any:
    response = await Handler(_all, in_path=("name",))(_request(query, **path_params))
    return json.loads(bytes(response.body))


async def test_parameters_come_from_the_request_its_path_and_its_query() -> None:
    assert await _said("number=12&word=", name="ada") == ["x", "", "ada", 12, "", None]
    assert await _said("", name="ada") == ["x", None, "ada", 7, None, None]
    assert await _said("page=-3&page=4", name="ada") == ["x", None, "ada", 7, None, 4]


@pytest.mark.parametrize("number", ["", "x", "1.5", " 1", "1_000", "+1", "٣", "9" * 19, "1\n"])
async def test_a_number_is_a_number(number: str) -> None:
    with pytest.raises(BadParameter, match="number is a whole number"):
        await Handler(_all, in_path=("name",))(_request(str(httpx.QueryParams(number=number)), name="ada"))


async def test_an_answer_is_sent_as_it_is() -> None:
    response = Response(b"as it is")

    async def answer() -> Response:
        return response

    assert await Handler(answer, in_path=())(_request()) is response


async def _required(word: str) -> Any: ...


async def _unknown(words: list[str]) -> Any: ...


@pytest.mark.parametrize("endpoint", [_required, _unknown])
def test_what_cannot_be_given_is_refused_at_start(endpoint: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=endpoint.__name__):
        Handler(endpoint, in_path=())


async def test_a_name_of_another_route_does_not_come_from_the_query() -> None:
    """
    The access decides about what is in the path.
    """
    handler = Handler(_all, in_path=("name",), never_in_query=("word",))

    response = await handler(_request("word=other&number=1", name="ada"))

    assert json.loads(bytes(response.body)) == ["x", "other", "ada", 1, None, None]


async def test_whoever_may_have_one_server_names_no_other_behind_the_question_mark(tasks: TaskGroup) -> None:
    rig = Rig(tasks=tasks, settings=make_settings(servers=ServerPolicy(allow_named_servers=True)))
    await rig.add_user("bob")
    token = await rig.token("bob", ["servers!server=bob/", "read:servers!server=bob/"])

    async with rig.program(token) as program:
        named = await program.post("/hub/api/users/bob/servers/other")
        asked = await program.post("/hub/api/users/bob/server?server_name=other")

    assert (named.status_code, asked.status_code) == (404, 201)
    assert [server.name for server in (await rig.parts.get_user.known("bob")).servers] == [""]
