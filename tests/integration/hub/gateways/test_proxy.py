from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from perijove.hub.domain.errors import ProxyAway
from perijove.hub.gateways.proxy import HttpProxyGateway
from perijove.hub.ports import DoorState
from perijove.wire.control import Revocation
from perijove.wire.routes import Route

ROUTE = Route(path="/user/ada b/é@~", target="http://127.0.0.1:1", audience="ada b/é@~", data={"user": "ada b"})


class ControlApi:
    """A control API that notes what it is asked and answers as told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.tokens: set[str] = set()
        self.status = 200
        self.body: bytes = b"{}"
        #: connections to cut before answering
        self.cut = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        while head := await self._head(reader):
            method, path, _ = head[0].split(" ", 2)
            fields = dict(line.split(": ", 1) for line in head[1:])
            body = await reader.readexactly(int(fields.get("Content-Length", "0")))
            if self.cut:
                self.cut -= 1
                break
            self.asked.append((method, path, json.loads(body) if body else None))
            self.tokens.add(fields["Authorization"])
            writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(self.body)}\r\n\r\n".encode() + self.body)
        writer.close()

    async def _head(self, reader: asyncio.StreamReader) -> list[str]:
        try:
            return (await reader.readuntil(b"\r\n\r\n")).decode().rstrip("\r\n").split("\r\n")
        except asyncio.IncompleteReadError:
            return []


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ControlApi]:
    api = ControlApi()
    async with await asyncio.start_unix_server(api.serve, tmp_path / "control.sock"):
        yield api


@pytest.fixture
async def proxy(tmp_path: Path, api: ControlApi) -> AsyncIterator[HttpProxyGateway]:  # noqa: ARG001  # it must listen first
    socket = quote(str(tmp_path / "control.sock"), safe="")
    async with HttpProxyGateway(f"http+unix://{socket}", "the-secret", timeout=2) as gateway:
        yield gateway


async def test_every_call_is_what_the_wire_says(proxy: HttpProxyGateway, api: ControlApi) -> None:
    api.body = b'{"keys": ["k1"], "instance": "i1"}'

    await proxy.routes()
    await proxy.add(ROUTE)
    await proxy.remove("/user/ada b")
    await proxy.remove("/")
    await proxy.replace_all([ROUTE])
    door = await proxy.door()
    await proxy.set_keys([{"kid": "k1"}])
    await proxy.revoke(Revocation(before=5, sid="s1"))

    assert api.asked == [
        ("GET", "/api/routes", None),
        ("POST", "/api/routes/user/ada%20b/%C3%A9@~", ROUTE.to_body()),
        ("DELETE", "/api/routes/user/ada%20b", None),
        ("DELETE", "/api/routes/", None),
        ("PUT", "/api/routes", {ROUTE.path: ROUTE.to_body()}),
        ("GET", "/api/door", None),
        ("PUT", "/api/keys", {"keys": [{"kid": "k1"}]}),
        ("POST", "/api/revocations", {"before": 5, "sid": "s1", "user": "", "audience": ""}),
    ]
    assert api.tokens == {"token the-secret"}
    assert door == DoorState(keys=frozenset({"k1"}), instance="i1")


async def test_removing_what_is_not_there_is_fine_and_adding_is_not(proxy: HttpProxyGateway, api: ControlApi) -> None:
    api.status = 404

    await proxy.remove("/user/ada")

    with pytest.raises(ProxyAway, match="404"):
        await proxy.add(ROUTE)


async def test_a_refused_token_is_said_plainly(proxy: HttpProxyGateway, api: ControlApi) -> None:
    api.status = 403

    with pytest.raises(ProxyAway, match="CONFIGPROXY_AUTH_TOKEN"):
        await proxy.routes()


async def test_a_proxy_that_hangs_is_away(tmp_path: Path) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    socket = tmp_path / "hanging.sock"
    async with (
        await asyncio.start_unix_server(hang, socket),
        HttpProxyGateway(f"http+unix://{quote(str(socket), safe='')}", "x", timeout=0.1) as gateway,
    ):
        with pytest.raises(ProxyAway, match="ReadTimeout"):
            await gateway.door()


@pytest.mark.parametrize("nonsense", [b"<html>", b"[1]"])
async def test_nonsense_is_no_answer(proxy: HttpProxyGateway, api: ControlApi, nonsense: bytes) -> None:
    api.body = nonsense

    with pytest.raises(ProxyAway):
        await proxy.routes()


async def test_a_connection_from_before_a_restart_is_no_failure(proxy: HttpProxyGateway, api: ControlApi) -> None:
    await proxy.door()
    api.cut = 1

    assert await proxy.door() == DoorState(keys=frozenset())


async def test_a_proxy_that_is_not_there_is_away(tmp_path: Path) -> None:
    nobody = quote(str(tmp_path / "nobody.sock"), safe="")

    async with HttpProxyGateway(f"http+unix://{nobody}", "x", timeout=1) as gateway:
        with pytest.raises(ProxyAway):
            await gateway.door()
