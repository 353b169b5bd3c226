"""
What goes through: requests, bodies, streams, tunnels. The numbers are those of docs' list of proxy traps.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from perijove.proxy.net.timeouts import Timeouts
from tests.integration.proxy.support import (
    UPGRADE,
    Connection,
    Running,
    answering,
    echoing,
    ok,
    request,
    running,
    serving,
    until,
    websocket,
)


async def test_a_request_reaches_its_route_with_path_and_query_as_sent(proxy: Running) -> None:
    async with serving(echoing()) as server:
        await proxy.route("/user/a%20b", server.url)

        answer = await proxy.ask("/user/a%20b/x%2Fy//z?q=a%20b&&")

    assert answer.status == 200
    assert answer.body.startswith(b"GET /user/a%20b/x%2Fy//z?q=a%20b&& HTTP/1.1\r\nHost: hub.example.org\r\n")


async def test_the_longest_prefix_wins_and_the_default_gets_the_rest(proxy: Running) -> None:
    async with (
        serving(echoing(b"hub:")) as hub,
        serving(echoing(b"ada:")) as ada,
        serving(echoing(b"lab:")) as lab,
    ):
        await proxy.route("/", hub.url)
        await proxy.route("/user/ada", ada.url)
        await proxy.route("/user/ada/lab", lab.url)

        answers = [
            (await proxy.ask(path)).body[:4]
            for path in ("/", "/user/adam", "/user/ada", "/user/%61da/x", "/user/ada/lab/x")
        ]

    assert answers == [b"hub:", b"hub:", b"ada:", b"ada:", b"lab:"]


async def test_a_target_may_be_a_unix_socket(proxy: Running, tmp_path: Path) -> None:
    async with serving(echoing(), path=str(tmp_path / "s")) as server:
        await proxy.route("/user/ada", server.url)

        answer = await proxy.ask("/user/ada/")

    assert answer.status == 200


async def test_a_targets_path_is_put_in_front(proxy: Running) -> None:
    async with serving(echoing()) as server:
        await proxy.route("/user/ada", server.url + "/base/")

        answer = await proxy.ask("/user/ada/x?y")

    assert answer.body.startswith(b"GET /base/user/ada/x?y HTTP/1.1")


async def test_connections_are_kept_on_both_sides(proxy: Running) -> None:
    async with serving(echoing()) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        for _ in range(5):
            client.send(request("/x"))
            assert (await client.response()).status == 200
        client.close()

    assert len(server.connections) == 1


async def test_one_client_alternates_between_routes_without_mixing_them(proxy: Running) -> None:
    async with serving(echoing(b"a:")) as one, serving(echoing(b"b:")) as other:
        await proxy.route("/a", one.url)
        await proxy.route("/b", other.url)
        client = await proxy.connect()
        bodies = []
        for number in range(40):
            client.send(request("/a/x" if number % 2 else "/b/x"))
            bodies.append((await client.response()).body[:2])
        client.close()

    assert bodies == [b"b:", b"a:"] * 20


async def test_requests_sent_ahead_are_answered_in_order_one_at_a_time(proxy: Running) -> None:
    """
    Trap 7: leftover bytes never reach another route's connection.
    """
    in_flight = 0

    async def slow(connection: Connection) -> None:
        nonlocal in_flight
        while True:
            head = await connection.reader.readuntil(b"\r\n\r\n")
            in_flight += 1
            assert in_flight == 1
            await asyncio.sleep(0)
            in_flight -= 1
            connection.send(ok(head.split(b" ")[1]))

    async with serving(slow) as one, serving(slow) as other:
        await proxy.route("/a", one.url)
        await proxy.route("/b", other.url)
        client = await proxy.connect()
        paths = [f"/{'ab'[number % 2]}/{number}" for number in range(200)]
        client.send(b"".join(request(path) for path in paths))
        bodies = [(await client.response()).body.decode() for _ in paths]
        client.close()

    assert bodies == paths


async def test_requests_with_bodies_sent_ahead_stay_apart(proxy: Running) -> None:
    async with serving(answering(lambda _, body: ok(body))) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(b"".join(request("/x", method="POST", body=b"%d" % number * 50) for number in range(20)))
        bodies = [(await client.response()).body for _ in range(20)]
        client.close()

    assert bodies == [b"%d" % number * 50 for number in range(20)]


@pytest.mark.parametrize("size", [0, 1, 70_000, 5_000_000])
async def test_bodies_arrive_whole_both_ways(proxy: Running, size: int) -> None:
    """
    Trap 12: the body of a connection's first upload arrives while the server is still being connected to.
    """
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    async with serving(answering(lambda _, got: ok(hashlib.sha256(got).digest() + got))) as server:
        await proxy.route("/", server.url)

        answer = await proxy.ask("/x", method="POST", body=body)

    assert answer.body == hashlib.sha256(body).digest() + body


async def test_chunked_bodies_pass_both_ways(proxy: Running) -> None:
    async def handle(connection: Connection) -> None:
        await connection.read_head()
        body = await connection.read_chunks()
        connection.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n%x\r\n%b\r\n0\r\n\r\n"
            % (len(body), body)
        )
        await connection.read_all()

    async with serving(handle) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        for piece in (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"5\r\nhel",
            b"lo\r",
            b"\n0\r\n\r",
            b"\n",
        ):
            client.send(piece)
            await asyncio.sleep(0.01)
        answer = await client.response()
        client.close()

    assert answer.body == b"abchello"


async def test_an_answer_without_length_ends_with_the_connection(proxy: Running) -> None:
    """
    Trap 8: the client is told so.
    """

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    async with serving(handle) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(request("/"))
        answer = await client.response()

    assert answer.body == b"all of it"
    assert answer.field("connection") == "close"


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
async def test_answers_without_a_body_do_not_wait_for_one(proxy: Running, method: str, answer: bytes) -> None:
    """
    Trap 6.
    """
    async with serving(answering(lambda _, __: answer)) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        for _ in range(2):
            client.send(request("/", method=method))
            assert (await client.response(head_only=True)).head + b"\r\n\r\n" == answer
        client.close()


async def test_events_are_passed_on_at_once(proxy: Running) -> None:
    """
    Trap 20: nothing is gathered.
    """
    go = asyncio.Event()

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for number in range(3):
            connection.send(b"data: %d\n\n" % number)
            await go.wait()
            go.clear()

    async with serving(handle) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(request("/"))
        await client.read_head()
        events = []
        for _ in range(3):
            events.append(await client.read(9))
            go.set()

    assert events == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]


async def test_interim_answers_are_relayed_and_are_not_the_answer(proxy: Running) -> None:
    """
    Trap 5: the body is sent only when the server asks for it.
    """

    async def handle(connection: Connection) -> None:
        head = await connection.read_head()
        assert b"Expect: 100-continue" in head
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        connection.send(ok(await connection.read(5)))
        await connection.read_all()

    async with serving(handle) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        first, second = await client.response(), await client.response()
        client.send(b"hello")
        answer = await client.response()
        client.close()

    assert [first.status, second.status] == [100, 103]
    assert answer.body == b"hello"
    assert answer.field("connection") is None


@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"])
async def test_an_early_refusal_arrives_and_ends_the_connection(proxy: Running, expect: str) -> None:
    """
    Traps 5, 9 and 10: the answer to an upload that is refused half-way is seen, not a reset.
    """

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        connection.send(ok(b"too large", status=b"413 X"))
        await asyncio.sleep(5)

    async with serving(handle) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n{expect}\r\n".encode())
        if not expect:
            client.send(b"x" * 2_000_000)
        answer = await client.response()
        more = await client.is_closed()
        client.close()

    assert (answer.status, answer.body, answer.field("connection")) == (413, b"too large", "close")
    assert more


async def test_a_slow_reader_holds_back_the_server(proxy: Running) -> None:
    """
    Trap 17: what a client does not read is not gathered in the proxy.
    """
    sent = 0

    async def handle(connection: Connection) -> None:
        nonlocal sent
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n")
        for _ in range(600):
            connection.send(b"x" * 100_000)
            await connection.writer.drain()
            sent += 100_000

    async with serving(handle) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(request("/"))
        await until(lambda: sent > 0)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.3)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        answer = await client.response()
        client.close()

    assert before < 30_000_000
    assert len(answer.body) == 60_000_000


async def test_a_slow_server_holds_back_the_client(proxy: Running) -> None:
    """
    Trap 17, the other way.
    """
    go = asyncio.Event()

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        await go.wait()
        for _ in range(600):
            await connection.read(100_000)
        connection.send(ok(b"done"))
        await connection.read_all()

    async with serving(handle) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\n")
        sent = 0
        for _ in range(600):
            client.send(b"x" * 100_000)
            try:
                async with asyncio.timeout(0.3):
                    await client.writer.drain()
            except TimeoutError:
                break
            sent += 100_000
        held = sent
        go.set()
        client.send(b"x" * (60_000_000 - sent - 100_000))
        answer = await client.response()
        client.close()

    assert held < 30_000_000
    assert answer.body == b"done"


async def test_a_client_that_has_said_all_still_gets_its_answer(proxy: Running) -> None:
    """
    Trap 15: a half-closed connection is not a lost one.
    """

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        await asyncio.sleep(0.1)
        connection.send(ok(b"late"))
        await connection.read_all()

    async with serving(handle) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(request("/"))
        client.end()
        answer = await client.response()
        ended = await client.is_closed()

    assert answer.body == b"late"
    assert ended


async def test_a_client_that_leaves_frees_its_server(proxy: Running) -> None:
    gone = asyncio.Event()

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await connection.reader.read()
        gone.set()

    async with serving(handle) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(request("/"))
        await client.read_head()
        client.reset()

        async with asyncio.timeout(5):
            await gone.wait()


async def test_a_websocket_becomes_a_tunnel(proxy: Running) -> None:
    """
    Trap 7: bytes sent ahead of the 101 belong to the tunnel.
    """
    async with serving(websocket) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(request("/ws", *UPGRADE) + b"ahead")
        answer = await client.response()
        echoes = [await client.read(5)]
        client.send(b"x" * 1_000_000)
        echoes.append(await client.read(1_000_000))
        client.close()

    assert answer.status == 101
    assert (answer.field("upgrade"), answer.field("connection")) == ("websocket", "Upgrade")
    assert echoes == [b"ahead", b"x" * 1_000_000]


async def test_a_tunnels_half_close_passes_through(proxy: Running) -> None:
    """
    Trap 15: what the other side still has to say arrives.
    """

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        everything = await connection.read_all()
        connection.send(b"got %d" % len(everything))

    async with serving(handle) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(request("/ws", *UPGRADE))
        await client.response()
        client.send(b"abc")
        client.end()
        last = await client.read_all()

    assert last == b"got 3"


async def test_a_tunnel_ends_when_either_side_is_gone(proxy: Running) -> None:
    async with serving(websocket) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(request("/ws", *UPGRADE))
        await client.response()
        server.connections[0].abort()

        assert await client.is_closed()


async def test_a_refused_upgrade_is_an_answer_after_which_the_connection_ends(proxy: Running) -> None:
    async with serving(answering(lambda _, __: ok(b"no", status=b"403 Forbidden"))) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(request("/ws", *UPGRADE) + b"frames that are no request")
        answer = await client.response()
        ended = await client.is_closed()

    assert (answer.status, answer.body, answer.field("connection")) == (403, b"no", "close")
    assert ended


async def test_an_upgrade_to_something_else_is_not_passed_on(proxy: Running) -> None:
    """
    An h2c tunnel would carry requests that nobody looks at.
    """
    async with serving(echoing()) as server:
        await proxy.route("/", server.url)

        answer = await proxy.ask("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x")

    assert b"pgrade" not in answer.body
    assert b"HTTP2" not in answer.body


async def test_http_1_0_is_answered_and_closed(proxy: Running) -> None:
    async with serving(echoing()) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(b"GET /x HTTP/1.0\r\nHost: x\r\n\r\n")
        answer = await client.response()
        ended = await client.is_closed()

    assert answer.body.startswith(b"GET /x HTTP/1.0\r\n")
    assert answer.field("connection") == "close"
    assert ended


async def test_a_head_may_come_byte_by_byte(proxy: Running) -> None:
    async with serving(echoing()) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        for byte in request("/x", method="POST", body=b"hello"):
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        answer = await client.response()
        client.close()

    assert answer.body.endswith(b"\r\n\r\nhello")


async def test_activity_is_seen_in_requests_and_inside_tunnels(proxy: Running) -> None:
    async with serving(websocket) as server:
        await proxy.route("/user/ada", server.url)
        client = await proxy.connect()
        client.send(request("/user/ada/ws", *UPGRADE))
        await client.response()
        before = (await proxy.control("GET", "/api/routes/user/ada")).json()["last_activity"]
        await asyncio.sleep(0.02)
        client.send(b"frame")
        await client.read(5)
        after = (await proxy.control("GET", "/api/routes/user/ada")).json()["last_activity"]
        client.close()

    assert after > before


async def test_errors_and_redirects_are_no_activity(proxy: Running) -> None:
    async with serving(answering(lambda _, __: ok(status=b"302 Found"))) as server:
        await proxy.route("/user/ada", server.url)
        before = (await proxy.control("GET", "/api/routes/user/ada")).json()["last_activity"]
        await asyncio.sleep(0.02)
        await proxy.ask("/user/ada/")
        after = (await proxy.control("GET", "/api/routes/user/ada")).json()["last_activity"]

    assert after == before


async def test_the_health_path_is_answered_by_the_proxy_itself(proxy: Running) -> None:
    answer = await proxy.ask("/_chp_healthz")

    assert (answer.status, answer.json()) == (200, {"status": "OK"})


async def test_stopping_lets_a_request_in_flight_end() -> None:
    go = asyncio.Event()

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        await go.wait()
        connection.send(ok(b"done"))
        await connection.read_all()

    async with serving(handle) as server, running(timeouts=Timeouts(linger=0.1)) as proxy:
        await proxy.route("/", server.url)
        busy, idle = await proxy.connect(), await proxy.connect()
        busy.send(request("/"))
        await until(lambda: len(server.connections) == 1)
        stopping = asyncio.gather(proxy.stop())
        assert await idle.is_closed()
        go.set()
        answer = await busy.response()
        await stopping

    assert (answer.body, answer.field("connection")) == (b"done", "close")


async def raw(connection: Connection) -> None:
    """A server that goes on with whatever protocol it is asked for, and sends everything back."""
    head = await connection.read_head()
    protocol = b"tcp" if b"Upgrade: tcp" in head else b"none"
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % protocol)
    while data := await connection.read_some():
        connection.send(data)


async def test_another_protocol_takes_over_where_the_route_allows_it(proxy: Running) -> None:
    async with serving(raw) as server:
        await proxy.route("/a", server.url, upgrades=["tcp"])
        await proxy.route("/b", server.url)
        client = await proxy.connect()
        client.send(request("/a/x", "Connection: Upgrade", "Upgrade: tcp", method="POST") + b"ahead")
        head = await client.read_head()
        echoed = await client.read(5)
        refused = await proxy.ask("/b/x", "Connection: Upgrade", "Upgrade: tcp")

    assert b" 101 " in head
    assert b"\r\nUpgrade: tcp\r\n" in head
    assert echoed == b"ahead"
    # The server switched although it was not asked to.
    assert refused.status == 502
