"""
The two hubs, each alone on core 0: as one process that a service's token may ask everything of, over its own
socket, without its proxy in between. The proxies run on core 1, already there when a hub starts.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
from seed import fill_jupyterhub, fill_perijove

from deployments import TOKEN, _as_ordinary_user, free_port

HERE: Final = Path(__file__).resolve().parent
HUB_CORE, OTHER_CORE = 0, 1
START_TIMEOUT: Final = 300.0
_ROLE: Final = """{{
    "name": "bench", "services": ["bench"],
    "scopes": ["admin:users", "admin:servers", "access:servers", "list:users", "tokens", "read:hub"],
}}"""
_PERIJOVE: Final = """
import sys
sys.path.insert(0, {here!r})
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "spawners_perijove.TrivialSpawner"
c.JupyterHub.services = [{{"name": "bench", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [""" + _ROLE + """]
c.Perijove.hub_port = {port}
c.Perijove.state_dir = "{folder}/state"
c.Perijove.runtime_dir = "{folder}/run"
c.Perijove.cleanup_servers = False
c.Perijove.log_level = "{level}"
"""  # fmt: skip
_JUPYTERHUB: Final = """
import sys
sys.path.insert(0, {here!r})
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "spawners_jupyterhub.TrivialSpawner"
c.JupyterHub.services = [{{"name": "bench", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [""" + _ROLE + """]
c.JupyterHub.db_url = "sqlite:///{folder}/db.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/secret"
c.JupyterHub.bind_url = "http://127.0.0.1:{public}"
c.JupyterHub.hub_port = {port}
c.JupyterHub.cleanup_servers = False
c.JupyterHub.cleanup_proxy = False
c.JupyterHub.concurrent_spawn_limit = 0
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.auth_token = "{token}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{control}"
c.JupyterHub.log_level = "ERROR"
"""  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Hub:
    """One hub process that can be started and ended."""

    name: str
    version: str
    port: int
    words: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    fill: Callable[[int, int, int], None]
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, *, path: str = "/hub/api/") -> float:
        """Seconds from the start of the process to the first 200 from *path*."""
        began = time.monotonic()
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(  # type: ignore[call-overload]  # a dictionary of keyword arguments
            ["taskset", "-c", str(HUB_CORE), *self.words],
            cwd=self.folder,
            env=dict(self.environment),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            **_as_ordinary_user(self.folder),
        )
        log.close()
        while time.monotonic() - began < START_TIMEOUT:
            if self.process.poll() is not None:
                break
            if ask(self.port, path) == 200:
                return time.monotonic() - began
            time.sleep(0.005)
        sys.exit(f"{self.name} does not answer:\n{(self.folder / 'log').read_text(errors='replace')[-3000:]}")

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self.process is not None:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(self.process.pid).children(recursive=True):
                    child.kill()
            self.process.kill()
            self.process.wait()
            self.process = None

    def wait_for_children(self) -> None:
        """Until what it does beside serving is done: perijove's first start compresses JupyterLab's files."""
        time.sleep(1)
        for child in psutil.Process(self.pid).children():
            child.wait(timeout=START_TIMEOUT)


def ask(port: int, path: str, *, token: str = "", timeout: float = 5.0) -> int:
    """Status of one GET; 0 if there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    headers = {"Authorization": f"token {token}"} if token else {}
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
    except OSError:
        return 0
    finally:
        connection.close()
    return answer.status


@contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """A folder that ordinary users can pass through."""
    with tempfile.TemporaryDirectory(prefix=prefix, dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@contextmanager
def beside(words: Sequence[str], place: Path, environment: Mapping[str, str], *, port: int = 0) -> Iterator[None]:
    """A process on the other core, for as long as this is open; waits until *port* is listened at."""
    with (place / "log-beside").open("ab") as log:
        process = subprocess.Popen(  # type: ignore[call-overload]  # a dictionary of keyword arguments
            ["taskset", "-c", str(OTHER_CORE), *words],
            cwd=place,
            env=dict(environment),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            **_as_ordinary_user(place),
        )
    try:
        deadline = time.monotonic() + 30
        while port and time.monotonic() < deadline and process.poll() is None and not _listens(port):
            time.sleep(0.05)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def perijove_hub(*, python: Path, assets: Path, level: str = "error") -> Iterator[Hub]:
    """Perijove's hub, from the environment of *python*, with its proxy beside it; *assets* keeps what it makes once."""
    with folder("pj-") as place, ExitStack() as stack:
        port, public = free_port(), free_port()
        config = place / "config.py"
        config.write_text(_PERIJOVE.format(here=str(HERE), token=TOKEN, port=port, folder=place, level=level))
        for part in ("state", "state/hub", "run", "run/hub", "run/proxy"):
            (place / part).mkdir()
            _as_ordinary_user(place / part)
        (place / "state" / "hub" / "lab-assets").symlink_to(assets)
        environment = {
            "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(place),
            "LANG": "C.UTF-8",
            "CONFIGPROXY_AUTH_TOKEN": TOKEN,
            **({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}),
        }
        perijove = (str(python), "-P", "-m", "perijove")
        control = place / "run" / "proxy" / "control.sock"
        words = (*perijove, "proxy", "--port", str(public), "--api-socket", str(control), "--ip", "127.0.0.1")
        words += ("--default-target", f"http://127.0.0.1:{port}", "--workers", "1", "--log-level", "error")
        stack.enter_context(beside(words, place, environment, port=public))
        version = subprocess.run([*perijove, "--version"], capture_output=True, text=True, check=True).stdout.split()[
            -1
        ]
        database = place / "state" / "hub" / "perijove.sqlite"
        hub = Hub(
            name="perijove",
            version=version,
            port=port,
            words=(*perijove, "hub", "-f", str(config), "--Perijove.hub_user=nobody"),
            environment=environment,
            folder=place,
            fill=lambda users, active, servers: fill_perijove(database, users=users, active=active, port=servers),
        )
        stack.callback(hub.kill)
        yield hub


@contextmanager
def jupyterhub_hub(peers: Path) -> Iterator[Hub]:
    """JupyterHub's hub from *peers*, a folder made by `bench/prepare`, with its proxy beside it."""
    with folder("jh-") as place, ExitStack() as stack:
        port, public, control = free_port(), free_port(), free_port()
        config = place / "config.py"
        config.write_text(
            _JUPYTERHUB.format(here=str(HERE), token=TOKEN, port=port, public=public, control=control, folder=place)
        )
        environment = {
            "PATH": f"{peers / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(place),
            "LANG": "C.UTF-8",
            "CONFIGPROXY_AUTH_TOKEN": TOKEN,
        }
        proxy = peers / "chp" / "node_modules" / ".bin" / "configurable-http-proxy"
        words = (str(proxy), "--port", str(public), "--ip", "127.0.0.1", "--api-ip", "127.0.0.1")
        words += ("--api-port", str(control), "--default-target", f"http://127.0.0.1:{port}", "--log-level", "error")
        stack.enter_context(beside(words, place, environment, port=control))
        program = str(peers / "bin" / "jupyterhub")
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        database = place / "db.sqlite"
        hub = Hub(
            name="jupyterhub",
            version=version,
            port=port,
            words=(program, "-f", str(config)),
            environment=environment,
            folder=place,
            fill=lambda users, active, servers: fill_jupyterhub(database, users=users, active=active, port=servers),
        )
        stack.callback(hub.kill)
        yield hub
