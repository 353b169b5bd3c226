"""
Every limit refuses, and its refusal is counted under its name.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from perijove.kit.jws import SigningKey
from perijove.proxy.core.limits import Limits
from perijove.proxy.net.frontend import Frontend, counted_as
from perijove.proxy.net.timeouts import Timeouts
from tests.integration.proxy.support import (
    PATIENCE,
    UPGRADE,
    Connection,
    Response,
    answering,
    echoing,
    identity,
    ok,
    request,
    running,
    serving,
    until,
    websocket,
)
from tests.integration.proxy.test_process import AUTH, ask, process, started


@pytest.mark.parametrize(
    ("raw", "status", "name"),
    [
        (request("/" + "x" * 300), 414, "line-size"),
        (request("/", "A: " + "x" * 1000), 431, "head-size"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 1000, 431, "head-size"),
        (request("/", *(f"A{number}: x" for number in range(10))), 431, "fields"),
    ],
)
async def test_sizes_of_heads(raw: bytes, status: int, name: str) -> None:
    async with running(limits=Limits(head=1000, line=200, fields=10)) as proxy:
        client = await proxy.connect()
        client.send(raw)
        answer = await client.response()
        counted = (await proxy.statistics()).limits

    assert (answer.status, answer.field("connection")) == (status, "close")
    assert counted == {name: 1}


async def test_the_time_of_a_head() -> None:
    async with running(timeouts=Timeouts(head=0.5)) as proxy:
        client = await proxy.connect()
        client.send(b"GET / HTTP/1.1\r\n")
        answer = await client.response()
        counted = (await proxy.statistics()).limits

    assert (answer.status, counted) == (408, {"head-time": 1})


async def test_the_time_between_requests() -> None:
    async with serving(echoing()) as server, running(timeouts=Timeouts(keep_alive=0.5)) as proxy:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(request("/"))
        await client.response()
        ended = await client.is_closed()
        counted = (await proxy.statistics()).limits

    assert (ended, counted) == (True, {"idle-time": 1})


async def test_the_time_between_pieces_of_a_body() -> None:
    async with serving(echoing()) as server, running(timeouts=Timeouts(body=0.5)) as proxy:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        ended = await client.is_closed()
        counted = (await proxy.statistics()).limits

    assert (ended, counted) == (True, {"body-time": 1})


async def drip(client: Connection) -> None:
    """Send a byte every tenth of a second."""
    try:
        while True:
            client.send(b"x")
            await client.writer.drain()
            await asyncio.sleep(0.1)
    except ConnectionError:
        return


async def test_the_rate_of_a_body() -> None:
    """
    Ten bytes a second are progress, and still hold a server's connection for ever.
    """
    async with serving(echoing()) as server, running(limits=Limits(rate=100, rate_window=2.0)) as proxy:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        dripping = asyncio.gather(drip(client))
        ended = await client.is_closed()
        await dripping
        counted = (await proxy.statistics()).limits

    assert (ended, counted) == (True, {"body-rate": 1})


async def test_a_body_that_is_fast_enough_is_not_cut() -> None:
    async with serving(echoing()) as server, running(limits=Limits(rate=5, rate_window=1.0)) as proxy:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n")
        for _ in range(30):
            client.send(b"x")
            await asyncio.sleep(0.1)
        answer = await client.response()
        counted = (await proxy.statistics()).limits

    assert (answer.status, counted) == (200, {})


async def test_the_rate_at_which_an_answer_is_taken() -> None:
    """
    Whoever asks for much and takes nothing holds the server's connection, or what was written of the answer.
    """
    whole = answering(lambda _head, _body: ok(b"x" * 50_000_000))
    async with serving(whole) as server, running(timeouts=Timeouts(flush=1.0)) as proxy:
        await proxy.route("/", server.url)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)  # its signature
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", proxy.port))
            client.send(request("/"))
            await proxy.until(lambda statistics: bool(statistics.limits))
            counted = (await proxy.statistics()).limits

    assert counted == {"answer-rate": 1}


async def test_the_number_of_connections() -> None:
    async with running(limits=Limits(clients=2)) as proxy:
        held = [await proxy.connect() for _ in range(2)]
        for client in held:
            client.send(request("/_chp_healthz"))
            assert (await client.response()).status == 200
        third = await proxy.connect()
        answer, ended = await third.response(), await third.is_closed()
        counted = (await proxy.statistics()).limits
        await held[0].gone()
        again = await proxy.ask("/_chp_healthz")

    assert (answer.status, ended, counted) == (503, True, {"clients": 1})
    assert again.status == 200


async def test_the_number_of_connections_from_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    WebSockets count, and what is closed counts no more.
    """
    # Loopback is never counted, and there is no other address here to come from.
    monkeypatch.setattr(Frontend, "address_of", lambda _self, peer: peer)
    async with serving(websocket) as server, running(limits=Limits(per_address=2)) as proxy:
        await proxy.route("/", server.url)
        tunnel, other = await proxy.connect(), await proxy.connect()
        tunnel.send(request("/", *UPGRADE))
        await tunnel.response()
        third = await proxy.connect()
        answer = await third.response()
        counted = (await proxy.statistics()).limits
        await tunnel.gone()
        await other.gone()
        await proxy.until(lambda statistics: not statistics.gauges.tunnels)
        again = await proxy.ask("/_chp_healthz")

    assert (answer.status, counted) == (503, {"address": 1})
    assert again.status == 200


@pytest.mark.parametrize(
    ("peer", "trusted", "address"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("2001:db8::1", "", "2001:db8::/64"),
        ("192.0.2.1", "192.0.2.1", ""),
        ("127.0.0.1", "", ""),
        ("::1", "", ""),
        ("", "", ""),
    ],
)
def test_web_servers_in_front_are_not_counted(peer: str, trusted: str, address: str) -> None:
    """
    Everybody comes from their address.
    """
    assert counted_as(peer, frozenset({trusted} - {""})) == address


async def test_the_number_of_websockets_of_a_session() -> None:
    """
    Each holds two connections and perhaps a kernel's attention; a session that leaks them is stopped.
    """
    key = SigningKey.generate()
    async with serving(websocket) as server, running(limits=Limits(websockets=1)) as proxy:
        await proxy.control("PUT", "/api/keys", {"keys": [key.public_jwk]})
        await proxy.route("/user/ada", server.url, access="gated", audience="ada/")
        statuses = []
        for session in ("s1", "s1", "s2"):
            client = await proxy.connect()
            cookie = f"Cookie: perijove-identity={identity(key, sid=session)}"
            client.send(request("/user/ada/ws", cookie, "Origin: http://hub.example.org", *UPGRADE))
            statuses.append((await client.response()).status)
        counted = (await proxy.statistics()).limits
        await proxy.clients[0].gone()
        await proxy.until(lambda statistics: statistics.gauges.tunnels == 1)
        client = await proxy.connect()
        cookie = f"Cookie: perijove-identity={identity(key)}"
        client.send(request("/user/ada/ws", cookie, "Origin: http://hub.example.org", *UPGRADE))
        again = await client.response()

    assert (statuses, counted) == ([101, 429, 101], {"websockets": 1})
    assert again.status == 101


async def test_a_websocket_that_never_opened_is_not_counted() -> None:
    key = SigningKey.generate()
    async with serving(echoing()) as server, running(limits=Limits(websockets=1)) as proxy:
        await proxy.control("PUT", "/api/keys", {"keys": [key.public_jwk]})
        await proxy.route("/user/ada", server.url, access="gated", audience="ada/")
        cookie = f"Cookie: perijove-identity={identity(key)}"
        answers = [
            await proxy.ask("/user/ada/ws", cookie, "Origin: http://hub.example.org", *UPGRADE) for _ in range(3)
        ]

    assert [answer.status for answer in answers] == [200, 200, 200]


async def test_the_number_of_connections_to_one_server() -> None:
    """
    A server that hangs must not hold every descriptor; others are served meanwhile.
    """
    release = asyncio.Event()

    async def hang(connection: Connection) -> None:
        await connection.read_head()
        await release.wait()
        connection.send(ok(b"late"))

    async with (
        serving(hang) as stuck,
        serving(echoing()) as well,
        running(limits=Limits(per_target=2)) as proxy,
    ):
        await proxy.route("/stuck", stuck.url)
        await proxy.route("/well", well.url)
        waiting = [await proxy.connect() for _ in range(2)]
        for client in waiting:
            client.send(request("/stuck"))
        await until(lambda: len(stuck.connections) == 2)
        busy, other = await proxy.ask("/stuck"), await proxy.ask("/well")
        counted = (await proxy.statistics()).limits
        release.set()
        late = [(await client.response()).body for client in waiting]
        again = await proxy.ask("/stuck")

    assert (busy.status, busy.field("retry-after")) == (503, "2")
    assert (other.status, counted) == (200, {"target": 1})
    assert (late, again.body) == ([b"late", b"late"], b"late")


async def test_tunnels_are_connections_to_a_server_until_they_end() -> None:
    async with serving(websocket) as server, running(limits=Limits(per_target=1)) as proxy:
        await proxy.route("/", server.url)
        first = await proxy.connect()
        first.send(request("/", *UPGRADE))
        opened = await first.response()
        refused = await proxy.ask("/", *UPGRADE)
        await first.gone()
        await proxy.until(lambda statistics: not statistics.gauges.tunnels)
        again = await proxy.connect()
        again.send(request("/", *UPGRADE))
        reopened = await again.response()

    assert [opened.status, refused.status, reopened.status] == [101, 503, 101]


async def test_the_number_of_routes() -> None:
    body = {"target": "http://127.0.0.1:1"}
    async with running(limits=Limits(routes=2)) as proxy:
        added = [(await proxy.control("POST", f"/api/routes/{name}", body)).status for name in "abab"]
        refused = await proxy.control("POST", "/api/routes/c", body)
        replaced = await proxy.control("PUT", "/api/routes", {"/a": body, "/b": body, "/c": body})
        listed = (await proxy.control("GET", "/api/routes")).json()

    assert added == [201, 201, 201, 201]
    assert (refused.status, replaced.status) == (507, 507)
    assert b"--max-routes" in refused.body
    assert sorted(listed) == ["/a", "/b"]


async def test_without_descriptors_it_waits_instead_of_spinning(tmp_path: Path) -> None:
    """
    Trap 16: a listening socket stays ready while nothing can be accepted.
    """
    public = tmp_path / "p"
    command = f"ulimit -n 24 && exec {sys.executable} -c 'from perijove.cli.proxy import proxy; proxy()' \"$@\""
    async with process(
        "--socket", str(public), "--api-socket", str(tmp_path / "c"), command=("/bin/sh", "-c", command, "sh")
    ) as child:
        await started(child)
        clients = [Connection(*await asyncio.open_unix_connection(str(public))) for _ in range(40)]
        before = _cpu(child.pid)
        await asyncio.sleep(2.0)
        spent = _cpu(child.pid) - before
        for client in clients:
            await client.gone()
        async with asyncio.timeout(PATIENCE):
            while not await _is_healthy(public):  # noqa: ASYNC110  # it is asked over its socket
                await asyncio.sleep(0.1)

    assert spent < 0.5


async def _is_healthy(public: Path) -> bool:
    client = Connection(*await asyncio.open_unix_connection(str(public)))
    client.send(request("/_chp_healthz"))
    try:
        return (await client.response()).status == 200
    except (ConnectionError, asyncio.IncompleteReadError):
        # Those who went away are still being noticed: turned away.
        return False
    finally:
        await client.gone()


def _cpu(pid: int) -> float:
    """Seconds of processor that a process and its children have used."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in family)


async def add(control: Path, name: str) -> Response:
    """Add a route."""
    content = {"target": "http://127.0.0.1:1"}
    return await ask(control, f"/api/routes/{name}", AUTH, method="POST", content=content)


async def test_limits_change_while_the_proxy_runs(tmp_path: Path) -> None:
    """
    What is open stays open; what comes is measured by the new limits, in every worker.
    """
    public, control, settings = tmp_path / "p", tmp_path / "c", tmp_path / "proxy.toml"
    settings.write_text("max-line = 100\nmax-routes = 1\n")
    flags = ("--socket", str(public), "--api-socket", str(control), "--config", str(settings), "--workers", "2")
    async with process(*flags) as child:
        await started(child)
        held = Connection(*await asyncio.open_unix_connection(str(public)))
        held.send(request("/_chp_healthz"))
        before = (await held.response()).status
        refused = (await ask(public, "/_chp_healthz?" + "x" * 200)).status
        routes = [(await add(control, name)).status for name in "ab"]
        settings.write_text("max-line = 1000\nmax-routes = 2\n")
        child.send_signal(signal.SIGHUP)
        async with asyncio.timeout(PATIENCE):
            while (await add(control, "b")).status != 201:  # noqa: ASYNC110  # SIGHUP has no answer
                await asyncio.sleep(0.05)
        statuses = {(await ask(public, "/_chp_healthz?" + "x" * 200)).status for _ in range(8)}
        held.send(request("/_chp_healthz?" + "x" * 200))
        after = (await held.response()).status
        await held.gone()

    assert (before, refused, routes) == (200, 414, [201, 507])
    assert (statuses, after) == ({200}, 200)
