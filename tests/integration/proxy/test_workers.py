"""
Several workers: one table, one port, and none of them missed.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from perijove.kit.jws import SigningKey
from tests.integration.proxy.support import (
    PATIENCE,
    UPGRADE,
    Connection,
    echoing,
    identity,
    ok,
    request,
    serving,
    until,
    websocket,
)
from tests.integration.proxy.test_process import AUTH, ask, process, started

WORKERS = 3


@dataclass
class Site:
    """A proxy with several workers."""

    child: Process
    public: int
    control: Path

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.child.pid).children()

    async def route(self, path: str, target: str, **more: str) -> None:
        body = {"target": target, "access": "open", **more}
        answer = await ask(self.control, f"/api/routes{path}", AUTH, method="POST", content=body)
        assert answer.status == 201

    async def connect(self) -> Connection:
        return Connection(*await asyncio.open_connection("127.0.0.1", self.public))


@asynccontextmanager
async def site(tmp_path: Path, *flags: str) -> AsyncIterator[Site]:
    control = tmp_path / "control"
    where = ("--ip", "127.0.0.1", "--port", "0", "--api-socket", str(control))
    async with process(*flags, *where, "--workers", str(WORKERS)) as child:
        log = await started(child)
        port = re.search(r"http://127\.0\.0\.1:(\d+)", log)
        assert port is not None
        yield Site(child=child, public=int(port[1]), control=control)


async def by_every_worker(running: Site, target: str, *lines: str) -> set[int]:
    """The statuses of many requests at once, of which each worker gets some."""
    clients = [await running.connect() for _ in range(60)]
    for client in clients:
        client.send(request(target, *lines))
    statuses = {(await client.response()).status for client in clients}
    for client in clients:
        await client.gone()
    return statuses


async def test_a_route_is_everywhere_as_soon_as_it_is_acknowledged(tmp_path: Path) -> None:
    """
    Trap 21.
    """
    async with serving(echoing()) as server, site(tmp_path) as running:
        for number in range(20):
            path = f"/user/u{number}"
            assert await by_every_worker(running, path) == {404}
            await running.route(path, server.url)
            assert await by_every_worker(running, path) == {200}
            await ask(running.control, f"/api/routes{path}", AUTH, method="DELETE")
            assert await by_every_worker(running, path) == {404}


@pytest.mark.skipif(os.geteuid() != 0, reason="without root workers have one queue in common")
async def test_connections_are_spread_over_all_workers(tmp_path: Path) -> None:
    async with serving(websocket) as server, site(tmp_path) as running:
        await running.route("/", server.url)
        clients = [await running.connect() for _ in range(60)]
        for client in clients:
            client.send(request("/", *UPGRADE))
            await client.read_head()
        held = [len(worker.net_connections("tcp")) for worker in running.workers()]
        for client in clients:
            await client.gone()

    assert len(held) == WORKERS
    assert min(held) > 2


async def test_a_worker_that_dies_is_replaced_and_knows_everything(tmp_path: Path) -> None:
    key = SigningKey.generate()
    cookie, revoked = (f"Cookie: perijove-identity={identity(key, sid=sid)}" for sid in ("s1", "s2"))
    async with serving(echoing()) as server, site(tmp_path) as running:
        await ask(running.control, "/api/keys", AUTH, method="PUT", content={"keys": [key.public_jwk]})
        await running.route("/user/ada", server.url, access="gated", audience="ada/")
        await ask(running.control, "/api/revocations", AUTH, method="POST", content={"before": 2**40, "sid": "s2"})
        old = {worker.pid for worker in running.workers()}
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        statuses = [await by_every_worker(running, "/user/ada/", lines) for lines in (cookie, revoked)]
        await until(lambda: len(running.workers()) == WORKERS)
        new = {worker.pid for worker in running.workers()}

    assert statuses == [{200}, {403}]
    assert not old & new


async def test_changes_go_on_while_workers_die(tmp_path: Path) -> None:
    async with serving(echoing()) as server, site(tmp_path) as running:
        for number in range(6):
            os.kill(running.workers()[0].pid, signal.SIGKILL)
            await running.route(f"/r{number}", server.url)
            assert await by_every_worker(running, f"/r{number}") == {200}


async def test_revocation_reaches_open_websockets_of_every_worker(tmp_path: Path) -> None:
    key = SigningKey.generate()
    cookie = f"Cookie: perijove-identity={identity(key)}"
    async with serving(websocket) as server, site(tmp_path) as running:
        await ask(running.control, "/api/keys", AUTH, method="PUT", content={"keys": [key.public_jwk]})
        await running.route("/user/ada", server.url, access="gated", audience="ada/")
        clients = [await running.connect() for _ in range(30)]
        for client in clients:
            client.send(request("/user/ada/", *UPGRADE, cookie, "Origin: http://hub.example.org"))
            assert b" 101 " in await client.read_head()
        await ask(running.control, "/api/revocations", AUTH, method="POST", content={"before": 2**40, "user": "ada"})
        async with asyncio.timeout(1.0):
            closed = [await client.is_closed() for client in clients]
        for client in clients:
            await client.gone()

    assert all(closed)


async def test_activity_is_the_latest_that_any_worker_saw(tmp_path: Path) -> None:
    async with serving(echoing()) as server, site(tmp_path) as running:
        await running.route("/a", server.url)
        before = (await ask(running.control, "/api/routes/a", AUTH)).json()["last_activity"]
        for _ in range(5):
            await by_every_worker(running, "/a")
            after = (await ask(running.control, "/api/routes/a", AUTH)).json()["last_activity"]
            assert after > before
            before = after


async def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        workers = running.workers()
        running.child.kill()
        await running.child.wait()
        _, alive = await asyncio.to_thread(psutil.wait_procs, workers, PATIENCE)

    assert not alive


async def test_a_stopping_proxy_refuses_newcomers_and_finishes_its_work(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def slow(connection: Connection) -> None:
        await connection.read_head()
        await release.wait()
        connection.send(ok(b"done"))

    public = tmp_path / "public"
    flags = ("--socket", str(public), "--api-socket", str(tmp_path / "c"), "--workers", str(WORKERS))
    async with serving(slow) as server, process(*flags, "--default-target", server.url) as child:
        await started(child)
        client = Connection(*await asyncio.open_unix_connection(str(public)))
        client.send(request("/"))
        await until(lambda: bool(server.connections))
        child.terminate()
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    newcomer = Connection(*await asyncio.open_unix_connection(str(public)))
                except ConnectionRefusedError:
                    break
                await newcomer.gone()
                await asyncio.sleep(0.01)
        release.set()
        answer = await client.response()
        await client.gone()
        code = await child.wait()

    assert (answer.body, code) == (b"done", 0)


async def test_settings_are_read_again_and_nothing_is_closed(tmp_path: Path) -> None:
    settings = tmp_path / "proxy.toml"
    settings.write_text("no-x-forward = false\nport = 1\n")
    async with serving(echoing()) as server, site(tmp_path, "--config", str(settings)) as running:
        await running.route("/", server.url)
        client = await running.connect()
        client.send(request("/"))
        before = (await client.response()).body
        settings.write_text("no-x-forward = true\nhub-url = 'http://127.0.0.1:1'\n")
        running.child.send_signal(signal.SIGHUP)
        log = ""
        assert running.child.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while "proxy.needs_restart" not in log:
                log += (await running.child.stderr.readline()).decode()
        client.send(request("/"))
        after = (await client.response()).body
        await client.gone()

    assert b"X-Forwarded-For: 127.0.0.1" in before
    assert b"X-Forwarded" not in after
    assert "'hubs'" in log


@pytest.mark.parametrize("content", ["no-x-forward = ", "colour = 'blue'", "timeout = 'long'"])
async def test_broken_settings_are_refused_at_start_and_ignored_later(tmp_path: Path, content: str) -> None:
    settings = tmp_path / "proxy.toml"
    settings.write_text(content)
    async with process("--config", str(settings)) as child:
        _, error = await child.communicate()
    assert child.returncode == 2
    assert b"Error" in error

    settings.write_text("")
    async with serving(echoing()) as server, site(tmp_path, "--config", str(settings)) as running:
        await running.route("/", server.url)
        settings.write_text(content)
        running.child.send_signal(signal.SIGHUP)
        assert running.child.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while b"proxy.reload_failed" not in await running.child.stderr.readline():
                pass
        assert await by_every_worker(running, "/") == {200}


async def test_a_worker_holds_nothing_of_its_parents(tmp_path: Path) -> None:
    """Connections to the control API end when the parent ends them, although workers were copied meanwhile."""
    async with site(tmp_path) as running:
        held = Connection(*await asyncio.open_unix_connection(str(running.control)))
        held.send(request("/api/routes", AUTH))
        await held.response()
        os.kill(running.workers()[0].pid, signal.SIGKILL)
        await until(lambda: len(running.workers()) == WORKERS)
        held.send(request("/api/routes", AUTH, "Connection: close"))
        await held.response()
        async with asyncio.timeout(5):
            is_closed = await held.is_closed()
        await held.gone()
        files = [worker.open_files() for worker in running.workers()]
        listeners = [
            [one for one in worker.net_connections("unix") if str(running.control) in str(one.laddr)]
            for worker in running.workers()
        ]

    assert is_closed
    assert not any(files)
    assert not any(listeners)
