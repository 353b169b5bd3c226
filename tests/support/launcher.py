"""
A real launcher in a folder of its own, as root or as an ordinary user, and ways to ask its servers.

Every process it starts is ended by pid; every system user it makes is removed.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import httpx
import psutil
import pytest

from perijove.kit.jws import SigningKey
from perijove.spawners.launcher_client import LauncherClient
from perijove.wire import environment as names
from perijove.wire.identity import FULL_ACCESS, IDENTITY_HEADER, IdentityClaims
from perijove.wire.launcher import ExitReport, Launched, LaunchRequest
from perijove.wire.supervision import LAUNCHER, LISTEN_FDS_VARIABLE, NOTIFY_FD_VARIABLE
from tests.support.leftovers import remove_leftovers

T = TypeVar("T")

SOURCE: Final = Path(__file__).parents[2] / "src"
#: System users that this run makes begin with it; another run at the same time leaves them alone.
USER_PREFIX: Final = f"pjlaunch{os.getpid()}-"
#: An ordinary user that every machine has, for launchers that are not root.
NOBODY: Final = 65534
PATIENCE: Final = 30.0
#: Makes a launcher warm at once, where no notebook server is needed.
TINY: Final = ("--app", "tests.support.tiny_app", "--kernel-app", "")
SIGNER: Final = SigningKey.generate()

needs_root = [pytest.mark.root, pytest.mark.skipif(os.getuid() != 0, reason="only root may be other users")]


class LauncherProcess:
    """One launcher: start, kill, start again over the same folder."""

    def __init__(self, folder: Path, *, own_uid: bool) -> None:
        self.folder = folder
        #: whether it runs as one ordinary user, rather than as root with system users
        self.own_uid = own_uid
        self.socket = folder / "l.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start_with(self, listening: socket.socket) -> str:
        """Start it as the supervisor does, with a socket to inherit; answer what it says when it is ready."""
        reading, writing = os.pipe()
        environment = {LISTEN_FDS_VARIABLE: f"{LAUNCHER}={listening.fileno()}", NOTIFY_FD_VARIABLE: str(writing)}
        self.start(*TINY, inherit=(listening.fileno(), writing), environment=environment)
        os.close(writing)
        with open(reading) as pipe:  # noqa: PTH123  # a descriptor
            return pipe.read()

    def start(self, *words: str, inherit: tuple[int, ...] = (), environment: Mapping[str, str] | None = None) -> None:
        drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        with (self.folder / "launcher.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(drop if self.own_uid and os.getuid() == 0 else []),
                    *(sys.executable, "-P", "-m", "perijove", "launcher", "--socket", str(self.socket)),
                    *("--hub-uid", str(os.getuid()), "--socket-gid", str(os.getgid())),
                    *("--runtime-dir", str(self.folder / "r"), "--state-dir", str(self.folder / "s")),
                    *words,
                ],
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": f"{SOURCE}:{SOURCE.parent}",
                    "SECRET_OF_THE_LAUNCHER": "x",
                    **(environment or {}),
                },
                pass_fds=inherit,
                cwd="/",
                stderr=log,
            )

    def kill(self, number: int = signal.SIGKILL) -> int:
        """End it and answer its exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(PATIENCE)
        self._process = None
        return code

    def wait(self) -> int:
        """Its exit code, when it ends by itself."""
        assert self._process is not None
        code = self._process.wait(PATIENCE)
        self._process = None
        return code

    def stop(self) -> None:
        if self._process is not None:
            self.kill(signal.SIGTERM)

    def log(self) -> str:
        return (self.folder / "launcher.log").read_text()

    def client(self) -> LauncherClient:
        return LauncherClient(self.socket)


@contextmanager
def launcher_process(*, own_uid: bool, words: tuple[str, ...] = ()) -> Iterator[LauncherProcess]:
    """A launcher, and the end of everything it started."""
    folder = Path(tempfile.mkdtemp(prefix="pj-", dir="/tmp"))
    folder.chmod(0o711)
    if own_uid and os.getuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    launcher = LauncherProcess(folder, own_uid=own_uid)
    launcher.start(*words)
    try:
        yield launcher
    finally:
        launcher.stop()
        for record in (folder / "r" / "servers").glob("*/server.json"):
            with suppress(psutil.Error, KeyError, ValueError):
                psutil.Process(json.loads(record.read_text())["launched"]["pid"]).kill()
        remove_leftovers(folder / "r")
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_kernels_are_warm(process: LauncherProcess) -> None:
    """Until kernels are forked, which the log says at the level debug; before, they start the ordinary way."""
    deadline = time.monotonic() + PATIENCE
    while not any("template.warm" in line and "kernels.app" in line for line in process.log().splitlines()):
        assert time.monotonic() < deadline, process.log()
        time.sleep(0.1)


def remove_test_users() -> None:
    """Remove the system users that tests have made, and what they still run."""
    for entry in [entry for entry in pwd.getpwall() if entry.pw_name.startswith(USER_PREFIX)]:
        for process in psutil.process_iter(["uids"]):
            if process.info["uids"] and process.info["uids"].real == entry.pw_uid:
                with suppress(psutil.Error):
                    process.kill()
        subprocess.run(["userdel", "--remove", entry.pw_name], check=False, capture_output=True)


def launch_request(user: str = "ada", generation: int = 1, **changes: Any) -> LaunchRequest:
    """A request for *user*'s default server."""
    server_name = changes.pop("server_name", "")
    prefix = f"/user/{user}/{server_name}/".replace("//", "/")
    environment = {
        names.SERVICE_PREFIX: prefix,
        names.USER: user,
        names.SERVER_NAME: server_name,
        names.BASE_URL: "/",
        names.API_TOKEN: "secret-of-the-server",
        names.AUDIENCE: f"{user}/{server_name}",
        names.IDENTITY_KEYS: json.dumps([SIGNER.public_jwk]),
        **changes.pop("environment", {}),
    }
    fields: dict[str, Any] = {
        "key": f"{user}/{server_name}",
        "generation": generation,
        "user": user,
        "server_name": server_name,
        "system_user": f"{USER_PREFIX}{user}",
        "create_user": True,
        "home": "",
        "environment": environment,
        **changes,
    }
    return LaunchRequest(**fields)


async def launched(client: LauncherClient, request: LaunchRequest) -> Launched:
    return await client.launch(request, timeout=PATIENCE)


def shell(script: str, *, user: str = "ada", generation: int = 1, **changes: Any) -> LaunchRequest:
    """A request for a server that is a shell script."""
    return launch_request(user, generation, argv=("/bin/sh", "-c", script), **changes)


def main_process(server: Launched) -> int:
    """The pid of what was asked for: where pids are private, the first process only waits for it."""
    process = psutil.Process(server.pid)
    first = process.children()
    is_init = not list(Path(f"/proc/{server.pid}/fd").iterdir())
    return first[0].pid if is_init and first else server.pid


async def exit_of(client: LauncherClient, server: Launched) -> ExitReport:
    """How *server* ended, once it has."""

    async def look() -> ExitReport | None:
        _, report = await client.inspect(server.key)
        return report if report is not None and report.generation >= server.generation else None

    return await eventually(look)


async def end(client: LauncherClient, server: Launched, *, grace: float = 10) -> ExitReport:
    await client.terminate(server.key, server.generation, grace=grace)
    return await exit_of(client, server)


async def eventually(what: Callable[[], Awaitable[T | None]], *, within: float = PATIENCE) -> T:
    """The first true answer of *what*."""
    deadline = time.monotonic() + within
    while True:
        answer = await what()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not true within {within} s"
        await anyio.sleep(0.02)


def identity(
    user: str = "ada",
    *,
    audience: str = "",
    scope: tuple[str, ...] = FULL_ACCESS,
    sid: str = "browser-session",
    lifetime: int = 600,
    looks: Mapping[str, str] | None = None,
    signer: SigningKey = SIGNER,
) -> Mapping[str, str]:
    """The header that the proxy would send for *user*."""
    now = int(time.time())
    claims = IdentityClaims(
        sub=user,
        sid=sid,
        aud=audience or f"{user}/",
        scope=scope,
        name=user.title(),
        iat=now,
        exp=now + lifetime,
        jti="1",
        **(looks or {}),
    )
    return {IDENTITY_HEADER: signer.sign(claims.to_claims())}


def browser(server: Launched, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    """An HTTP client on the server's socket, as the proxy would pass requests on."""
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=server.socket),
        base_url="http://hub.example",
        headers=dict(headers or {}),
        timeout=PATIENCE,
    )
