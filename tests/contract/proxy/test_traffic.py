"""
Where a request goes and what arrives there, through every engine.
"""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest

from perijove.kit.jws import SigningKey
from tests.contract.proxy.conftest import MakeSite
from tests.integration.proxy.support import (
    UPGRADE,
    Connection,
    Response,
    Site,
    answering,
    echoing,
    identity,
    ok,
    request,
    serving,
    until,
    websocket,
)


def lowered(answer: Response) -> bytes:
    return answer.body.lower()


async def test_path_and_query_arrive_as_sent(site: Site) -> None:
    target = "/user/ada/a%20b//c%2fd;x='y'?q=%zz&r=[1]"
    async with serving(echoing()) as server:
        await site.route("/user/ada", server.url)
        answer = await site.ask(target)

    assert answer.body.startswith(f"GET {target} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("/", "hub"), ("/user", "hub"), ("/user/ada", "ada"), ("/user/ada/", "ada"), ("/user/ada/x/y", "ada"),
        ("/user/ada?x=/user/eve", "ada"), ("/user/adam", "hub"), ("/user/ad", "hub"), ("/user/ada/lab", "lab"),
        ("/user/ada/lab/x", "lab"), ("/user/ada/labs", "ada"), ("/user/%61da/x", "ada"), ("/user/ada/%6cab/", "lab"),
        ("/user/ADA/", "hub"), ("/user/a+b@c/", "plus"), ("/user/a%2Bb%40c/", "plus"), ("/user/a%20b/", "space"),
        ("/user/%C3%A9ve/", "eve"), ("/user/ada/..x", "ada"), ("/user/ada/.x", "ada"), ("/user/ada/...", "ada"),
    ],
)  # fmt: skip
async def test_the_longest_prefix_of_whole_segments_wins(site: Site, target: str, where: str) -> None:
    async with serving(echoing(b"1")) as one, serving(echoing(b"2")) as two:
        # Two servers are enough: the one that is meant, and one for all others.
        paths = {
            "hub": "/", "ada": "/user/ada", "lab": "/user/ada/lab", "plus": "/user/a%2Bb@c", "space": "/user/a%20b",
            "eve": "/user/%C3%A9ve",
        }  # fmt: skip
        for name, path in paths.items():
            await site.route(path, one.url if name == where else two.url)
        answer = await site.ask(target)

    assert answer.body[:1] == b"1"


@pytest.mark.parametrize(
    "target", ["/user/../x", "/user/ada/./x", "/user//ada", "/%zz", "/user%2fada", "/user/%2e%2e/x"]
)
async def test_a_path_that_could_be_read_in_two_ways_goes_nowhere(site: Site, target: str) -> None:
    async with serving(echoing()) as server:
        await site.route("/", server.url)
        await site.route("/user/ada", server.url)
        answer = await site.ask(target)

    assert answer.status == 400
    assert server.connections == []


async def test_without_a_route_there_is_nothing(site: Site) -> None:
    page, data = await site.ask("/x", "Accept: text/html"), await site.ask("/x")

    assert (page.status, data.status) == (404, 404)
    assert b"There is nothing at this address" in page.body


async def test_a_removed_route_takes_requests_no_more(site: Site) -> None:
    async with serving(echoing(b"hub")) as hub, serving(echoing(b"ada")) as server:
        await site.route("/", hub.url)
        await site.route("/user/ada", server.url)
        client = await site.connect()
        client.send(request("/user/ada/"))
        before = await client.response()
        await site.control("DELETE", "/api/routes/user/ada")
        client.send(request("/user/ada/"))
        after = await client.response()

    assert (before.body[:3], after.body[:3]) == (b"ada", b"hub")


async def test_a_replaced_route_never_reaches_the_old_server(site: Site) -> None:
    """
    Trap 14, with clients whose connections are kept the whole time.
    """
    async with serving(echoing(b"old")) as old, serving(echoing(b"new")) as new:
        await site.route("/user/ada", old.url)
        clients = [await site.connect() for _ in range(8)]
        for client in clients:
            client.send(request("/user/ada/"))
            assert (await client.response()).body[:3] == b"old"
        await site.route("/user/ada", new.url)
        bodies = []
        for client in clients * 3:
            client.send(request("/user/ada/"))
            bodies.append((await client.response()).body[:3])

    assert set(bodies) == {b"new"}


async def test_the_next_server_on_a_port_gets_no_connection_of_the_last(site: Site) -> None:
    async with serving(echoing(b"ada")) as server:
        port = int(server.url.rpartition(":")[2])
        await site.route("/user/ada", server.url)
        assert (await site.ask("/user/ada/")).body[:3] == b"ada"
        await site.control("DELETE", "/api/routes/user/ada")
    async with serving(echoing(b"eve"), port=port) as server:
        await site.route("/user/eve", server.url)
        answer = await site.ask("/user/eve/")

    assert answer.body[:3] == b"eve"


async def test_the_whole_table_changes_in_one_step(site: Site) -> None:
    """
    A path that both tables have is never without a route.
    """
    async with serving(echoing(b"1")) as one, serving(echoing(b"2")) as two:
        tables = [
            {f"/user/u{number}": {"target": url, "access": "open"} for number in range(200)}
            for url in (one.url, two.url)
        ]
        await site.control("PUT", "/api/routes", tables[0])
        stop = asyncio.Event()
        statuses: set[int] = set()

        async def look() -> None:
            while not stop.is_set():
                statuses.add((await site.ask("/user/u7/")).status)

        looking = asyncio.gather(look(), look())
        for number in range(6):
            await site.control("PUT", "/api/routes", tables[(number + 1) % 2])
        stop.set()
        await looking
        last = await site.ask("/user/u7/")
        await site.control("PUT", "/api/routes", {"/user/u8": tables[0]["/user/u8"]})
        gone, kept = await site.ask("/user/u7/"), await site.ask("/user/u8/")

    # What is under way when its server is taken away may be cut.
    assert statuses <= {200, 502, 503}
    assert last.body[:1] == b"1"
    assert (gone.status, kept.body[:1]) == (404, b"1")


async def test_targets_are_ipv4_ipv6_names_and_unix_sockets(site: Site, tmp_path: Path) -> None:
    async with (
        serving(echoing()) as four,
        serving(echoing(), host="::1") as six,
        serving(echoing(), path=str(tmp_path / "s")) as unix,
    ):
        port = four.url.rpartition(":")[2]
        urls = [four.url, f"http://localhost:{port}", six.url, unix.url]
        statuses = []
        for number, url in enumerate(urls):
            await site.route(f"/t{number}", url)
            statuses.append((await site.ask(f"/t{number}/")).status)

    assert statuses == [200, 200, 200, 200]


async def test_the_path_of_a_target_is_put_in_front(site: Site) -> None:
    async with serving(echoing()) as server:
        await site.route("/user/ada", server.url + "/base")
        answer = await site.ask("/user/ada/x?y")

    assert answer.body.startswith(b"GET /base/user/ada/x?y HTTP/1.1\r\n")


@pytest.mark.parametrize("size", [0, 1, 70_000, 2_000_000])
async def test_bodies_arrive_whole_in_both_directions(site: Site, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    async with serving(answering(lambda _, received: ok(received))) as server:
        await site.route("/", server.url)
        answer = await site.ask("/", method="POST", body=body[:size])

    assert answer.body == body[:size]


async def test_one_client_alternates_between_routes_without_mixing_them(site: Site) -> None:
    async with serving(echoing(b"a:")) as one, serving(echoing(b"b:")) as other:
        await site.route("/a", one.url)
        await site.route("/b", other.url)
        client = await site.connect()
        bodies = []
        for number in range(40):
            client.send(request("/a/x" if number % 2 else "/b/x"))
            bodies.append((await client.response()).body[:2])

    assert bodies == [b"b:", b"a:"] * 20


async def test_connections_are_kept_on_both_sides(site: Site) -> None:
    async with serving(echoing()) as server:
        await site.route("/", server.url)
        client = await site.connect()
        for _ in range(5):
            client.send(request("/x"))
            assert (await client.response()).status == 200

    assert len(server.connections) == 1


async def test_a_server_that_is_not_there_is_a_503(site: Site) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen
        await site.route("/user/ada", f"http://127.0.0.1:{silent.getsockname()[1]}")
        await site.route("/user/eve", "http+unix://%2Fnowhere.sock")
        page = await site.ask("/user/ada/", "Accept: text/html")
        data = await site.ask("/user/eve/")

    assert (page.status, data.status) == (503, 503)
    assert b"is not running, or still starting" in page.body
    assert data.json() == {"status": 503, "message": "Service Unavailable"}


async def test_a_server_that_ends_too_early_is_not_taken_for_complete(site: Site) -> None:
    async def handle(connection: Connection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    async with serving(handle) as server:
        await site.route("/", server.url)
        client = await site.connect()
        client.send(request("/"))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.response()


async def test_an_answer_in_pieces_is_passed_on_piece_by_piece(site: Site) -> None:
    go = asyncio.Event()

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await go.wait()
        connection.send(b"data: 2\n\n")

    async with serving(handle) as server:
        await site.route("/", server.url)
        client = await site.connect()
        client.send(request("/"))
        await client.read_head()
        first = await client.read(9)
        go.set()
        rest = await client.read_all()

    assert (first, rest) == (b"data: 1\n\n", b"data: 2\n\n")


async def test_a_websocket_becomes_a_tunnel(site: Site) -> None:
    async with serving(websocket) as server:
        await site.route("/user/ada", server.url)
        client = await site.connect()
        client.send(request("/user/ada/ws", *UPGRADE))
        answer = await client.response()
        client.send(b"x" * 100_000)

        assert answer.status == 101
        assert await client.read(100_000) == b"x" * 100_000


async def test_a_removed_route_closes_its_websockets(site: Site) -> None:
    async with serving(websocket) as server, serving(websocket) as other:
        await site.route("/user/ada", server.url)
        await site.route("/user/eve", other.url)
        clients = []
        for name in ("ada", "eve"):
            client = await site.connect()
            client.send(request(f"/user/{name}/ws", *UPGRADE))
            assert (await client.response()).status == 101
            clients.append(client)
        mine, others = clients
        async with asyncio.timeout(1):
            await site.control("DELETE", "/api/routes/user/ada")
            assert await mine.is_closed()
        others.send(b"hello")

        assert await others.read(5) == b"hello"


async def test_a_route_that_is_repeated_keeps_its_websockets(site: Site) -> None:
    """
    A hub that starts again tells all its routes anew.
    """
    async with serving(websocket) as server:
        await site.route("/user/ada", server.url, user="ada")
        client = await site.connect()
        client.send(request("/user/ada/ws", *UPGRADE))
        await client.response()
        await site.route("/user/ada", server.url, user="ada")
        await site.control("PUT", "/api/routes", {"/user/ada": {"target": server.url, "access": "open"}})
        client.send(b"hello")

        assert await client.read(5) == b"hello"


async def moment(site: Site, path: str = "/user/ada") -> str:
    answer: str = (await site.control("GET", f"/api/routes{path}")).json()["last_activity"]
    return answer


async def test_requests_are_signs_of_life(site: Site) -> None:
    async with serving(echoing()) as server:
        await site.route("/user/ada", server.url)
        before = await moment(site)
        await asyncio.sleep(0.05)
        await site.ask("/user/ada/")
        after = await moment(site)

    assert after > before


@pytest.mark.parametrize("status", ["302 Found", "404 Not Found", "500 Broken"])
async def test_errors_and_redirects_are_none(site: Site, status: str) -> None:
    async with serving(answering(lambda _, __: ok(status=status.encode()))) as server:
        await site.route("/user/ada", server.url)
        before = await moment(site)
        await asyncio.sleep(0.05)
        await site.ask("/user/ada/")
        after = await moment(site)

    assert after == before


async def test_bytes_inside_a_websocket_are_signs_of_life(site: Site) -> None:
    """
    An engine may notice them a few seconds late: what is idle is counted in minutes.
    """
    async with serving(websocket) as server:
        await site.route("/user/ada", server.url)
        client = await site.connect()
        client.send(request("/user/ada/ws", *UPGRADE))
        await client.response()
        await asyncio.sleep(0.5)
        before = await moment(site)
        deadline = time.monotonic() + 12
        while await moment(site) == before and time.monotonic() < deadline:
            client.send(b"frame")
            await client.read(5)
            await asyncio.sleep(0.1)
        after = await moment(site)

    assert after > before


async def test_the_health_path_is_the_proxys_own(site: Site) -> None:
    async with serving(echoing()) as server:
        await site.route("/", server.url)
        mine, below = await site.ask("/_chp_healthz"), await site.ask("/_chp_healthz/x")

    assert mine.json() == {"status": "OK"}
    assert b"GET /_chp_healthz/x" in below.body


async def test_a_proxy_that_starts_again_serves_what_it_served(make_site: MakeSite, tmp_path: Path) -> None:
    key, snapshot = SigningKey.generate(), tmp_path / "snapshot"
    cookies = [f"Cookie: perijove-identity={identity(key, sid=sid)}" for sid in ("s1", "s2")]
    async with serving(echoing()) as server:
        async with make_site(snapshot=snapshot) as site:
            await site.control("PUT", "/api/keys", {"keys": [key.public_jwk]})
            route = {"target": server.url, "access": "gated", "audience": "ada/"}
            await site.control("POST", "/api/routes/user/ada", route)
            await site.route("/", server.url)
            await site.control("POST", "/api/revocations", {"before": 2**40, "sid": "s2"})
            await until(lambda: snapshot.exists() and b'"s2"' in snapshot.read_bytes())
        async with make_site(snapshot=snapshot) as site:
            statuses = [(await site.ask("/user/ada/", cookie)).status for cookie in (*cookies, "X: y")]
            hub = await site.ask("/")

    assert statuses == [200, 403, 403]
    assert hub.status == 200
