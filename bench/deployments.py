"""
Starts perijove and JupyterHub for the benchmarks, each on free ports of loopback, each as an ordinary user.

Both sign people in with their `dummy` authenticator and run every server under one uid; both have one service
whose token may do everything. Nothing is measured here.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TOKEN = "0123456789abcdef0123456789abcdef"
START_TIMEOUT = 60.0
#: whom the deployments run as when the benchmark is started by root
ORDINARY_USER = "nobody"

PERIJOVE_CONFIG = """
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.services = [{{"name": "bench", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [{{
    "name": "bench", "services": ["bench"],
    "scopes": ["admin:users", "admin:servers", "access:servers", "tokens", "read:hub"],
}}]
c.Perijove.log_level = "warning"
"""

JUPYTERHUB_CONFIG = """
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/home-{{username}}"
c.Spawner.default_url = "/lab"
c.Spawner.http_timeout = 120
c.Spawner.start_timeout = 120
c.JupyterHub.services = [{{"name": "bench", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [{{
    "name": "bench", "services": ["bench"],
    "scopes": ["admin:users", "admin:servers", "access:servers", "tokens", "read:hub"],
}}]
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.command = ["{proxy}"]
c.JupyterHub.log_level = "WARN"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A deployment that answers."""

    name: str
    version: str
    origin: str
    folder: Path
    pid: int
    token: str = TOKEN


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _as_ordinary_user(folder: Path) -> dict[str, object]:
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(ORDINARY_USER)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@contextmanager
def _deployment(name: str, version: str, words: list[str], folder: Path, port: int) -> Iterator[Running]:
    environment = {
        "PATH": f"{Path(words[0]).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "XDG_RUNTIME_DIR": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        **({"PYTHONPATH": os.environ["PYTHONPATH"]} if name == "perijove" and "PYTHONPATH" in os.environ else {}),
    }
    log = (folder / "log").open("wb")
    process = subprocess.Popen(  # type: ignore[call-overload]  # a dictionary of keyword arguments
        words,
        cwd=folder,
        env=environment,
        stdout=log,
        stderr=log,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        **_as_ordinary_user(folder),
    )
    origin = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{origin}/hub/health", process, folder / "log")
        yield Running(name=name, version=version, origin=origin, folder=folder, pid=process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=60)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    sys.exit(f"{url} does not answer:\n{log.read_text(errors='replace')[-3000:]}")


@contextmanager
def perijove(configuration: str = "") -> Iterator[Running]:
    """Perijove of this interpreter's environment, with more *configuration*."""
    with tempfile.TemporaryDirectory(prefix="pj-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        port = free_port()
        config = folder / "config.py"
        config.write_text(PERIJOVE_CONFIG.format(token=TOKEN) + configuration)
        words = [sys.executable, "-m", "perijove", "-f", str(config), "--port", str(port)]
        words += [f"--Perijove.hub_port={free_port()}"]
        version = subprocess.run(
            [sys.executable, "-m", "perijove", "--version"], capture_output=True, text=True, check=True
        ).stdout.split()[-1]
        with _deployment("perijove", version, words, folder, port) as running:
            yield running


@contextmanager
def jupyterhub(environment: Path) -> Iterator[Running]:
    """JupyterHub from *environment*, a folder made by `bench/prepare`."""
    with tempfile.TemporaryDirectory(prefix="jh-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        port = free_port()
        proxy = environment / "chp" / "node_modules" / ".bin" / "configurable-http-proxy"
        config = folder / "config.py"
        config.write_text(
            JUPYTERHUB_CONFIG.format(
                token=TOKEN, port=port, hub_port=free_port(), api_port=free_port(), proxy=proxy, folder=folder
            )
        )
        program = environment / "bin" / "jupyterhub"
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        with _deployment("jupyterhub", version, [str(program), "-f", str(config)], folder, port) as running:
            yield running


def node() -> str:
    """Node.js, which JupyterHub's default proxy runs on."""
    return shutil.which("node") or sys.exit("Node.js is not installed; JupyterHub's default proxy needs it")
