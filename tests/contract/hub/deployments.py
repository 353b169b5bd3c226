"""
The two hubs that the contract is held against: perijove, and a JupyterHub 6.1 behind perijove's proxy.

Both are configured alike. Their servers are trivial, so that starting one takes no time: a spawner that listens
inside the hub's own process and answers 200 to everything. The server of anybody whose name has `broken` in it does
not start, and that of anybody whose name has `slow` in it takes its time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import psutil

from tests.contract.hub.client import Hub
from tests.support.site import eventually, free_port, running_site, site_folder

TOKEN: Final = "0123456789abcdef-contract"
PEER: Final = os.environ.get("PERIJOVE_TEST_PEER", "")
#: seconds that a slow server takes
SLOW_SECONDS: Final = 1.5
LAST_WORDS: Final = "the disk of notebooks is not mounted"
ROOT: Final = Path(__file__).parents[3]

_TRIVIAL: Final = f"""
import asyncio

_ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nX-JupyterHub-Version: 6.1.1\\r\\n\\r\\nok"
_SERVERS = {{}}


class Trivial(asyncio.Protocol):
    def connection_made(self, transport):
        self._transport = transport
        self._seen = b""

    def data_received(self, data):
        self._seen += data
        while b"\\r\\n\\r\\n" in self._seen:
            _, _, self._seen = self._seen.partition(b"\\r\\n\\r\\n")
            self._transport.write(_ANSWER)


async def listen(user, key):
    if "slow" in user:
        await asyncio.sleep({SLOW_SECONDS})
    if "broken" in user:
        raise RuntimeError("{LAST_WORDS}")
    server = await asyncio.get_running_loop().create_server(Trivial, "127.0.0.1", 0)
    _SERVERS[key] = server
    return server.sockets[0].getsockname()[1]


async def close(key):
    server = _SERVERS.pop(key, None)
    if server is not None:
        server.close()


def listens(key):
    return key in _SERVERS
"""

_BOTH: Final = f"""
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.allow_named_servers = True
c.JupyterHub.named_server_limit_per_user = 3
c.JupyterHub.services = [
    {{"name": "contract", "api_token": "{TOKEN}", "admin": True}},
    {{"name": "shown", "api_token": "0123456789abcdef-shown", "url": "http://127.0.0.1:9", "info": {{"a": 1}},
     # Nothing listens there, and JupyterHub waits for it.
     "timeout": 1}},
]
c.JupyterHub.load_roles = [{{"name": "contract", "services": ["contract"], "scopes": ["users:activity"]}}]
"""

_PERIJOVE: Final = """
import sys
sys.path.insert(0, {folder!r})
from trivial import close, listen, listens
from perijove.spawners.base import Spawner
from perijove.spawners.errors import SpawnFailed
from perijove.spawners.values import Running
from perijove.wire.launcher import ExitReport


class TrivialSpawner(Spawner):
    async def start(self, request):
        try:
            port = await listen(request.user, request.key)
        except RuntimeError as exc:
            raise SpawnFailed(str(exc)) from exc
        return Running(target=f"http://127.0.0.1:{{port}}", handle={{"key": request.key}})

    async def find(self, request):
        return None

    async def poll(self, handle):
        if listens(handle["key"]):
            return None
        return ExitReport(key=handle["key"], generation=0, reason="unknown", status=0, message="gone", asked=False)

    async def stop(self, handle, *, now=False):
        await close(handle["key"])
"""

_JUPYTERHUB: Final = """
import sys
sys.path.insert(0, {folder!r})
from trivial import close, listen, listens
from jupyterhub.spawner import Spawner


class TrivialSpawner(Spawner):
    async def start(self):
        return "127.0.0.1", await listen(self.user.name, self._log_name)

    async def poll(self):
        return None if listens(self._log_name) else 0

    async def stop(self, now=False):
        await close(self._log_name)


c.JupyterHub.spawner_class = TrivialSpawner
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.db_url = "sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.ConfigurableHTTPProxy.command = ["env", "PYTHONPATH={source}", "{python}", "-m", "perijove", "proxy"]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.auth_token = "{token}"
c.ConfigurableHTTPProxy.pid_file = "{folder}/proxy.pid"
"""


@contextmanager
def perijove() -> Iterator[Hub]:
    """A whole perijove."""
    with site_folder() as folder:
        (folder / "trivial.py").write_text(_TRIVIAL)
        (folder / "trivial_spawner.py").write_text(_PERIJOVE.format(folder=str(folder)))
        spawner = f"import sys\nsys.path.insert(0, {str(folder)!r})\n"
        spawner += 'c.JupyterHub.spawner_class = "trivial_spawner.TrivialSpawner"\n'
        with running_site(_BOTH + spawner) as site:
            yield Hub(kind="perijove", url=site.origin, token=TOKEN)


@contextmanager
def jupyterhub() -> Iterator[Hub]:
    """An unmodified JupyterHub; only its proxy is ours, which takes the place of a Node.js."""
    with site_folder() as folder:
        (folder / "trivial.py").write_text(_TRIVIAL)
        ports = {"port": free_port(), "hub_port": free_port(), "api_port": free_port()}
        (folder / "config.py").write_text(
            _BOTH
            + _JUPYTERHUB.format(
                folder=str(folder), source=ROOT / "src", python=sys.executable, token="0123456789abcdef-proxy", **ports
            )
        )
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [f"{PEER}/bin/jupyterhub", "-f", str(folder / "config.py")],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={"PATH": f"{PEER}/bin:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"},
            )
        url = f"http://127.0.0.1:{ports['port']}"
        try:
            eventually(lambda: _answers(url, process, log))
            yield Hub(kind="jupyterhub", url=url, token=TOKEN)
        finally:
            _end(process)


def _answers(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    # No assertion, which would be waited for in vain.
    if process.poll() is not None:
        raise RuntimeError(f"JupyterHub ended:\n{log.read_text(errors='replace')}")
    return httpx.get(f"{url}/hub/api", trust_env=False).status_code == 200


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        for left in children:
            with suppress(psutil.NoSuchProcess):
                left.kill()
    process.kill()
    process.wait(timeout=20)
