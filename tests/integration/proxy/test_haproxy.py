"""
haproxy as we configure it, without the engine around it: what it decides by itself, and where everything else ends.

Two servers stand in for all: `ada` is a user's server, `worker` the built-in worker.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from perijove.proxy.core import haproxy_cli as cli
from perijove.proxy.core.confine import CONFINED, Fence
from perijove.proxy.core.haproxy_config import HaproxySettings, Paths, Waits, render_config
from perijove.proxy.core.haproxy_routes import Place, Way, audience_tag
from perijove.proxy.haproxy.process import CannotStartHaproxy, HaproxyProcess, write_files
from tests.integration.proxy.support import (
    PATIENCE,
    UPGRADE,
    Connection,
    Response,
    accept_websocket,
    echoing,
    listening,
    ok,
    request,
    serving,
)

pytestmark = pytest.mark.skipif(
    shutil.which("haproxy") is None, reason="haproxy is not installed (apt install haproxy)"
)

TAG = audience_tag("ada/")
STATEMENT = "e30.e30.c2ln"
COOKIE = f"Cookie: perijove-identity={STATEMENT}"
FAR = "99999999999"


@dataclass
class Scene:
    """A haproxy with a worker and a server behind it."""

    haproxy: HaproxyProcess
    settings: HaproxySettings
    port: int
    #: heads that each has seen
    seen: dict[str, list[bytes]] = field(default_factory=dict)
    clients: list[Connection] = field(default_factory=list)

    async def connect(self) -> Connection:
        client = Connection(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def ask(self, target: str = "/user/ada/x", *lines: str, method: str = "GET") -> Response:
        client = await self.connect()
        client.send(request(target, *lines, method=method))
        return await client.response(head_only=method == "HEAD")

    async def says(self, command: str, text: str) -> None:
        """Wait until haproxy says *text*."""
        async with asyncio.timeout(PATIENCE):
            while text not in (await self.haproxy.run([command]))[0]:  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.01)

    async def who(self, raw: bytes) -> str:
        """Who answers to these bytes."""
        client = await self.connect()
        client.send(raw)
        answer = await client.response()
        return answer.field("x-server") or "haproxy"


def write(file: str, text: str) -> None:
    Path(file).write_text(text, "ascii")


def remove(file: str) -> None:
    Path(file).unlink()


def change(file: str, old: str, new: str) -> None:
    write(file, Path(file).read_text("ascii").replace(old, new))


def named(name: str, heads: list[bytes], *lines: bytes) -> Callable[[Connection], Any]:
    async def handle(connection: Connection) -> None:
        while True:
            head = await connection.reader.readuntil(b"\r\n\r\n")
            heads.append(head)
            if b"upgrade: websocket" in head.lower():
                await accept_websocket(connection, head)
                return
            if b"transfer-encoding: chunked" in head.lower():
                await connection.reader.readuntil(b"\r\n\r\n")
            length = Response(status=0, head=head[:-4], body=b"").field("content-length")
            await connection.reader.readexactly(int(length or 0))
            connection.send(ok(head, b"X-Server: " + name.encode(), *lines))

    return handle


@asynccontextmanager
async def scene(
    *lines: bytes, config: Callable[[str], str] = lambda text: text, way: Way = Way.GATED, **more: Any
) -> AsyncIterator[Scene]:
    """haproxy, with ada's server answering with *lines* too; *config* changes the configuration."""
    seen: dict[str, list[bytes]] = {"ada": [], "worker": []}
    folder = Path(tempfile.mkdtemp(prefix="hx-"))
    public = listening()
    settings = HaproxySettings(
        paths=Paths(folder=str(folder / "1")),
        public=[public.fileno()],
        worker=str(folder / "worker.sock"),
        threads=1,
        max_connections=500,
        waits=Waits(head=2, keep_alive=5, client=5, server=0, connect=2, half_closed=5),
        **more,
    )
    try:
        async with (
            serving(named("worker", seen["worker"]), path=settings.worker),
            serving(named("ada", seen["ada"], *lines), path=str(folder / "ada.sock")),
        ):
            where = Place(
                way=way, server="k1r7", address=f"unix@{folder}/ada.sock", tag=TAG if way is Way.GATED else "",
                prefix="/user/ada",
            )  # fmt: skip
            write_files(settings, {"/user/ada/": where}, links={})
            write(settings.paths.config, config(render_config(settings, [where])))
            write(settings.paths.verdicts, f"{STATEMENT}|{TAG} {FAR}\n")
            haproxy = await HaproxyProcess.start("haproxy", settings)
            made = Scene(haproxy=haproxy, settings=settings, port=public.getsockname()[1], seen=seen)
            try:
                yield made
            finally:
                for client in made.clients:
                    await client.gone()
                await haproxy.kill()
    finally:
        public.close()
        shutil.rmtree(folder)


def without_the_worker(text: str) -> str:
    """A configuration in which nobody stands in for a server that is not there."""
    return re.sub(r"  server worker[12] .*\n", "", text)


async def test_load_balancing_would_find_another_users_server(tmp_path: Path) -> None:
    """
    The trap that the weights are for, shown in the wild: ada's server is gone, eve's answers instead.
    """
    async with (
        serving(echoing(b"eve"), path=str(tmp_path / "eve.sock")),
        scene(config=lambda text: without_the_worker(text).replace(" weight 0 ", " "), way=Way.HUB) as made,
    ):
        backend = "b1x7"
        await made.haproxy.run(
            [f"add server {backend}/k1r71 unix@{tmp_path}/eve.sock", f"enable server {backend}/k1r71"]
        )
        for command in (*cli.close_server(f"{backend}/k1r7"), cli.delete_server(f"{backend}/k1r7")):
            await made.haproxy.run([command])
        answer = await made.ask()

    assert answer.body[:3] == b"eve"


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_with_weight_zero_a_server_that_is_gone_is_nobody_elses(tmp_path: Path, *, is_deleted: bool) -> None:
    async with (
        serving(echoing(b"eve"), path=str(tmp_path / "eve.sock")) as eve,
        scene(config=without_the_worker, way=Way.HUB) as made,
    ):
        await made.haproxy.run(cli.add_server("b1x7/k1r71", f"unix@{tmp_path}/eve.sock"))
        await made.haproxy.run(cli.close_server("b1x7/k1r7"))
        if is_deleted:
            answers = await made.haproxy.run([cli.delete_server("b1x7/k1r7")])
            assert cli.is_deleted(answers[0])
        answer = await made.ask()

    assert answer.status == 503
    assert eve.connections == []


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_a_server_that_is_gone_is_the_workers_business(tmp_path: Path, *, is_deleted: bool) -> None:
    async with (
        serving(echoing(b"eve"), path=str(tmp_path / "eve.sock")) as eve,
        scene(way=Way.HUB) as made,
    ):
        await made.haproxy.run(cli.add_server("b1x7/k1r71", f"unix@{tmp_path}/eve.sock"))
        await made.haproxy.run(cli.close_server("b1x7/k1r7"))
        if is_deleted:
            await made.haproxy.run([cli.delete_server("b1x7/k1r7")])
        answer = await made.ask()

    assert answer.field("x-server") == "worker"
    assert eve.connections == []


@pytest.mark.parametrize("breaks", ["routes.map", "verdicts.map"])
async def test_an_empty_map_leaves_everything_to_the_worker(breaks: str) -> None:
    async with scene() as made:
        await made.haproxy.run([cli.clear(f"{made.settings.paths.folder}/{breaks}")])
        answer = await made.ask("/user/ada/x", COOKIE)

    assert answer.field("x-server") == "worker"


def head(line: str, *fields: str, host: str = "Host: a.example") -> bytes:
    return "\r\n".join([line, *([host] if host else []), COOKIE, *fields, "", ""]).encode("latin-1")


PLAIN = [
    head("GET /user/ada HTTP/1.1"),
    head("GET /user/ada/ HTTP/1.1"),
    head("GET /user/ada/.hidden/a..b/...?q=%zz'\" HTTP/1.1".replace('"', "")),
    head("GET /user/ada/x HTTP/1.1", "Connection: keep-alive"),
    head("GET /user/ada/x HTTP/1.1", "Connection: close"),
    head("POST /user/ada/x HTTP/1.1", "Content-Length: 0"),
    head("DELETE /user/ada/x HTTP/1.1"),
    head("POST /user/ada/x HTTP/1.1", "Content-Length: 0", "Origin: https://A.example", "Sec-Fetch-Site: same-origin"),
    head("POST /user/ada/x HTTP/1.1", "Content-Length: 0", "Expect: 100-continue"),
    head("GET /user/ada/x HTTP/1.1", "Origin: https://evil.example"),
]
ODD = {
    "escape": head("GET /user/ada/%41 HTTP/1.1"),
    "empty segment": head("GET /user/ada//x HTTP/1.1"),
    "empty segment in front": head("GET //user/ada/x HTTP/1.1"),
    "dot": head("GET /user/ada/./x HTTP/1.1"),
    "dots": head("GET /user/ada/../x HTTP/1.1"),
    "dots at the end": head("GET /user/ada/.. HTTP/1.1"),
    "semicolon": head("GET /user/ada/;x HTTP/1.1"),
    "backslash": head("GET /user/ada/\\x HTTP/1.1"),
    "bar": head("GET /user/ada/|x HTTP/1.1"),
    "quote": head("GET /user/ada/'x HTTP/1.1"),
    "long line": head(f"GET /user/ada/{'x' * 9000} HTTP/1.1"),
    "absolute form": head("GET http://a.example/user/ada/x HTTP/1.1"),
    "HTTP/1.0": head("GET /user/ada/x HTTP/1.0"),
    "no host": head("GET /user/ada/x HTTP/1.1", host=""),
    "odd host": head("GET /user/ada/x HTTP/1.1", host="Host: a,b/c"),
    "connection names a field": head("GET /user/ada/x HTTP/1.1", "Connection: x-y", "X-Y: z"),
    "upgrade": head("GET /user/ada/x HTTP/1.1", "Connection: upgrade", "Upgrade: h2c"),
    "upgrade alone": head("GET /user/ada/x HTTP/1.1", "Upgrade: websocket"),
    "websocket": head("GET /user/ada/x HTTP/1.1", *UPGRADE).replace(b"GET", b"POST"),
    "expect": head("POST /user/ada/x HTTP/1.1", "Content-Length: 0", "Expect: 200-ok"),
    "hub token": head("GET /user/ada/x HTTP/1.1", "Authorization: token x"),
    "any authorization": head("GET /user/ada/x HTTP/1.1", "Authorization: Basic x"),
    "two origins": head("POST /user/ada/x HTTP/1.1", "Content-Length: 0", *["Origin: http://a.example"] * 2),
    "another origin": head("POST /user/ada/x HTTP/1.1", "Content-Length: 0", "Origin: http://b.example"),
    "another site": head("POST /user/ada/x HTTP/1.1", "Content-Length: 0", "Sec-Fetch-Site: same-site"),
    "chunked body": head("POST /user/ada/x HTTP/1.1", "Transfer-Encoding: chunked") + b"0\r\nX-Trailer: y\r\n\r\n",
    "two cookie fields": head("GET /user/ada/x HTTP/1.1", "Cookie: a=1"),
    "control in a cookie": head("GET /user/ada/x HTTP/1.1").replace(b"\r\nCookie: ", b"\r\nCookie: a=1;\x0bb=2; "),
    "two statements": head("GET /user/ada/x HTTP/1.1").replace(b"\r\nCookie: ", b"\r\nCookie: perijove-identity=x; "),
    "another statement": head("GET /user/ada/x HTTP/1.1").replace(b"e30.", b"e31."),
    "longer statement": head("GET /user/ada/x HTTP/1.1").replace(b"c2ln", b"c2lnx"),
    "other route": head("GET /user/adam/x HTTP/1.1"),
}


@pytest.mark.parametrize("raw", PLAIN)
async def test_haproxy_sends_known_visitors_to_their_server(raw: bytes) -> None:
    async with scene() as made:
        assert await made.who(raw) == "ada"


@pytest.mark.parametrize("raw", ODD.values(), ids=ODD.keys())
async def test_whatever_is_odd_goes_to_the_worker(raw: bytes) -> None:
    async with scene() as made:
        assert await made.who(raw) in {"worker", "haproxy"}
        assert made.seen["ada"] == []
        # What haproxy itself refuses would not have been served anyway.
        assert len(made.seen["worker"]) == 1


@pytest.mark.parametrize("sent", ["X-Perijove-Identity: x", "X_Perijove_Identity: x", "X-Perijove_Identity: x"])
async def test_the_worker_is_not_told_of_statements_either(sent: str) -> None:
    """
    It believes what haproxy says was good a moment ago, if it can verify it: nobody else may say so.
    """
    async with scene() as made:
        answer = await made.ask("/user/ada/x", sent)

    assert answer.field("x-server") == "worker"
    assert b"perijove" not in answer.body.lower()


async def test_a_server_that_cannot_be_reached_is_left_to_the_worker_with_the_statement() -> None:
    """
    So that it can show the page for it, which strangers do not see.
    """
    async with scene() as made:
        remove(made.settings.worker.replace("worker.sock", "ada.sock"))
        answer = await made.ask("/user/ada/x", COOKIE)

    assert answer.field("x-server") == "worker"
    assert f"x-perijove-identity: {STATEMENT}\r\n".encode() in answer.body


@pytest.mark.parametrize(
    ("way", "seen"),
    [(Way.HUB, "jupyterhub-session-id=s; jupyterhub-hub-login=h; a=1"), (Way.SERVICE, "jupyterhub-session-id=s; a=1"),
     (Way.GATED, "a=1")],
)  # fmt: skip
async def test_each_way_has_its_cookies(way: Way, seen: str) -> None:
    async with scene(way=way) as made:
        answer = await made.ask(
            "/user/ada/x",
            f"Cookie: perijove-identity={STATEMENT}; jupyterhub-session-id=s; jupyterhub-hub-login=h; a=1",
        )
    cookies = Response(status=0, head=answer.body[:-4], body=b"").field("cookie") or ""

    assert cookies.removeprefix(f"perijove-identity={STATEMENT}; ") == seen
    assert ("perijove-identity" in cookies) is (way is Way.HUB)


@pytest.mark.parametrize("way", [Way.HUB, Way.SERVICE])
async def test_websockets_of_open_routes_are_haproxys_own(way: Way) -> None:
    async with scene(way=way) as made:
        client = await made.connect()
        client.send(request("/user/ada/ws", *UPGRADE))
        answer = await client.response()
        client.send(b"hello")

        assert (answer.status, await client.read(5)) == (101, b"hello")
        assert made.seen["worker"] == []


FIELDS = [
    b"Set-Cookie: a=1",
    b"Set-Cookie: a=1; Path=/",
    b"Set-Cookie: a=1; Path=/user/ada",
    b"Set-Cookie: a=1; Path=/user/ada/x",
    b"Set-Cookie: a=1; Path=/user/adam",
    b"Set-Cookie: a=1; Path=/user/ada/../eve",
    b"Set-Cookie: a=1; Path=/user/ada/.",
    b"Set-Cookie: a=1; Domain=example.org; Secure; HttpOnly",
    b"Set-Cookie: a=1; DOMAIN = x; path = /user/ada/y ; path=/",
    b"Set-Cookie: a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Max-Age=5; SameSite=Lax",
    b"Set-Cookie: =1",
    b"Set-Cookie: a",
    b"Set-Cookie: perijove-identity=x; Path=/user/ada/",
    b"Set-Cookie: PeriJove-Identity=x",
    b"Set-Cookie: __Host-x=1; Path=/",
    b"Set-Cookie: __host-x=1",
    b"Set-Cookie: jupyterhub-hub-login=x",
    b"Set-Cookie:  jupyterhub-session-id =x",
    b"Set-Cookie: ",
    b"Set-Cookie: a=1; Path=\\user\\ada",
    b"Set-Cookie: a=1;; Path=/user/ada/x;",
    b"Set-Cookie: a=b=c; Path=/user/ada/a b",
    b"Service-Worker-Allowed: /",
    b"Service-Worker-Allowed: /user/ada/x",
    b"Service-Worker-Allowed: /user/adam",
    b"Clear-Site-Data: *",
    b"Strict-Transport-Security: max-age=1",
    b"Cross-Origin-Opener-Policy: unsafe-none",
    b"Alt-Svc: h3",
    b"Report-To: x",
    b"NEL: x",
    b"Content-Type: text/html",
]


@pytest.mark.parametrize("line", FIELDS)
async def test_what_a_gated_server_says_is_confined_as_the_worker_does_it(line: bytes) -> None:
    name, _, value = line.partition(b":")
    expected: bytes | None = line
    if name.lower() in CONFINED:
        expected = Fence("/user/ada").confine(name.lower(), value.strip(b" \t"), line)
    async with scene(line) as made:
        answer = await made.ask("/user/ada/x", COOKIE)

    assert answer.field("x-server") == "ada"
    found = answer.fields(name.decode())
    assert [text.encode() for text in found] == ([] if expected is None else [expected.partition(b":")[2].strip()])


async def test_every_cookie_is_confined_for_itself() -> None:
    lines = (b"Set-Cookie: a=1; Path=/", b"Set-Cookie: jupyterhub-hub-login=1", b"set-cookie: b=2, 3; Path=/user/ada/b")
    async with scene(*lines) as made:
        answer = await made.ask("/user/ada/x", COOKIE)

    assert answer.fields("set-cookie") == ["a=1; Path=/user/ada/", "b=2, 3; Path=/user/ada/b"]


async def test_should_the_script_fail_no_cookie_passes() -> None:
    async with scene(b"Set-Cookie: a=1; Path=/") as made:
        change(made.settings.paths.script, 'local prefix = txn:get_var("txn.prefix")', 'error("broken")')
        port = listening()
        settings = HaproxySettings(
            paths=made.settings.paths, public=[port.fileno()], worker=made.settings.worker, threads=1,
            max_connections=50, waits=made.settings.waits,
        )  # fmt: skip
        change(settings.paths.config, f"fd@{made.settings.public[0]}", f"fd@{port.fileno()}")
        await made.haproxy.kill()
        haproxy = await HaproxyProcess.start("haproxy", settings)
        made.port = port.getsockname()[1]
        answer = await made.ask("/user/ada/x", COOKIE)
        await haproxy.kill()
        port.close()

    assert answer.field("x-server") == "ada"
    assert answer.fields("set-cookie") == []


@pytest.mark.parametrize(
    ("trusted", "sent", "seen"),
    [
        (frozenset(), "X-Forwarded-For: 1.1.1.1", ["127.0.0.1"]),
        (frozenset({"127.0.0.1"}), "X-Forwarded-For: 1.1.1.1", ["1.1.1.1", "127.0.0.1"]),
        (frozenset({"10.0.0.1", "unix"}), "X-Forwarded-For: 1.1.1.1", ["127.0.0.1"]),
        (frozenset({"127.0.0.1"}), "Forwarded: for=1.1.1.1", ["127.0.0.1"]),
    ],
)
async def test_only_trusted_forwarders_are_believed(trusted: frozenset[str], sent: str, seen: list[str]) -> None:
    async with scene(trusted_forwarders=trusted) as made:
        answer = await made.ask("/user/ada/x", COOKIE, sent)
    arrived = Response(status=0, head=answer.body[:-4], body=b"")

    assert arrived.fields("x-forwarded-for") == seen
    assert arrived.fields("forwarded") == []


async def test_one_address_cannot_have_all_connections() -> None:
    async with scene(per_address=3) as made:
        clients = [await made.connect() for _ in range(3)]
        for client in clients:
            client.send(request("/user/ada/x", COOKIE))
            assert (await client.response()).status == 200
        with pytest.raises(ConnectionError):
            await (await made.connect()).read(1)
        await clients.pop().gone()
        await made.says("show table addresses", "conn_cur=2")
        again = await made.ask("/user/ada/x", COOKIE)

    assert again.status == 200


@pytest.mark.parametrize(("size", "status"), [(8_000, 200), (24_000, 200), (60_000, 400)])
async def test_heads_must_fit_into_one_buffer(size: int, status: int) -> None:
    async with scene() as made:
        answer = await made.ask("/user/ada/x", COOKIE + "; a=" + "x" * size)

    assert answer.status == status


async def test_what_is_no_http_is_answered_with_our_own_page() -> None:
    async with scene() as made:
        client = await made.connect()
        client.send(b"GET /user/ada/x HTTP/1.1\r\nbad header\r\n\r\n")
        answer = await client.response()

    assert (answer.status, answer.field("connection")) == (400, "close")


@pytest.mark.parametrize("character", "!$&()*+,:=@~-._09azAZ")
async def test_every_character_of_a_plain_path_survives_the_way_into_the_map(character: str) -> None:
    key, value = f"/user/x{character}y/", "w"
    async with scene() as made:
        routes = made.settings.paths.routes
        for command in (cli.add_entry(routes, key, value), cli.set_entry(routes, key, "h|b1x7|k1r7||")):
            cli.expect_silence(command, (await made.haproxy.run([command]))[0])
        found = await made.who(head(f"GET {key}z HTTP/1.1"))
        version = cli.read_version((await made.haproxy.run([cli.prepare(routes)]))[0])
        for command in (*cli.fill(routes, version, {key: "h|b1x7|k1r7||"}), cli.commit(routes, version)):
            cli.expect_silence(command, (await made.haproxy.run([command]))[0])
        again = await made.who(head(f"GET {key}z HTTP/1.1"))
        gone = (await made.haproxy.run([cli.delete_entry(routes, key)]))[0]
        listed = (await made.haproxy.run([f"show map {routes}"]))[0]

    assert (found, again) == ("ada", "ada")
    assert (gone.strip(), listed.strip()) == ("", "")


async def test_a_thousand_entries_are_one_bundle() -> None:
    entries = {f"/user/u{number}/": f"h|b1x7|k1r{number}||" for number in range(1000)}
    async with scene() as made:
        routes = made.settings.paths.routes
        version = cli.read_version((await made.haproxy.run([cli.prepare(routes)]))[0])
        commands = [*cli.fill(routes, version, entries), cli.commit(routes, version)]
        answers = await made.haproxy.run(commands)
        listed = (await made.haproxy.run([f"show map {routes}"]))[0]

    assert [answer.strip() for answer in answers] == [""] * len(commands)
    assert len(listed.strip().splitlines()) == 1000


def small(folder: Path, public: socket.socket) -> HaproxySettings:
    return HaproxySettings(
        paths=Paths(folder=str(folder / "1")),
        public=[public.fileno()],
        worker="/w",
        threads=1,
        max_connections=9,
        waits=Waits(head=1, keep_alive=1, client=1, server=1, connect=1, half_closed=1),
    )


@pytest.mark.parametrize("command", ["/nowhere/haproxy", "false"])
async def test_a_haproxy_that_does_not_start_says_so(command: str, tmp_path: Path) -> None:
    with socket.socket() as public:
        settings = small(tmp_path, public)
        write_files(settings, {}, links={})
        with pytest.raises(CannotStartHaproxy):
            await HaproxyProcess.start(command, settings)


async def test_its_complaint_is_passed_on(tmp_path: Path) -> None:
    with socket.socket() as public:
        settings = small(tmp_path, public)
        write_files(settings, {}, links={})
        write(settings.paths.config, "nonsense\n")
        with pytest.raises(CannotStartHaproxy, match="nonsense"):
            await HaproxyProcess.start("haproxy", settings)
