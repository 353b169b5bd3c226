"""
The second request of a visitor: what was decided once is remembered, and must still be right.

An engine may answer known visitors by another way than strangers (haproxy does it without the worker), so what the
door promises is asked for again here, of people who were let in a moment ago.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from perijove.kit.jws import SigningKey
from tests.contract.proxy.conftest import MakeSite
from tests.contract.proxy.test_door import HTML, KEY, World, cookie, lowered, passed_on, world
from tests.integration.proxy.support import UPGRADE, Connection, Response, echoing, identity, request, serving


class Visitor:
    """Somebody who was let in."""

    def __init__(self, door: World, token: str) -> None:
        self.door = door
        self.token = token

    async def ask(self, *lines: str, target: str = "/user/ada/x", method: str = "GET") -> Response:
        return await self.door.ask(cookie(self.token), *lines, target=target, method=method)


async def admit(door: World, token: str, target: str = "/user/ada/x") -> Visitor:
    """Let somebody in, and wait until everybody who should know knows."""
    for _ in range(4):
        assert (await door.ask(cookie(token), target=target)).status == 200
    # Answered when all that went before has been carried out.
    await door.proxy.control("DELETE", "/api/routes/nobody")
    door.seen.clear()
    return Visitor(door, token)


@pytest.fixture
async def door(make_site: MakeSite) -> AsyncIterator[World]:
    async with world(make_site) as built:
        yield built


@pytest.fixture
async def ada(door: World) -> Visitor:
    return await admit(door, identity(KEY))


async def test_their_statement_is_passed_on(ada: Visitor) -> None:
    assert passed_on(await ada.ask()) == [ada.token]


@pytest.mark.parametrize("name", ["X-Perijove-Identity", "x-perijove-identity", "X_Perijove_Identity"])
async def test_they_cannot_pass_on_another(ada: Visitor, name: str) -> None:
    forged = identity(SigningKey.generate(), sub="eve")

    answer = await ada.ask(f"{name}: {forged}")

    assert passed_on(answer) == [ada.token]
    assert forged.encode() not in answer.body


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("jupyterhub-session-id=s; jupyterhub-hub-login=h", b"a=1"),
        ("__Host-jupyterhub-hub-login=h;b=2;jupyterhub-session-id=s;c=3", b"a=1; b=2; c=3"),
        ("jupyterhub-session-id =x;  c = 3", b"a=1; c = 3"),
        ("xjupyterhub-session-id=1", b"a=1; xjupyterhub-session-id=1"),
        ("jupyterhub-session-idx=2", b"a=1; jupyterhub-session-idx=2"),
        ("jupyterhub-session-id", b"a=1"),
    ],
)  # fmt: skip
async def test_the_server_sees_no_credentials_of_theirs(ada: Visitor, sent: str, seen: bytes) -> None:
    """
    Only the spaces between cookies are an engine's own affair.
    """
    answer = await ada.door.ask(cookie(ada.token) + "; " + sent)
    seen_cookies = Response(status=0, head=answer.body.partition(b"\r\n\r\n")[0], body=b"").field("cookie")

    assert [pair.strip() for pair in (seen_cookies or "").split(";")] == seen.decode().split("; ")
    assert answer.body.count(ada.token.encode()) == 1


async def test_a_server_without_other_cookies_sees_none(ada: Visitor) -> None:
    answer = await ada.door.ask(f"Cookie: perijove-identity={ada.token}")

    assert b"\r\ncookie:" not in lowered(answer)


@pytest.mark.parametrize(
    ("line", "gone"),
    [
        ("X-Forwarded-For: 6.6.6.6", b"6.6.6.6"),
        ("X-Forwarded-Host: evil", b"evil"),
        ("Forwarded: for=6.6.6.6", b"6.6.6.6"),
        ("X-Real-IP: 6.6.6.6", b"6.6.6.6"),
        ("X_Forwarded_For: 6.6.6.6", b"6.6.6.6"),
        ("X-Forwarded-Foo: 6.6.6.6", b"6.6.6.6"),
        ("X-Scheme: gopher", b"gopher"),
        ("Proxy-Authorization: 6.6.6.6", b"6.6.6.6"),
        ("Keep-Alive: 6.6.6.6", b"6.6.6.6"),
    ],
)
async def test_where_they_come_from_is_ours_to_say(ada: Visitor, line: str, gone: bytes) -> None:
    answer = await ada.ask(line)

    assert b"\r\nx-forwarded-for: 127.0.0.1\r\n" in lowered(answer)
    assert b"\r\nx-forwarded-host: hub.example.org\r\n" in lowered(answer)
    assert gone not in answer.body


async def test_what_a_connection_field_names_goes_no_further(ada: Visitor) -> None:
    answer = await ada.ask("Connection: X-Secret", "X-Secret: 6.6.6.6")

    assert b"6.6.6.6" not in answer.body


async def test_their_server_is_still_confined(ada: Visitor) -> None:
    answer = await ada.ask()

    assert answer.field("set-cookie") == "s=1; Path=/user/ada/"
    assert answer.field("clear-site-data") is None


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("Origin: http://hub.example.org", "Sec-Fetch-Site: same-origin"), 200),
        (("Origin: https://hub.example.org",), 200),
        (("Origin: https://HUB.example.org:443",), 200),
        (("Sec-Fetch-Site: none",), 200),
        (("Origin: http://evil.example",), 403),
        (("Origin: null",), 403),
        (("Sec-Fetch-Site: same-site",), 403),
        (("Sec-Fetch-Site: cross-site", "Origin: http://hub.example.org"), 403),
        (("Sec-Fetch-Site: same-origin", "Origin: http://hub.example.org.evil.example"), 403),
    ],
)
async def test_other_sites_cannot_act_in_their_name(ada: Visitor, lines: tuple[str, ...], status: int) -> None:
    assert (await ada.ask(*lines, method="POST")).status == status
    assert (await ada.ask(*lines)).status == 200


async def test_a_hub_token_counts_before_their_cookie(ada: Visitor) -> None:
    ada.door.hub.tokens["secret"] = other = identity(KEY, sub="bob", sid="token:1")

    answer = await ada.ask("Authorization: token secret")

    assert passed_on(answer) == [other]
    assert b"secret" not in answer.body


async def test_with_two_peoples_cookies_nobody_enters(ada: Visitor) -> None:
    """
    Script of a server can plant its owner's cookie at a longer path.
    """
    other = await admit(ada.door, identity(KEY, sub="eve", sid="s9"))

    for first, second in [(ada, other), (other, ada)]:
        answer = await first.ask(f"X: y\r\nCookie: perijove-identity={second.token}")
        joined = await ada.door.ask(cookie(first.token) + f"; perijove-identity={second.token}")

        assert (answer.status, joined.status) == (403, 403)
    assert ada.door.seen == []


async def test_their_statement_opens_no_other_server(ada: Visitor) -> None:
    async with serving(echoing()) as server:
        route = {"target": server.url, "access": "gated", "audience": "eve/"}
        await ada.door.proxy.control("POST", "/api/routes/user/eve", route)

        assert (await ada.ask(target="/user/eve/x")).status == 403
        assert (await ada.ask(HTML, target="/user/eve/x")).status == 302
    assert server.connections == []


async def test_a_statement_that_runs_out_is_no_longer_good(door: World) -> None:
    """
    Thirty seconds are for clocks that differ; the gate itself has no leeway.
    """
    ada = await admit(door, identity(KEY, exp=int(time.time()) + 3))
    await asyncio.sleep(4.1)

    assert (await ada.ask()).status == 403


async def test_revoked_they_are_strangers_at_once(ada: Visitor) -> None:
    other = await admit(ada.door, identity(KEY, sid="s2"))
    await ada.door.proxy.control("POST", "/api/revocations", {"before": int(time.time()), "sid": "s1"})
    ada.door.seen.clear()

    assert (await ada.ask()).status == 403
    assert ada.door.seen == []
    assert (await other.ask()).status == 200


async def test_revoked_on_a_connection_that_is_kept_they_are_strangers_too(ada: Visitor) -> None:
    client = await ada.door.proxy.connect()
    client.send(request("/user/ada/x", cookie(ada.token)))
    first = await client.response()
    await ada.door.proxy.control("POST", "/api/revocations", {"before": int(time.time()), "user": "ada"})
    client.send(request("/user/ada/x", cookie(ada.token)))

    assert (first.status, (await client.response()).status) == (200, 403)


async def test_revoked_for_one_server_they_keep_the_other(ada: Visitor) -> None:
    async with serving(echoing()) as server:
        route = {"target": server.url, "access": "gated", "audience": "ada/lab"}
        await ada.door.proxy.control("POST", "/api/routes/user/ada/lab", route)
        there = await admit(ada.door, identity(KEY, audience="ada/lab"), target="/user/ada/lab/x")
        revocation = {"before": int(time.time()), "user": "ada", "audience": "ada/"}
        await ada.door.proxy.control("POST", "/api/revocations", revocation)

        assert (await ada.ask()).status == 403
        assert (await there.ask(target="/user/ada/lab/x")).status == 200


async def test_revoked_they_lose_what_streams(ada: Visitor) -> None:
    async def stream(connection: Connection) -> None:
        head = await connection.read_head()
        if b"/events" not in head:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        connection.send(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n")
        await connection.read_all()

    async with serving(stream) as server:
        route = {"target": server.url, "access": "gated", "audience": "ada/"}
        await ada.door.proxy.control("POST", "/api/routes/user/ada", route)
        await admit(ada.door, ada.token)
        client = await ada.door.proxy.connect()
        client.send(request("/user/ada/events", cookie(ada.token)))
        await client.read_head()
        await client.read(9)
        async with asyncio.timeout(1):
            await ada.door.proxy.control("POST", "/api/revocations", {"before": int(time.time()), "user": "ada"})
            assert await client.is_closed()


async def test_revoked_they_lose_their_websockets_and_others_keep_theirs(ada: Visitor) -> None:
    other = await admit(ada.door, identity(KEY, sid="s2"))
    mine = await ada.door.open_websocket(cookie(ada.token))
    theirs = await ada.door.open_websocket(cookie(other.token))
    async with asyncio.timeout(1):
        await ada.door.proxy.control("POST", "/api/revocations", {"before": int(time.time()), "sid": "s1"})
        assert await mine.is_closed()
    theirs.send(b"still here")

    assert await theirs.read(10) == b"still here"
    assert (await ada.ask(*UPGRADE)).status == 403


async def test_with_new_keys_they_are_strangers(ada: Visitor) -> None:
    fresh = SigningKey.generate()
    await ada.door.proxy.control("PUT", "/api/keys", {"keys": [fresh.public_jwk]})

    assert (await ada.ask()).status == 403
    assert (await ada.door.ask(cookie(identity(fresh)))).status == 200


async def test_a_route_that_names_another_server_now_does_not_know_them(ada: Visitor) -> None:
    async with serving(echoing()) as server:
        route = {"target": server.url, "access": "gated", "audience": "ada/two"}
        await ada.door.proxy.control("POST", "/api/routes/user/ada", route)

        assert (await ada.ask()).status == 403
    assert server.connections == []
