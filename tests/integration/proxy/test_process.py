"""
The proxy as its own process: command line, signals, snapshot, inherited sockets.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from perijove.kit.jws import SigningKey
from tests.integration.proxy.support import (
    PATIENCE,
    TOKEN,
    Connection,
    Response,
    echoing,
    identity,
    listening,
    ok,
    request,
    serving,
    until,
)

COMMAND = (sys.executable, "-c", "from perijove.cli.proxy import proxy; proxy()")
SOURCE = str(Path(__file__).parents[3] / "src")


@asynccontextmanager
async def process(
    *flags: str,
    fds: dict[str, socket.socket] | None = None,
    command: tuple[str, ...] = COMMAND,
    stdout: int | None = None,
) -> AsyncIterator[Process]:
    """The command, killed at the end if it still runs."""
    environment = os.environ | {"PYTHONPATH": SOURCE, "CONFIGPROXY_AUTH_TOKEN": TOKEN}
    inherited = {name: sock.fileno() for name, sock in (fds or {}).items()}
    if inherited:
        environment["PERIJOVE_LISTEN_FDS"] = ",".join(f"{name}={fd}" for name, fd in inherited.items())
    child = await asyncio.create_subprocess_exec(
        *command, *flags, env=environment, pass_fds=tuple(inherited.values()), stderr=PIPE, stdin=DEVNULL, stdout=stdout
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def started(child: Process) -> str:
    """The log until it says that it listens."""
    assert child.stderr is not None
    log = ""
    async with asyncio.timeout(PATIENCE * 2):
        while "proxy.listening" not in log:
            line = await child.stderr.readline()
            assert line, log
            log += line.decode()
    return log


async def ask(where: int | Path, target: str, *lines: str, method: str = "GET", content: Any = None) -> Response:
    """One request to a port or a unix socket."""
    if isinstance(where, Path):
        client = Connection(*await asyncio.open_unix_connection(str(where)))
    else:
        client = Connection(*await asyncio.open_connection("127.0.0.1", where))
    body = b"" if content is None else json.dumps(content).encode()
    client.send(request(target, *lines, method=method, body=body))
    answer = await client.response()
    await client.gone()
    return answer


AUTH = f"Authorization: token {TOKEN}"


async def test_a_killed_proxy_serves_at_once_when_it_is_back(tmp_path: Path) -> None:
    """
    Keys, routes and revocations are known before anybody has told it again.
    """
    key, control, snapshot = SigningKey.generate(), tmp_path / "c", tmp_path / "snapshot"
    good, revoked = identity(key), identity(key, sid="s2")
    flags = ("--socket", str(tmp_path / "p"), "--api-socket", str(control), "--snapshot", str(snapshot))
    async with serving(echoing()) as server:
        async with process(*flags) as child:
            await started(child)
            await ask(control, "/api/keys", AUTH, method="PUT", content={"keys": [key.public_jwk]})
            route = {"target": server.url, "access": "gated", "audience": "ada/"}
            await ask(control, "/api/routes/user/ada", AUTH, method="POST", content=route)
            await ask(control, "/api/revocations", AUTH, method="POST", content={"before": 2**40, "sid": "s2"})
            await until(lambda: snapshot.exists() and b'"s2"' in snapshot.read_bytes())
            child.kill()
            await child.wait()
        async with process(*flags) as child:
            await started(child)
            statuses = [
                (await ask(tmp_path / "p", "/user/ada/", f"Cookie: perijove-identity={token}")).status
                for token in (good, revoked, "")
            ]

    assert statuses == [200, 403, 403]
    assert stat.S_IMODE(snapshot.stat().st_mode) == 0o600
    assert stat.S_IMODE(control.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"version": 1, "keys": 1, "routes": {}, "revocations": []}',
        b'{"version": 1, "keys": [{}], "routes": {}, "revocations": []}',
        b'{"version": 1, "keys": [], "routes": {"/x": {}}, "revocations": []}',
    ],
)
async def test_a_damaged_snapshot_does_not_stop_the_start(tmp_path: Path, content: bytes) -> None:
    snapshot, control = tmp_path / "snapshot", tmp_path / "c"
    snapshot.write_bytes(content)
    flags = ("--socket", str(tmp_path / "p"), "--api-socket", str(control), "--snapshot", str(snapshot))
    async with process(*flags) as child:
        log = await started(child)
        routes = await ask(control, "/api/routes", AUTH)

    assert "snapshot.un" in log
    assert routes.json() == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_after_the_request_in_flight(tmp_path: Path, number: signal.Signals) -> None:
    go = asyncio.Event()

    async def handle(connection: Connection) -> None:
        await connection.read_head()
        go.set()
        await asyncio.sleep(0.3)
        connection.send(ok(b"done"))
        await connection.read_all()

    pid_file, public = tmp_path / "pid", tmp_path / "p"
    async with (
        serving(handle) as server,
        process(
            "--socket", str(public), "--api-socket", str(tmp_path / "c"), "--default-target", server.url,
            "--pid-file", str(pid_file),
        ) as child,
    ):  # fmt: skip
        await started(child)
        written = pid_file.read_text()
        asking = asyncio.gather(ask(public, "/"))
        await go.wait()
        child.send_signal(number)
        (answer,) = await asking
        async with asyncio.timeout(PATIENCE):
            code = await child.wait()

    assert answer.body == b"done"
    assert code == 0
    assert written == f"{child.pid}\n"
    assert not pid_file.exists()


async def test_sockets_can_be_handed_down() -> None:
    """
    The supervisor keeps the sockets open, so that nobody is refused while the proxy restarts.
    """
    public, control = listening(), listening()
    with public, control:
        early = asyncio.gather(ask(public.getsockname()[1], "/_chp_healthz"))
        # With sockets of a supervisor it announces itself for debugging alone.
        async with process("--log-level", "debug", fds={"public": public, "control": control}) as child:
            await started(child)
            (answer,) = await early
            routes = await ask(control.getsockname()[1], "/api/routes", AUTH)

    assert (answer.status, routes.status) == (200, 200)


async def test_keys_can_come_from_a_file(tmp_path: Path) -> None:
    key, control, keys = SigningKey.generate(), tmp_path / "c", tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [key.public_jwk]}))
    flags = ("--socket", str(tmp_path / "p"), "--api-socket", str(control), "--keys-file", str(keys))
    async with serving(echoing()) as server, process(*flags) as child:
        await started(child)
        route = {"target": server.url, "audience": "ada/"}
        await ask(control, "/api/routes/user/ada", AUTH, method="POST", content=route)
        inside = await ask(tmp_path / "p", "/user/ada/", f"Cookie: perijove-identity={identity(key)}")
        outside = await ask(tmp_path / "p", "/user/ada/")

    assert (inside.status, outside.status) == (200, 403)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--ssl-key", "x"), "--ssl-cert and --ssl-key"),
        (("--storage-backend", "chp-redis"), "is a module for Node.js"),
        (("--default-target", "ftp://x"), "A target must look like"),
        (("--error-target", "ftp://x"), "A target must look like"),
        (("--hub-url", "x"), "A target must look like"),
        (("--keys-file", "/nonexistent/keys"), "/nonexistent/keys"),
        (("--ip", "192.0.2.1", "--port", "0"), "Cannot listen on 192.0.2.1:0"),
        (("--socket", "/nonexistent/s"), "Cannot listen on /nonexistent/s"),
    ],
)
async def test_what_cannot_be_done_is_said_plainly(flags: tuple[str, ...], message: str, tmp_path: Path) -> None:
    """
    A flag of configurable-http-proxy that is not there yet is an error, never ignored.
    """
    async with process("--api-socket", str(tmp_path / "c"), *flags) as child:
        async with asyncio.timeout(PATIENCE):
            _, errors = await child.communicate()

    assert child.returncode in {1, 2}
    assert message in errors.decode()
    assert "Traceback" not in errors.decode()


async def test_without_a_door_the_log_says_so(tmp_path: Path) -> None:
    async with process("--socket", str(tmp_path / "p"), "--api-socket", str(tmp_path / "c")) as child:
        log = await started(child)
        assert child.stderr is not None
        async with asyncio.timeout(PATIENCE):
            log += (await child.stderr.readline()).decode()

    assert "proxy.no_door" in log
