"""
The engine around haproxy: who serves whom, and what survives.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import trustme

from perijove.kit.jws import SigningKey
from perijove.proxy.acme.settings import AcmeSettings
from perijove.proxy.config import ProxyConfig, TlsConfig
from perijove.proxy.core.errors import UnusableSettings
from perijove.proxy.core.passing import Passing
from perijove.proxy.core.requests import RequestHead
from perijove.proxy.core.state import State
from perijove.proxy.haproxy.engine import HaproxyEngine
from perijove.proxy.haproxy.process import CannotStartHaproxy
from perijove.proxy.net.client import ClientConnection
from perijove.proxy.net.tls import CertificateFiles, ServerTls
from tests.integration.proxy.support import (
    PATIENCE,
    UPGRADE,
    Connection,
    Running,
    echoing,
    identity,
    listening,
    ok,
    request,
    running,
    serving,
    until,
    websocket,
)
from tests.integration.proxy.test_process import ask, process, started

pytestmark = pytest.mark.skipif(
    shutil.which("haproxy") is None, reason="haproxy is not installed (apt install haproxy)"
)

KEY = SigningKey.generate()


def engine_of(proxy: Running) -> HaproxyEngine:
    engine = proxy.proxy._engine
    assert isinstance(engine, HaproxyEngine)
    return engine


def pid_of(proxy: Running) -> int:
    current = engine_of(proxy)._current
    assert current is not None
    return current.process.pid


@contextmanager
def worked(proxy: Running) -> Iterator[list[bytes]]:
    """Targets that the built-in worker is asked for."""
    frontend = engine_of(proxy)._worker._frontend
    found: list[bytes] = []
    serve = frontend.serve

    def note(client: ClientConnection, asked: RequestHead) -> None:
        found.append(asked.target)
        serve(client, asked)

    monkey: Any = frontend
    monkey.serve = note
    try:
        yield found
    finally:
        monkey.serve = serve


@asynccontextmanager
async def site(**settings: Any) -> AsyncIterator[Running]:
    async with running(engine="haproxy", **settings) as proxy:
        yield proxy


async def gate(proxy: Running, url: str, *, path: str = "/user/ada", audience: str = "ada/") -> None:
    await proxy.control("PUT", "/api/keys", {"keys": [KEY.public_jwk]})
    route = {"target": url, "access": "gated", "audience": audience}
    assert (await proxy.control("POST", f"/api/routes{path}", route)).status == 201


async def settled(proxy: Running) -> None:
    """All that was said before has been carried out."""
    await proxy.control("DELETE", "/api/routes/nobody")


async def test_open_routes_are_haproxys_own() -> None:
    async with serving(echoing()) as server, site() as proxy:
        await proxy.route("/", server.url)
        with worked(proxy) as asked:
            answers = [await proxy.ask(target) for target in ("/", "/a/b?c", "/a%20b")]

    assert [answer.status for answer in answers] == [200] * 3
    assert asked == [b"/a%20b"]


async def test_the_worker_sees_a_visitor_once() -> None:
    async with serving(echoing()) as server, site() as proxy:
        await gate(proxy, server.url)
        cookie = f"Cookie: perijove-identity={identity(KEY)}"
        with worked(proxy) as asked:
            await proxy.ask("/user/ada/1", cookie)
            await settled(proxy)
            for _ in range(3):
                assert (await proxy.ask("/user/ada/2", cookie)).status == 200

    assert asked == [b"/user/ada/1"]


async def test_a_verdict_is_believed_for_a_while_only() -> None:
    """
    So the worker knows who is still there, and can ask the hub about them.
    """
    async with serving(echoing()) as server, site(recheck_interval=1) as proxy:
        await gate(proxy, server.url)
        cookie = f"Cookie: perijove-identity={identity(KEY)}"
        await proxy.ask("/user/ada/1", cookie)
        await settled(proxy)
        await asyncio.sleep(1.1)
        with worked(proxy) as asked:
            await proxy.ask("/user/ada/2", cookie)

    assert asked == [b"/user/ada/2"]


async def test_a_route_that_haproxy_cannot_serve_is_the_workers_and_takes_nothing_shorter() -> None:
    async with serving(echoing(b"hub")) as hub, serving(echoing(b"ada")) as ada, site() as proxy:
        await proxy.route("/", hub.url)
        await proxy.route("/user/ada", ada.url + "/base")
        with worked(proxy) as asked:
            body = (await proxy.ask("/user/ada/x")).body

    assert body[:25] == b"adaGET /base/user/ada/x H"
    assert asked == [b"/user/ada/x"]


@pytest.mark.parametrize("passing", [Passing(host_routing=True), Passing(include_prefix=False)])
async def test_requests_that_are_changed_on_the_way_are_the_workers(passing: Passing) -> None:
    prefix = "/hub.example.org" if passing.host_routing else ""
    async with serving(echoing()) as server, site(passing=passing) as proxy:
        await proxy.route(f"{prefix}/user/ada", server.url)
        answer = await proxy.ask("/user/ada/x")
    line = answer.body.partition(b"\r\n")[0]

    assert line == (b"GET /user/ada/x HTTP/1.1" if passing.host_routing else b"GET /x HTTP/1.1")


async def test_the_first_keys_close_what_was_open() -> None:
    async with serving(echoing()) as server, site() as proxy:
        await proxy.control(
            "POST", "/api/routes/user/ada", {"target": server.url, "access": "gated", "audience": "ada/"}
        )
        client = await proxy.connect()
        client.send(request("/user/ada/"))
        before = await client.response()
        await proxy.control("PUT", "/api/keys", {"keys": [KEY.public_jwk]})
        late = await proxy.ask("/user/ada/")

    assert (before.status, late.status) == (200, 403)


async def test_a_killed_haproxy_is_back_with_all_it_knew() -> None:
    async with serving(echoing()) as server, site() as proxy:
        await gate(proxy, server.url)
        await proxy.route("/", server.url)
        cookie = f"Cookie: perijove-identity={identity(KEY)}"
        await proxy.ask("/user/ada/", cookie)
        await proxy.control("POST", "/api/revocations", {"before": 2**40, "sid": "s2"})
        old = pid_of(proxy)
        os.kill(old, signal.SIGKILL)
        # Connections wait in the backlog meanwhile.
        statuses = [(await proxy.ask("/user/ada/", cookie)).status, (await proxy.ask("/")).status]
        refused = await proxy.ask("/user/ada/", f"Cookie: perijove-identity={identity(KEY, sid='s2')}")
        # It may serve before it has said that it does.
        await settled(proxy)
        restarts = engine_of(proxy).restarts
        new = pid_of(proxy)

    assert statuses == [200, 200]
    assert refused.status == 403
    assert (restarts, new != old) == (1, True)


async def test_what_is_changed_while_haproxy_is_dead_counts() -> None:
    async with serving(echoing(b"old")) as old, serving(echoing(b"new")) as new, site() as proxy:
        await proxy.route("/user/ada", old.url)
        await proxy.route("/user/eve", old.url)
        os.kill(pid_of(proxy), signal.SIGKILL)
        await asyncio.gather(
            proxy.route("/user/ada", new.url),
            proxy.control("DELETE", "/api/routes/user/eve"),
            proxy.route("/user/bob", new.url),
        )
        bodies = [(await proxy.ask(path)).body[:3] for path in ("/user/ada/", "/user/bob/")]
        gone = await proxy.ask("/user/eve/")

    assert bodies == [b"new", b"new"]
    assert gone.status == 404


async def test_a_haproxy_that_does_not_answer_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perijove.proxy.haproxy.process.COMMAND_SECONDS", 0.3)
    async with serving(echoing()) as server, site() as proxy:
        old = pid_of(proxy)
        os.kill(old, signal.SIGSTOP)
        await proxy.route("/user/ada", server.url)
        answer = await proxy.ask("/user/ada/")
        gone = psutil.pid_exists(old)

    assert answer.status == 200
    assert not gone


async def test_a_reload_keeps_what_is_open_and_takes_over_settings() -> None:
    async with serving(websocket) as server, serving(echoing()) as hub, site() as proxy:
        await proxy.route("/", hub.url)
        await proxy.route("/user/ada", server.url)
        client = await proxy.connect()
        client.send(request("/user/ada/ws", *UPGRADE))
        await client.response()
        old = pid_of(proxy)
        config = replace(proxy.proxy._config, passing=Passing(x_forward=False))
        await proxy.thread.run(engine_of(proxy).reload(config))
        answer = await proxy.ask("/", "X-Forwarded-For: 1.1.1.1")
        client.send(b"still here")
        echo = await client.read(10)
        # The old one has open what its route has: nothing, when that is gone.
        async with asyncio.timeout(PATIENCE):
            await proxy.control("DELETE", "/api/routes/user/ada")
            assert await client.is_closed()
        await until(lambda: not psutil.pid_exists(old))

    assert b"x-forwarded-for: 1.1.1.1\r\n" in answer.body.lower()
    assert b"x-forwarded-host" not in answer.body.lower()
    assert echo == b"still here"


async def test_a_reload_that_fails_changes_nothing() -> None:
    async with serving(echoing()) as server, site() as proxy:
        await proxy.route("/", server.url)
        old = pid_of(proxy)
        config = replace(proxy.proxy._config, haproxy_command="/nowhere/haproxy")
        await proxy.thread.run(engine_of(proxy).reload(config))
        answer = await proxy.ask("/")

        assert (answer.status, pid_of(proxy)) == (200, old)


async def test_replaced_haproxys_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Each keeps the WebSockets that were open; who reloads every minute must not fill the machine.
    """
    monkeypatch.setattr("perijove.proxy.haproxy.engine.MAX_DRAINING", 1)
    async with serving(websocket) as server, site() as proxy:
        await proxy.route("/", server.url)
        clients = []
        for _ in range(3):
            client = await proxy.connect()
            client.send(request("/ws", *UPGRADE))
            assert (await client.response()).status == 101
            clients.append(client)
            await proxy.thread.run(engine_of(proxy).reload(proxy.proxy._config))
        clients[2].send(b"hello")
        last = await clients[2].read(5)
        first = await clients[0].is_closed()
        folders = engine_of(proxy)._folder
        await until(lambda: sum(path.is_dir() for path in folders.iterdir()) == 2)

    assert (first, last) == (True, b"hello")


async def test_no_server_of_a_removed_route_stays() -> None:
    async with serving(echoing()) as server, site() as proxy:
        await proxy.route("/user/ada", server.url)
        client = await proxy.connect()
        client.send(request("/user/ada/"))
        await client.response()
        await proxy.control("DELETE", "/api/routes/user/ada")
        await client.gone()
        left = "k3r1"
        async with asyncio.timeout(PATIENCE):
            while "k3r1" in left:
                await settled(proxy)
                left = await states(proxy)

    assert "worker1" in left


async def states(proxy: Running) -> str:
    """What haproxy says of its servers."""
    current, found = engine_of(proxy)._current, [""]
    assert current is not None

    async def look() -> None:
        found[:] = await current.process.run(["show servers state"])

    await proxy.thread.run(look())
    return found[0]


async def test_stopping_lets_a_request_in_flight_end() -> None:
    go = asyncio.Event()

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        await go.wait()
        connection.send(ok(b"done"))
        await connection.read_all()

    async with serving(handle) as server, site(drain=5.0) as proxy:
        await proxy.route("/", server.url)
        busy = await proxy.connect()
        busy.send(request("/"))
        await until(lambda: len(server.connections) == 1)
        stopping = asyncio.gather(proxy.stop())
        await asyncio.sleep(0.2)
        with pytest.raises(ConnectionError):
            await proxy.connect()
        go.set()
        answer = await busy.response()
        began = time.monotonic()
        await stopping

    assert answer.body == b"done"
    assert time.monotonic() - began < 4


async def test_stopping_cuts_what_does_not_end() -> None:
    async with serving(websocket) as server, site(drain=0.3) as proxy:
        await proxy.route("/", server.url)
        client = await proxy.connect()
        client.send(request("/", *UPGRADE))
        await client.response()
        pid, folder = pid_of(proxy), engine_of(proxy)._folder
        began = time.monotonic()
        await proxy.stop()

        assert time.monotonic() - began < 3
        assert await client.is_closed()
        assert not psutil.pid_exists(pid)
        assert not folder.exists()


async def test_without_haproxy_nothing_starts() -> None:
    with listening() as public:
        engine = HaproxyEngine(ProxyConfig(haproxy_command="/nowhere/haproxy"), State(), [public])
        with pytest.raises(CannotStartHaproxy, match="nowhere"):
            await engine.start()

    assert not engine._folder.exists()


async def test_its_folder_is_nobody_elses_business() -> None:
    async with site() as proxy:
        folder = engine_of(proxy)._folder
        paths = (folder, *folder.iterdir(), *folder.glob("1/*.sock"))
        modes = {path.name: path.stat().st_mode & 0o777 for path in paths}

    assert modes == {folder.name: 0o700, "1": 0o700, "worker.sock": 0o600, "runtime.sock": 0o600}


async def test_what_haproxy_served_is_counted() -> None:
    async with serving(echoing()) as server, site() as proxy:
        await proxy.route("/services/x", server.url, service="x")
        for _ in range(3):
            await proxy.ask("/services/x/")
        await proxy.ask("/nothing")
        await proxy.until(lambda counted: counted.by_status() == {200: 3, 404: 1})
        counted = await proxy.statistics()

    assert counted.bytes_out > 0
    assert counted.gauges.clients >= 0


async def test_the_command_line_starts_reloads_and_stops_it(tmp_path: Path) -> None:
    control, public = tmp_path / "c", tmp_path / "p"
    flags = ("--engine", "haproxy", "--socket", str(public), "--api-socket", str(control))
    async with serving(echoing()) as server, process(*flags, "--default-target", server.url) as child:
        await started(child)
        first = {known.pid for known in psutil.Process(child.pid).children()}
        before = await ask(public, "/x")
        child.send_signal(signal.SIGHUP)
        await until(lambda: {known.pid for known in psutil.Process(child.pid).children()}.isdisjoint(first))
        after = await ask(public, "/x")
        second = psutil.Process(child.pid).children()
        child.terminate()
        code = await child.wait()

    assert (before.status, after.status, code) == (200, 200, 0)
    assert not any(known.is_running() for known in second)


async def test_haproxy_does_not_outlive_the_proxy(tmp_path: Path) -> None:
    flags = ("--engine", "haproxy", "--socket", str(tmp_path / "p"), "--api-socket", str(tmp_path / "c"))
    async with process(*flags) as child:
        await started(child)
        left = psutil.Process(child.pid).children()
        child.kill()
        await until(lambda: not any(known.is_running() for known in left))

    assert len(left) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "hub.example.org")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for pem in issued.cert_chain_pems:
        pem.write_to_path(folder / "cert.pem", append=True)
    return {name: folder / f"{name}.pem" for name in ("ca", "cert", "key")}


def tls_of(files: dict[str, Path], **more: Any) -> TlsConfig:
    pair = CertificateFiles(cert=files["cert"], key=files["key"])
    return TlsConfig(public=ServerTls(certificates=[pair], **more))


@pytest.mark.parametrize(
    "tls",
    [
        TlsConfig(acme=AcmeSettings(domains=("x",), folder=Path("/x"))),
        TlsConfig(public=ServerTls(certificates=[], passphrase="x")),
    ],
)
def test_what_haproxy_cannot_do_is_refused(tls: TlsConfig) -> None:
    with pytest.raises(UnusableSettings):
        HaproxyEngine(ProxyConfig(tls=tls), State(), [])


async def test_a_browser_without_a_certificate_is_refused_where_one_is_required(certificate: dict[str, Path]) -> None:
    trust = ssl.create_default_context(cafile=str(certificate["ca"]))
    strict = tls_of(certificate, client_ca=certificate["ca"], request_cert=True, require_cert=True, protocol="TLSv1_2")
    async with site(tls=strict) as proxy:
        async with httpx.AsyncClient(verify=trust) as stranger:
            with pytest.raises(httpx.TransportError):
                await stranger.get(f"https://127.0.0.1:{proxy.port}/")
        trust.load_cert_chain(certificate["cert"], certificate["key"])
        async with httpx.AsyncClient(verify=trust) as known:
            answer = await known.get(f"https://127.0.0.1:{proxy.port}/")

    assert answer.status_code == 404


async def test_browsers_are_spoken_to_in_http2(certificate: dict[str, Path]) -> None:
    trust = ssl.create_default_context(cafile=str(certificate["ca"]))
    async with (
        serving(echoing()) as server,
        site(tls=tls_of(certificate)) as proxy,
        httpx.AsyncClient(http2=True, verify=trust, base_url=f"https://127.0.0.1:{proxy.port}") as browser,
    ):
        await proxy.route("/", server.url)
        await gate(proxy, server.url)
        cookie = {"Cookie": f"perijove-identity={identity(KEY)}; jupyterhub-session-id=s; a=1"}
        with worked(proxy) as asked:
            answers = [await browser.get(target) for target in ("/", "/a%20b", "/user/ada/")]
            answers += [await browser.get("/user/ada/1", headers=cookie)]
            await settled(proxy)
            answers += [await browser.get("/user/ada/2", headers=cookie)]
            origin = {"Origin": f"https://127.0.0.1:{proxy.port}"}
            answers += [await browser.post("/user/ada/3", headers=cookie | origin, content=b"x" * 100_000)]
            answers += [await browser.post("/user/ada/4", headers=cookie | {"Origin": "https://evil.example"})]

    assert {answer.http_version for answer in answers} == {"HTTP/2"}
    assert [answer.status_code for answer in answers] == [200, 200, 403, 200, 200, 200, 403]
    assert asked == [b"/a%20b", b"/user/ada/", b"/user/ada/1", b"/user/ada/4"]
    known = answers[4].text.lower()
    assert "x-forwarded-proto: https\r\n" in known
    assert f"x-forwarded-port: {proxy.port}\r\n" in known
    assert "\r\ncookie: a=1\r\n" in known
    assert "x-perijove-identity: " in known


async def test_a_renewed_certificate_is_taken_over(certificate: dict[str, Path], tmp_path: Path) -> None:
    files = {name: Path(shutil.copy(certificate[name], tmp_path)) for name in ("cert", "key")}
    async with site(tls=tls_of(files)) as proxy:
        first = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", proxy.port))
        renewed = trustme.CA().issue_cert("hub.example.org")
        renewed.private_key_pem.write_to_path(files["key"])
        renewed.cert_chain_pems[0].write_to_path(files["cert"])
        await proxy.thread.run(engine_of(proxy).reload(proxy.proxy._config))
        second = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", proxy.port))

    assert certificate["cert"].read_text().startswith(first)
    assert files["cert"].read_text() == second
