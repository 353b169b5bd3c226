from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from perijove.hub.web.headers import DefaultHeaders


async def hello(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello", headers={"Cache-Control": "public"})


async def headers_of(path: str, **configured: str) -> httpx.Headers:
    app = DefaultHeaders(
        Starlette(routes=[Route("/{rest:path}", hello)]),
        hub_prefix="/hub/",
        file_prefixes=("/hub/static/",),
        configured={name.replace("_", "-"): value for name, value in configured.items()},
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://hub") as client:
        return (await client.get(path)).headers


@pytest.mark.parametrize("path", ["/hub/home", "/hub/api/users"])
async def test_no_answer_may_be_framed_or_guessed_at(path: str) -> None:
    headers = await headers_of(path)

    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-jupyterhub-version"] == "6.1.1"


@pytest.mark.parametrize("path", ["/hub/home", "/hub/api/users", "/hub/static/x.js"])
async def test_no_answer_is_in_the_hands_of_the_window_that_opened_it(path: str) -> None:
    """
    Script of a user's server may open a window at any address of the hub; it must not see into it.
    """
    assert (await headers_of(path))["cross-origin-opener-policy"] == "same-origin"


async def test_a_file_is_shown_in_no_frame() -> None:
    assert (await headers_of("/hub/static/x.js"))["x-frame-options"] == "DENY"


async def test_a_page_runs_no_inline_script() -> None:
    policy = (await headers_of("/hub/home"))["content-security-policy"]

    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


async def test_an_answer_keeps_a_header_of_its_own() -> None:
    assert (await headers_of("/hub/home"))["cache-control"] == "public"


async def test_a_file_brings_no_policy_for_the_worker_it_may_become() -> None:
    headers = await headers_of("/hub/static/x.js")

    assert "content-security-policy" not in headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/hub/home", "/hub/api/users"])
async def test_an_administrator_s_header_joins_ours_and_replaces_one_of_its_name(path: str) -> None:
    policy = "frame-ancestors 'self' https://lms.example"

    headers = await headers_of(path, CONTENT_SECURITY_POLICY=policy, X_Site="physics")

    assert headers.get_list("content-security-policy") == [policy]
    assert headers["x-site"] == "physics"
    assert headers["x-content-type-options"] == "nosniff"


async def test_an_administrator_s_header_is_not_that_of_an_answer_with_its_own() -> None:
    assert (await headers_of("/hub/home", Cache_Control="no-transform"))["cache-control"] == "public"


async def test_an_administrator_s_policy_is_none_of_a_worker_s_script() -> None:
    assert "content-security-policy" not in await headers_of("/hub/static/x.js", Content_Security_Policy="sandbox")
