"""
The application behind a real server on a real unix socket, as the proxy reaches it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import NAVIGATION, PASSWORD, Browser, Rig, make_settings


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with TaskGroup("rig") as tasks:
        rig = Rig(tasks=tasks, settings=make_settings())
        await rig.add_user("bob")
        yield rig


@pytest.fixture
async def socket(rig: Rig, tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "hub.sock"
    # proxy_headers off: the hub itself knows whom to believe (`web/client_address.py`).
    config = uvicorn.Config(rig.app, uds=str(path), proxy_headers=False, log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    async with TaskGroup("uvicorn") as tasks:
        serving = tasks.start("serve", server.serve())
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110  # it offers no event
                await asyncio.sleep(0.01)
        yield path
        server.should_exit = True
        await serving


class EndsTls(httpx.AsyncHTTPTransport):
    """
    To its client it is https, so that Secure cookies travel; to the hub it speaks as the proxy does.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="http")
        return await super().handle_async_request(request)


def browser(socket: Path, **headers: str) -> Browser:
    transport = EndsTls(uds=str(socket))
    return Browser(
        httpx.AsyncClient(transport=transport, base_url="https://hub.example", headers={**NAVIGATION, **headers})
    )


async def test_a_sign_in_through_the_proxy_knows_tls_and_the_browsers_address(rig: Rig, socket: Path) -> None:
    visitor = browser(socket, **{"X-Forwarded-For": "1.2.3.4,10.0.0.9", "X-Forwarded-Proto": "https"})
    async with visitor.client:
        await visitor.get("/hub/login")
        answer = await visitor.post("/hub/login?next=/hub/home", username="bob", password=PASSWORD)
        home = await visitor.get("/hub/home")

    assert "__Host-jupyterhub-hub-login=" in answer.headers["set-cookie"]
    assert home.status_code == 200
    async with rig.store.unit() as unit:
        user = await unit.users.by_name("bob")
        assert user is not None
        sessions = await unit.sessions.of_user(user.id)
    assert [session.address for session in sessions] == ["10.0.0.9"]


async def test_progress_arrives_while_it_happens(rig: Rig, socket: Path) -> None:
    """
    Nothing on the way holds events back until the stream ends.
    """
    rig.spawners.gate.clear()
    await rig.parts.start_server(await rig.parts.get_user("bob"), "")
    token = await rig.token("bob")
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    async with (
        httpx.AsyncClient(
            transport=transport, base_url="http://hub", headers={"Authorization": f"token {token}"}
        ) as bob,
        bob.stream("GET", "/hub/api/users/bob/server/progress") as stream,
    ):
        lines = (line async for line in stream.aiter_lines() if line)
        first = await anext(lines)
        rig.spawners.gate.set()
        rest = [line async for line in lines]

    assert '"progress": 0' in first
    assert '"ready": true' in rest[-1]
