"""
The inner side of the door, on a real server: who gets in, and what they may do.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from websockets.asyncio.client import unix_connect
from websockets.exceptions import InvalidStatus

from perijove.kit.jws import SigningKey
from perijove.wire.identity import IDENTITY_HEADER
from perijove.wire.launcher import Launched
from tests.support.launcher import browser, identity


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="nobody"),
        pytest.param({IDENTITY_HEADER: "not.a.token"}, id="garbage"),
        pytest.param(identity("eve"), id="another server's"),
        pytest.param(identity("ada", signer=SigningKey.generate()), id="another key's"),
        pytest.param(identity("ada", lifetime=-3600), id="expired"),
        pytest.param({"Authorization": "token secret-of-the-server"}, id="hub token"),
        pytest.param({"Cookie": f"perijove-identity={identity()[IDENTITY_HEADER]}"}, id="cookie"),
    ],
)
async def test_only_a_statement_for_this_server_opens_it(server: Launched, headers: Mapping[str, str]) -> None:
    async with browser(server, headers) as visitor:
        api = await visitor.get("/user/ada/api/contents")
        page = await visitor.get("/user/ada/lab")
        entrance = await visitor.get(page.headers["location"])
        token_in_url = await visitor.get("/user/ada/api/contents?token=")

    assert api.status_code == 403
    assert token_in_url.status_code == 403
    assert page.headers["location"].startswith("/user/ada/login?next=")
    assert entrance.headers["location"] == "/hub/enter?server=ada%2F&next=%2Fuser%2Fada%2Flab"


async def test_the_owner_is_known_by_name(server: Launched) -> None:
    looks = {"avatar_url": "https://a.example/ada.png", "color": "#c0ffee", "initials": "AL"}
    async with browser(server, identity(looks=looks)) as visitor:
        answer = await visitor.get("/user/ada/api/me")

    assert answer.json()["identity"] == {"username": "ada", "name": "Ada", "display_name": "Ada", **looks}


async def test_the_hubs_probe_needs_no_identity(server: Launched) -> None:
    async with browser(server) as hub:
        answer = await hub.get("/user/ada/api")

    assert answer.status_code == 200
    assert answer.headers["x-jupyterhub-version"].startswith("6.")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_a_browser_must_show_its_xsrf_token(server: Launched) -> None:
    """
    Another site can make a browser send cookies, so the identity alone is not consent.
    """
    async with browser(server, identity()) as visitor:
        refused = await visitor.post("/user/ada/api/contents", json={"type": "notebook"})
        await visitor.get("/user/ada/lab")
        token = visitor.cookies["_xsrf"]
        accepted = await visitor.post(
            "/user/ada/api/contents", json={"type": "notebook"}, headers={"X-XSRFToken": token}
        )

    assert refused.status_code == 403
    assert accepted.status_code == 201


async def test_a_program_with_a_hub_token_needs_no_xsrf_token(server: Launched) -> None:
    async with browser(server, identity(sid="token:17")) as program:
        answer = await program.post("/user/ada/api/contents", json={"type": "notebook"})

    assert answer.status_code == 201


async def test_a_reader_reads_and_does_nothing_else(server: Launched) -> None:
    async with browser(server, identity("bob", audience="ada/", scope=("read",), sid="token:1")) as reader:
        read = await reader.get("/user/ada/api/contents")
        write = await reader.put("/user/ada/api/contents/x.txt", json={"type": "file", "format": "text", "content": ""})
        kernel = await reader.post("/user/ada/api/kernels", json={})
        terminal = await reader.post("/user/ada/api/terminals")
        shutdown = await reader.post("/user/ada/api/shutdown")

    assert read.status_code == 200
    assert [write.status_code, kernel.status_code, terminal.status_code, shutdown.status_code] == [403] * 4


async def test_a_writer_writes_files_and_runs_no_code(server: Launched) -> None:
    async with browser(server, identity("bob", audience="ada/", scope=("read", "write"), sid="token:1")) as writer:
        write = await writer.put("/user/ada/api/contents/x.txt", json={"type": "file", "format": "text", "content": ""})
        kernel = await writer.post("/user/ada/api/kernels", json={})
        terminal = await writer.post("/user/ada/api/terminals")

    assert write.status_code in {200, 201}
    assert [kernel.status_code, terminal.status_code] == [403, 403]


@pytest.mark.parametrize("path", ["terminals/websocket/1", "api/events/subscribe", "lsp/ws/x"])
async def test_websockets_are_refused_without_identity(server: Launched, path: str) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    async with browser(server, upgrade) as stranger:
        answer = await stranger.get(f"/user/ada/{path}")

    assert answer.status_code in {302, 403}


async def test_another_sites_websocket_is_refused(server: Launched) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with unix_connect(
            server.socket,
            uri="ws://hub.example/user/ada/api/events/subscribe",
            additional_headers=dict(identity()),
            origin="http://evil.example",
        ):
            pass

    assert refused.value.response.status_code == 403


async def test_logout_forgets_the_identity_and_goes_to_the_hub(server: Launched) -> None:
    async with browser(server, identity()) as visitor:
        answer = await visitor.get("/user/ada/logout")
    cookies = [value for value in answer.headers.get_list("set-cookie") if value.startswith("perijove-identity=")]

    assert answer.headers["location"] == "/hub/logout"
    assert len(cookies) == 1
    assert "Path=/user/ada/" in cookies[0]
