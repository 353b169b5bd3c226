from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from perijove.hub.web.etags import ETags


async def say(request: Request) -> Response:
    return PlainTextResponse(request.path_params["what"], status_code=int(request.query_params.get("status", 200)))


async def own(_request: Request) -> Response:
    return PlainTextResponse("own", headers={"ETag": '"mine"'})


async def stream(_request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    return StreamingResponse(pieces())


def client() -> httpx.AsyncClient:
    routes = [
        Route("/api/own", own),
        Route("/api/stream", stream),
        Route("/{rest:path}/{what}", say, methods=["GET", "POST"]),
    ]
    app = ETags(Starlette(routes=routes), prefix="/api/")
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://hub")


@pytest.mark.parametrize("asked", ["{}", 'W/"other", {}', "*", '"x" ,{}'])
async def test_who_has_the_answer_already_gets_none(asked: str) -> None:
    async with client() as http:
        first = await http.get("/api/x/hello")
        again = await http.get("/api/x/hello", headers={"If-None-Match": asked.format(first.headers["etag"])})

    assert first.text == "hello"
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert "content-length" not in again.headers


async def test_who_has_another_answer_gets_the_new_one() -> None:
    async with client() as http:
        first = await http.get("/api/x/hello")
        other = await http.get("/api/x/goodbye", headers={"If-None-Match": first.headers["etag"]})

    assert (other.status_code, other.text) == (200, "goodbye")
    assert other.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/stream"), ("GET", "/api/x/hello?status=404"), ("POST", "/api/x/hello"), ("GET", "/pages/hello")],
)
async def test_streams_refusals_changes_and_pages_have_no_tag(method: str, path: str) -> None:
    async with client() as http:
        answer = await http.request(method, path, headers={"If-None-Match": "*"})

    assert answer.status_code in {200, 404}
    assert answer.text in {"hello", "onetwo"}
    assert "etag" not in answer.headers


async def test_an_answer_keeps_a_tag_of_its_own() -> None:
    async with client() as http:
        assert (await http.get("/api/own")).headers["etag"] == '"mine"'
