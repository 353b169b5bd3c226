"""
Servers and clients that misbehave. The numbers are those of docs' list of proxy traps.
"""

from __future__ import annotations

import asyncio
import socket
from http import HTTPStatus

import pytest

from perijove.proxy.core.limits import Limits
from perijove.proxy.core.passing import Passing
from perijove.proxy.core.targets import parse_target
from perijove.proxy.net.listen import CannotListen, bind_tcp
from perijove.proxy.net.timeouts import Timeouts
from tests.integration.proxy.support import (
    UPGRADE,
    Connection,
    Running,
    answering,
    echoing,
    listening,
    ok,
    request,
    running,
    serving,
    until,
    websocket,
)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /../hub HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET //hub HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_could_be_read_in_two_ways_never_reaches_a_server(proxy: Running, head: bytes) -> None:
    """
    Traps 1, 2, 3 and 19; what follows on the connection is not served either.
    """
    async with serving(echoing()) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(head + request("/second"))
        answer = await client.response()
        ended = await client.is_closed()

    assert (answer.status, answer.field("connection")) == (400, "close")
    assert ended
    assert server.connections == []


async def test_bare_line_feeds_are_no_head(proxy: Running) -> None:
    """
    Trap 3: such a request is not complete, whatever others make of it.
    """
    async with serving(echoing()) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(b"GET / HTTP/1.1\nHost: x\n\n" + request("/second"))
        answer = await client.response()

    assert answer.status == 400
    assert server.connections == []


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 66_000, 431),
        (b"GET /" + b"x" * 9000, 414),
    ],
)
async def test_heads_are_bounded(proxy: Running, head: bytes, status: int) -> None:
    """
    Trap 18.
    """
    client = await proxy.connect()
    client.send(head)

    assert (await client.response()).status == status


async def test_large_cookies_fit(proxy: Running) -> None:
    """
    Trap 18, the other way: JupyterHub's cookies reach 8 KB.
    """
    async with serving(echoing()) as server:
        await proxy.route("/", server.url)

        answer = await proxy.ask("/", "Cookie: a=" + "x" * 30_000)

    assert answer.status == 200


@pytest.mark.parametrize("chunks", [b"5\nhello\r\n0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n", b"5 \r\nhello\r\n", b"zz\r\n"])
async def test_a_malformed_chunk_ends_the_request(proxy: Running, chunks: bytes) -> None:
    """
    Trap 4: the server never sees a complete body.
    """
    bodies = []

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        bodies.append(await connection.reader.read())

    async with serving(handle) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await until(lambda: len(server.connections) == 1)
        client.send(chunks)
        answer = await client.response()
        await until(lambda: len(bodies) == 1)

    assert answer.status == 400
    assert b"0\r\n\r\n" not in bodies[0]


BAD_ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
    b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 103 Hints\r\n\r\n" * 20,
]


@pytest.mark.parametrize("answer", BAD_ANSWERS)
async def test_an_answer_that_is_not_understood_is_a_502(proxy: Running, answer: bytes) -> None:
    """
    Traps 1, 5 and 6.
    """

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        connection.send(answer)
        await connection.read_all()

    async with serving(handle) as server:
        await proxy.route("/user/ada", server.url)
        client = await proxy.connect()
        client.send(request("/user/ada/x"))
        got = await client.response()
        while got.status == HTTPStatus.EARLY_HINTS:
            got = await client.response()

    assert got.status == 502


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
async def test_half_an_answer_is_never_finished_cleanly(proxy: Running, answer: bytes) -> None:
    """
    Trap 8: a download that was cut off must not look complete.
    """

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        connection.send(answer)

    async with serving(handle) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(request("/"))

        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError, ValueError)):
            await client.response()


async def test_bytes_behind_an_answer_are_not_the_next_one(proxy: Running) -> None:
    """
    Trap 8: a hostile server prepares an answer for the request that comes next, maybe somebody else's.
    """
    evil = ok(b"first") + ok(b"planted")
    async with serving(answering(lambda head, _: evil if b"GET /1" in head else ok(b"second"))) as server:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(request("/1"))
        first = await client.response()
        client.send(request("/2"))
        second = await client.response()

    assert (first.body, second.body) == (b"first", b"second")
    assert len(server.connections) == 2


async def test_bytes_on_an_idle_connection_close_it(proxy: Running) -> None:
    """
    Trap 8, later: nobody asked.
    """
    async with serving(answering(lambda _, __: ok(b"fine"))) as server:
        await proxy.route("/", server.url)
        await proxy.ask("/")
        server.connections[0].send(ok(b"planted"))
        await until(server.connections[0].writer.is_closing)

        answer = await proxy.ask("/")

    assert answer.body == b"fine"
    assert len(server.connections) == 2


async def test_a_connection_that_went_stale_is_replaced_unseen(proxy: Running) -> None:
    """
    Trap 13: the server closes an idle connection just when it is used again.
    """

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        connection.send(ok(b"%d" % len(server.connections)))
        await connection.read_head()

    async with serving(handle) as server:
        await proxy.route("/", server.url)
        bodies = [(await proxy.ask("/")).body for _ in range(3)]

    assert bodies == [b"1", b"2", b"3"]


async def test_a_request_that_changes_something_is_not_sent_twice(proxy: Running) -> None:
    """
    Trap 13: the server may have acted on it.
    """
    seen = 0

    async def handle(connection: Connection) -> None:
        nonlocal seen
        await connection.read_head()
        connection.send(ok())
        await connection.read_head()
        seen += 1

    async with serving(handle) as server:
        await proxy.route("/user/ada", server.url)
        await proxy.ask("/user/ada/")
        answer = await proxy.ask("/user/ada/", method="POST", body=b"x")

    assert answer.status == 503
    assert seen == 1


async def test_a_route_that_moves_takes_no_old_connection_along(proxy: Running) -> None:
    """
    Trap 14: the next server on the same port may be another user's.
    """
    async with serving(echoing(b"old:")) as old, serving(echoing(b"new:")) as new:
        await proxy.route("/user/ada", old.url)
        assert (await proxy.ask("/user/ada/")).body.startswith(b"old:")
        await proxy.route("/user/ada", new.url)
        answer = await proxy.ask("/user/ada/")
        await until(old.connections[0].writer.is_closing)

    assert answer.body.startswith(b"new:")


@pytest.mark.parametrize("how", ["delete", "replace", "move"])
async def test_tunnels_of_a_removed_route_are_closed(proxy: Running, how: str) -> None:
    """
    Trap 14.
    """
    async with serving(websocket) as server, serving(websocket) as other:
        await proxy.route("/user/ada", server.url)
        client = await proxy.connect()
        client.send(request("/user/ada/ws", *UPGRADE))
        await client.response()
        match how:
            case "delete":
                await proxy.control("DELETE", "/api/routes/user/ada")
            case "replace":
                await proxy.control("PUT", "/api/routes", {"/": {"target": other.url}})
            case _:
                await proxy.route("/user/ada", other.url)

        assert await client.is_closed()


async def test_posting_the_same_route_again_keeps_its_tunnels(proxy: Running) -> None:
    async with serving(websocket) as server:
        await proxy.route("/user/ada", server.url)
        client = await proxy.connect()
        client.send(request("/user/ada/ws", *UPGRADE))
        await client.response()
        await proxy.route("/user/ada", server.url, user="ada")
        client.send(b"still here")
        echo = await client.read(10)

    assert echo == b"still here"


async def test_a_server_that_is_not_there_is_a_503_at_once(proxy: Running) -> None:
    with listening() as free:
        port = free.getsockname()[1]
    await proxy.route("/user/ada", f"http://127.0.0.1:{port}")
    async with asyncio.timeout(1):
        page = await proxy.ask("/user/ada/", "Accept: text/html")
        data = await proxy.ask("/user/ada/api")
        head = await proxy.ask("/user/ada/api", method="HEAD")
        tunnel = await proxy.ask("/user/ada/ws", *UPGRADE)

    assert (page.status, page.field("content-type")) == (503, "text/html; charset=utf-8")
    assert (data.status, data.json()["status"]) == (503, 503)
    assert head.status == 503
    assert (tunnel.status, tunnel.body) == (503, b"")


async def test_a_path_without_a_route_is_a_404(proxy: Running) -> None:
    assert (await proxy.ask("/nothing")).status == 404


async def test_a_hub_that_restarts_is_waited_for(proxy: Running) -> None:
    with listening() as free:
        port = free.getsockname()[1]
    await proxy.route("/", f"http://127.0.0.1:{port}")
    asking = asyncio.gather(proxy.ask("/hub/home"), proxy.ask("/hub/login", method="POST", body=b"a=b"))
    await asyncio.sleep(0.3)
    async with serving(echoing(), port=port):
        answers = await asking

    assert [answer.status for answer in answers] == [200, 200]
    assert answers[1].body.endswith(b"a=b")


async def test_a_hub_that_stays_away_gets_a_page_that_looks_again() -> None:
    async with running(timeouts=Timeouts(hub_patience=0.1)) as proxy:
        with listening() as free:
            port = free.getsockname()[1]
        await proxy.route("/", f"http://127.0.0.1:{port}")

        answer = await proxy.ask("/hub/home", "Accept: text/html")

    assert answer.status == 503
    assert b'http-equiv="refresh"' in answer.body


async def test_error_pages_come_from_the_hub() -> None:
    seen: list[bytes] = []
    page = ok(b"<h1>sorry</h1>", b"Content-Type: text/html; charset=utf-8", status=b"200 OK")
    async with (
        serving(answering(lambda _, __: page, seen)) as hub,
        running(error_targets=(parse_target(hub.url + "/hub/error"),)) as proxy,
    ):
        answer = await proxy.ask("/user/eve/x?a=1&b")

    assert (answer.status, answer.body) == (404, b"<h1>sorry</h1>")
    assert answer.field("content-type") == "text/html; charset=utf-8"
    assert seen[0].startswith(b"GET /hub/error/404?url=%2Fuser%2Feve%2Fx%3Fa%3D1%26b HTTP/1.0\r\n")


async def test_without_the_hubs_page_there_is_a_plain_one() -> None:
    with listening() as free:
        port = free.getsockname()[1]
    async with running(error_targets=(parse_target(f"http://127.0.0.1:{port}/hub/error"),)) as proxy:
        answer = await proxy.ask("/user/eve", "Accept: text/html")

    assert answer.status == 404
    assert b"404 Not Found" in answer.body


async def test_a_silent_server_is_a_504_if_there_is_a_limit() -> None:
    async def handle(connection: Connection) -> None:
        await connection.read_all()

    async with serving(handle) as server, running(timeouts=Timeouts(server=0.5)) as proxy:
        await proxy.route("/", server.url)

        answer = await proxy.ask("/")

    assert answer.status == 504


async def test_a_head_that_drips_is_given_up() -> None:
    """
    Trap 16: the limit is for the whole head, whatever keeps coming.
    """
    async with running(timeouts=Timeouts(head=0.5)) as proxy:
        client = await proxy.connect()
        client.send(b"GET / HTTP/1.1\r\n")
        answer = asyncio.gather(client.response())
        while not answer.done():
            client.send(b"A: b\r\n")
            await asyncio.sleep(0.05)

    assert answer.result()[0].status == 408


async def test_an_upload_that_stalls_is_given_up() -> None:
    """
    Trap 16.
    """
    async with serving(echoing()) as server, running(timeouts=Timeouts(body=0.5)) as proxy:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome")

        assert await client.is_closed()


async def test_an_idle_connection_is_closed() -> None:
    async with serving(echoing()) as server, running(timeouts=Timeouts(keep_alive=0.5)) as proxy:
        await proxy.route("/", server.url)
        fresh, used = await proxy.connect(), await proxy.connect()
        used.send(request("/"))
        await used.response()

        assert await fresh.is_closed()
        assert await used.is_closed()


async def test_a_client_that_never_stops_sending_is_cut_off() -> None:
    """
    Trap 10: lingering ends.
    """
    async with running(timeouts=Timeouts(linger=0.2, flush=0.2)) as proxy:
        client = await proxy.connect()
        client.send(b"bad\r\n\r\n")
        assert (await client.response()).status == 400
        with pytest.raises(ConnectionError):
            await send_for_ever(client)


async def send_for_ever(client: Connection) -> None:
    async with asyncio.timeout(6):
        while True:
            client.send(b"more")
            await client.writer.drain()
            await asyncio.sleep(0.05)


async def test_connections_beyond_the_limit_are_turned_away() -> None:
    """
    Trap 16: descriptors remain for connections to servers.
    """
    async with serving(echoing()) as server, running(limits=Limits(clients=2)) as proxy:
        await proxy.route("/", server.url)
        clients = [await proxy.connect() for _ in range(2)]
        for client in clients:
            client.send(request("/"))
            assert (await client.response()).status == 200
        third = await proxy.connect()
        turned_away = await third.response()

    assert turned_away.status == 503


async def test_a_trusted_forwarder_is_appended_to() -> None:
    """
    Trap 11.
    """
    claims = ("X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https")
    from_loopback = Passing(trusted_forwarders=frozenset({"127.0.0.1"}))
    async with serving(echoing()) as server, running() as plain, running(passing=from_loopback) as trusting:
        await plain.route("/", server.url)
        await trusting.route("/", server.url)
        replaced, appended = await plain.ask("/", *claims), await trusting.ask("/", *claims)

    assert b"X-Forwarded-For: 127.0.0.1\r\n" in replaced.body
    assert b"X-Forwarded-Proto: http\r\n" in replaced.body
    assert b"X-Forwarded-For: 1.2.3.4,127.0.0.1\r\n" in appended.body
    assert b"X-Forwarded-Proto: https,http\r\n" in appended.body


async def test_paths_can_be_passed_without_prefix_or_base() -> None:
    """
    `--no-include-prefix` and `--no-prepend-path`.
    """
    async with (
        serving(echoing()) as server,
        running(passing=Passing(include_prefix=False)) as stripping,
        running(passing=Passing(prepend_path=False)) as bare,
    ):
        await stripping.route("/user/ada", server.url + "/base")
        await bare.route("/user/ada", server.url + "/base")
        stripped, plain = await stripping.ask("/user/%61da/x?y"), await bare.ask("/user/ada/x")

    assert stripped.body.startswith(b"GET /base/x?y HTTP/1.1")
    assert plain.body.startswith(b"GET /user/ada/x HTTP/1.1")


async def test_routes_can_begin_with_a_host() -> None:
    async with serving(echoing()) as server, running(passing=Passing(host_routing=True)) as proxy:
        await proxy.route("/hub.example.org/user/ada", server.url)
        client = await proxy.connect()
        client.send(request("/user/ada/x", host="HUB.example.org:8000") + request("/user/ada/x", host="other"))
        first, second = await client.response(), await client.response()

    assert first.body.startswith(b"GET /user/ada/x HTTP/1.1")
    assert second.status == 404


@pytest.mark.parametrize("host", ["HUB.example.org:8000", "hub.example.org.", "hub.example.org"])
async def test_a_host_is_one_however_it_is_written(host: str) -> None:
    async with serving(echoing()) as server, running(passing=Passing(host_routing=True)) as proxy:
        await proxy.route("/hub.example.org/user/ada", server.url)
        client = await proxy.connect()
        client.send(request("/user/ada/x", host=host))
        answer = await client.response()

    assert answer.body.startswith(b"GET /user/ada/x HTTP/1.1")


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [
        ("ada.example.org", "/user/bea/x", 404),
        ("example.org", "/user/ada/x", 404),
        ("x.ada.example.org", "/user/ada/x", 404),
        ("user", "/ada/x", 404),
        ("ada.example.org", "/bea.example.org/user/bea/x", 404),
        ("ada.example.org..", "/user/ada/x", 400),
        ("ada%2eexample.org", "/user/ada/x", 400),
        ("[::1", "/user/ada/x", 400),
    ],
)
async def test_a_route_is_found_at_its_own_host_alone(host: str, path: str, status: int) -> None:
    async with serving(echoing()) as server, running(passing=Passing(host_routing=True)) as proxy:
        for name in ("ada", "bea"):
            await proxy.route(f"/{name}.example.org/user/{name}", server.url)
        client = await proxy.connect()
        client.send(request(path, host=host))
        answer = await client.response()

    assert answer.status == status


def test_an_address_in_use_is_refused_with_its_name() -> None:
    with (
        listening() as taken,
        pytest.raises(CannotListen, match=r"Cannot listen on 127\.0\.0\.1:\d+: .*in use"),
    ):
        bind_tcp("127.0.0.1", taken.getsockname()[1])


def test_all_interfaces_are_ipv4_and_ipv6() -> None:
    sockets = bind_tcp("", 0)
    families = {sock.family for sock in sockets}
    for sock in sockets:
        sock.close()

    assert socket.AF_INET in families


async def test_what_fails_unexpectedly_does_not_leave_the_client_waiting(
    proxy: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A mistake of ours costs one request, not a connection that hangs.
    """

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("perijove.proxy.net.pages.ErrorPages.find", broken)
    client = await proxy.connect()
    client.send(request("/nothing"))

    assert await client.is_closed()
