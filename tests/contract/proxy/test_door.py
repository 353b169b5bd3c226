"""
Who gets in: the door, over real sockets, with real signatures and a hub that is a few lines long.

Each claim holds for every engine. Field names are compared in lower case: an engine may write them as it likes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from perijove.kit.jws import SigningKey
from perijove.wire.identity import IDENTITY_HEADER
from tests.contract.proxy.conftest import PROCESSES, Engine, MakeSite
from tests.integration.proxy.support import (
    PATIENCE,
    TOKEN,
    UPGRADE,
    Connection,
    Response,
    Site,
    accept_websocket,
    answering,
    echoing,
    identity,
    ok,
    request,
    serving,
    until,
)

KEY = SigningKey.generate()
HTML = "Accept: text/html"


@dataclass
class Hub:
    """Answers the door's questions."""

    #: hub token -> identity token
    tokens: dict[str, str] = field(default_factory=dict)
    #: sessions that are no longer allowed
    refused: list[dict[str, str]] = field(default_factory=list)
    #: (path, body) of every question
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def answer(self, head: bytes, body: bytes) -> bytes:
        assert f"Authorization: token {TOKEN}\r\n".encode() in head
        path, content = head.split(b" ")[1].decode(), json.loads(body)
        self.asked.append((path, content))
        if path.endswith("recheck"):
            return ok(json.dumps({"refused": self.refused}).encode())
        token = self.tokens.get(content["token"])
        if token is None:
            return ok(b'{"reason": "unknown"}', status=b"403 Forbidden")
        return ok(json.dumps({"identity": token, "expires_in": 300}).encode())


@dataclass
class World:
    """A proxy with a door, its hub, and ada's server on a gated route."""

    proxy: Site
    hub: Hub
    seen: list[bytes]
    connections: list[Connection]

    async def ask(self, *lines: str, target: str = "/user/ada/x", method: str = "GET") -> Response:
        return await self.proxy.ask(target, *lines, method=method)

    async def open_websocket(self, *lines: str, target: str = "/user/ada/ws") -> Connection:
        client = await self.proxy.connect()
        client.send(request(target, *UPGRADE, *lines))
        answer = await client.response()
        assert answer.status == 101
        return client


def lowered(answer: Response) -> bytes:
    """What the server saw, in lower case."""
    return answer.body.lower()


def passed_on(answer: Response) -> list[str]:
    """The statements that the server saw."""
    seen = Response(status=0, head=answer.body.partition(b"\r\n\r\n")[0], body=b"")
    return seen.fields(IDENTITY_HEADER)


def cookie(token: str) -> str:
    return f"Cookie: a=1; perijove-identity={token}"


@asynccontextmanager
async def world(make_site: MakeSite, **settings: Any) -> AsyncIterator[World]:
    hub = Hub()
    seen: list[bytes] = []

    async def server(connection: Connection) -> None:
        while True:
            head = await connection.reader.readuntil(b"\r\n\r\n")
            if b"upgrade: websocket" in head.lower():
                await accept_websocket(connection, head)
                return
            length = Response(status=0, head=head[:-4], body=b"").field("content-length")
            await connection.reader.readexactly(int(length or 0))
            seen.append(head)
            connection.send(ok(head, b"Set-Cookie: s=1; Path=/", b"Clear-Site-Data: *"))

    async with (
        serving(answering(hub.answer)) as hub_server,
        serving(server) as ada,
        make_site(hub_url=hub_server.url + "/hub/", **settings) as proxy,
    ):
        await proxy.control("PUT", "/api/keys", {"keys": [KEY.public_jwk]})
        route = {"target": ada.url, "access": "gated", "audience": "ada/"}
        assert (await proxy.control("POST", "/api/routes/user/ada", route)).status == 201
        yield World(proxy=proxy, hub=hub, seen=seen, connections=ada.connections)


@pytest.fixture
async def door(make_site: MakeSite) -> AsyncIterator[World]:
    async with world(make_site) as built:
        yield built


async def test_without_a_statement_nothing_reaches_the_server(door: World) -> None:
    navigation = await door.ask(HTML, "Sec-Fetch-Mode: navigate", target="/user/ada/lab?a=b&c")
    program = await door.ask("Accept: application/json")
    tunnel = await door.ask(*UPGRADE)
    upload = await door.proxy.ask("/user/ada/x", method="POST", body=b"x" * 100_000)

    assert (navigation.status, navigation.field("location")) == (
        302,
        "/hub/enter?server=ada/&next=/user/ada/lab%3Fa%3Db%26c",
    )
    assert (program.status, program.json()["status"]) == (403, 403)
    assert (tunnel.status, upload.status) == (403, 403)
    assert door.connections == []


async def test_a_statement_lets_in_and_is_passed_on(door: World) -> None:
    token = identity(KEY)

    answer = await door.ask(cookie(token))

    assert answer.status == 200
    assert passed_on(answer) == [token]


async def test_the_server_sees_no_credentials_of_the_hub(door: World) -> None:
    token = identity(KEY)

    answer = await door.ask(cookie(token) + "; jupyterhub-session-id=s; jupyterhub-hub-login=h")

    assert b"cookie: a=1\r\n" in lowered(answer)
    assert b"jupyterhub" not in answer.body
    assert answer.body.count(token.encode()) == 1


@pytest.mark.parametrize("name", ["X-Perijove-Identity", "x-perijove-identity", "X_Perijove_Identity"])
async def test_a_forged_identity_is_removed(door: World, name: str) -> None:
    forged = identity(SigningKey.generate(), sub="eve")

    outside = await door.ask(f"{name}: {forged}")
    inside = await door.ask(f"{name}: {forged}", cookie(identity(KEY)))

    assert outside.status == 403
    assert forged.encode() not in inside.body


@pytest.mark.parametrize(
    "token",
    [
        identity(KEY, audience="eve/"),
        identity(KEY, audience="ada/lab"),
        identity(SigningKey.generate()),
        identity(KEY, iat=1, exp=int(time.time()) - 60),
        identity(KEY)[:-4] + "AAAA",
        "garbage",
        "e30.e30.",
        "",
    ],
)
async def test_other_statements_open_nothing(door: World, token: str) -> None:
    assert (await door.ask(cookie(token))).status == 403
    assert (await door.ask(cookie(token), *UPGRADE)).status == 403
    assert door.connections == []


async def test_a_route_without_access_or_audience_is_closed(door: World) -> None:
    async with serving(echoing()) as server:
        await door.proxy.control("POST", "/api/routes/user/eve", {"target": server.url})
        answers = [
            await door.ask(*lines, target="/user/eve/")
            for lines in [(), (cookie(identity(KEY, audience="")),), (HTML, cookie(identity(KEY)))]
        ]

    assert [answer.status for answer in answers] == [403, 403, 403]
    assert server.connections == []


async def test_an_open_route_is_open(door: World) -> None:
    """
    Its server asks the hub itself, so it needs cookies and tokens; a forged statement it does not need.
    """
    async with serving(echoing()) as server:
        await door.proxy.route("/services/x", server.url)

        answer = await door.ask(
            "Authorization: token abc", "Cookie: jupyterhub-session-id=s; __Host-jupyterhub-hub-login=secret",
            "X-Perijove-Identity: forged",
            target="/services/x",
        )  # fmt: skip

    assert b"authorization: token abc\r\n" in lowered(answer)
    assert b"jupyterhub-session-id=s" in answer.body
    assert b"forged" not in answer.body
    assert b"secret" not in answer.body


async def test_a_gated_server_is_confined_to_its_path(door: World) -> None:
    answer = await door.ask(cookie(identity(KEY)))

    assert answer.field("set-cookie") == "s=1; Path=/user/ada/"
    assert answer.field("clear-site-data") is None


async def test_other_sites_cannot_act_with_a_visitors_cookie(door: World) -> None:
    origin = "Origin: http://evil.example"
    post = await door.ask(cookie(identity(KEY)), origin, method="POST")
    tunnel = await door.ask(cookie(identity(KEY)), origin, *UPGRADE)

    assert (post.status, tunnel.status) == (403, 403)
    assert door.connections == []


@pytest.mark.parametrize("scheme", ["token", "Bearer"])
async def test_a_hub_token_is_exchanged_once_and_stays_here(door: World, engine: Engine, scheme: str) -> None:
    statement = identity(KEY, sid="token:1")
    door.hub.tokens["secret"] = statement
    answers = [await door.ask(f"Authorization: {scheme} secret") for _ in range(3)]

    assert [answer.status for answer in answers] == [200] * 3
    assert b"secret" not in answers[0].body
    assert passed_on(answers[0]) == [statement]
    assert door.hub.asked[0] == ("/hub/_door/exchange", {"token": "secret", "audience": "ada/"})
    assert len(door.hub.asked) <= PROCESSES[engine]


async def test_many_who_wait_for_one_token_ask_once(door: World, engine: Engine) -> None:
    door.hub.tokens["secret"] = identity(KEY)

    answers = await asyncio.gather(*(door.ask("Authorization: token secret") for _ in range(20)))

    assert {answer.status for answer in answers} == {200}
    assert 1 <= len(door.hub.asked) <= PROCESSES[engine]


async def test_a_refused_hub_token_is_a_403_and_remembered_for_a_moment(door: World, engine: Engine) -> None:
    answers = [await door.ask("Authorization: token wrong", HTML) for _ in range(3)]

    assert [answer.status for answer in answers] == [403] * 3
    assert 1 <= len(door.hub.asked) <= PROCESSES[engine]
    assert door.connections == []


async def test_a_statement_of_the_hub_for_another_server_is_no_use(door: World) -> None:
    door.hub.tokens["secret"] = identity(KEY, audience="eve/")

    assert (await door.ask("Authorization: token secret")).status == 403


async def test_a_websocket_may_carry_its_token_in_the_query(door: World) -> None:
    door.hub.tokens["secret"] = identity(KEY)
    client = await door.open_websocket(target="/user/ada/ws?token=secret&a=1")
    client.send(b"hello")

    assert await client.read(5) == b"hello"


async def test_a_body_waits_while_the_hub_is_asked(door: World) -> None:
    door.hub.tokens["secret"] = identity(KEY)

    answer = await door.proxy.ask("/user/ada/x", "Authorization: token secret", method="POST", body=b"x" * 300_000)

    assert answer.status == 200


async def test_a_revoked_session_is_refused_and_its_tunnels_closed(door: World) -> None:
    mine, others = identity(KEY, sid="s1"), identity(KEY, sid="s2")
    tunnel, other = await door.open_websocket(cookie(mine)), await door.open_websocket(cookie(others))
    revocation = {"before": int(time.time()), "sid": "s1"}

    assert (await door.proxy.control("POST", "/api/revocations", revocation)).status == 204
    async with asyncio.timeout(1):
        assert await tunnel.is_closed()
    other.send(b"still here")

    assert await other.read(10) == b"still here"
    assert (await door.ask(cookie(mine))).status == 403
    assert (await door.ask(cookie(others))).status == 200
    assert (await door.ask(cookie(identity(KEY, sid="s1", iat=int(time.time()) + 1)))).status == 200


async def test_a_revoked_user_loses_streams_too(door: World) -> None:
    async def stream(connection: Connection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n")
        await connection.read_all()

    async with serving(stream) as server:
        route = {"target": server.url, "access": "gated", "audience": "ada/"}
        await door.proxy.control("POST", "/api/routes/user/ada", route)
        client = await door.proxy.connect()
        client.send(request("/user/ada/events", cookie(identity(KEY))))
        await client.read_head()
        await client.read(9)
        await door.proxy.control("POST", "/api/revocations", {"before": int(time.time()), "user": "ada"})

        assert await client.is_closed()


async def test_a_lost_revocation_heals_by_itself(make_site: MakeSite) -> None:
    async with world(make_site, recheck_interval=1) as door:
        tunnel = await door.open_websocket(cookie(identity(KEY)))
        await until(lambda: any(path == "/hub/_door/recheck" for path, _ in door.hub.asked))
        door.hub.refused.append({"sid": "s1", "user": "ada", "audience": "ada/"})

        assert await tunnel.is_closed()
        late = identity(KEY, iat=1)
        # Each process asks for itself.
        async with asyncio.timeout(PATIENCE):
            while (await door.ask(cookie(late))).status != 403:  # noqa: ASYNC110  # asking is all we can
                await asyncio.sleep(0.1)

    (visit,) = door.hub.asked[0][1]["visits"]
    assert visit == {"sid": "s1", "user": "ada", "audience": "ada/", "scope": "read write execute"}


async def test_a_hub_that_is_down_changes_nothing(make_site: MakeSite) -> None:
    async with (
        serving(echoing()) as server,
        make_site(hub_url="http://127.0.0.1:1/hub/", recheck_interval=1) as proxy,
    ):
        await proxy.control("PUT", "/api/keys", {"keys": [KEY.public_jwk]})
        route = {"target": server.url, "access": "gated", "audience": "ada/"}
        await proxy.control("POST", "/api/routes/user/ada", route)
        first = await proxy.ask("/user/ada/", cookie(identity(KEY)))
        await asyncio.sleep(1.2)
        second = await proxy.ask("/user/ada/", cookie(identity(KEY)))
        by_token = await proxy.ask("/user/ada/", "Authorization: token t")

    assert (first.status, second.status, by_token.status) == (200, 200, 503)


async def test_a_door_stays_on_when_its_keys_are_taken_away(make_site: MakeSite) -> None:
    """
    No sequence of control calls turns gated routes into open ones.
    """
    async with serving(echoing()) as server, make_site() as proxy:
        route = {"target": server.url, "access": "gated", "audience": "ada/"}
        await proxy.control("POST", "/api/routes/user/ada", route)
        without_door = await proxy.ask("/user/ada/")
        await proxy.control("PUT", "/api/keys", {"keys": [KEY.public_jwk]})
        with_keys = await proxy.ask("/user/ada/")
        await proxy.control("PUT", "/api/keys", {"keys": []})
        without_keys = await proxy.ask("/user/ada/", cookie(identity(KEY)))

    assert (without_door.status, with_keys.status, without_keys.status) == (200, 403, 403)


async def test_new_keys_take_the_place_of_old_ones(door: World) -> None:
    fresh = SigningKey.generate()
    before = await door.ask(cookie(identity(KEY)))
    await door.proxy.control("PUT", "/api/keys", {"keys": [fresh.public_jwk]})
    old, new = await door.ask(cookie(identity(KEY))), await door.ask(cookie(identity(fresh)))

    assert (before.status, old.status, new.status) == (200, 403, 200)


async def test_the_control_api_tells_about_the_door(door: World) -> None:
    await door.ask(cookie(identity(KEY)))
    await door.proxy.control("POST", "/api/revocations", {"before": 1, "user": "eve"})

    facts = (await door.proxy.control("GET", "/api/door")).json()

    assert facts.pop("instance")
    assert facts == {"keys": [KEY.kid], "sessions": 1, "revoked": 1}
