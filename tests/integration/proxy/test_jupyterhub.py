"""
An unmodified JupyterHub 6.1 with this proxy for its own: somebody signs in, starts a server and runs a cell; also
with TLS everywhere, as `internal_ssl` has it.

JupyterHub lives in an environment without anything of ours (`script/environment peer`, named by PERIJOVE_TEST_PEER).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import sys
import uuid
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect

from tests.integration.proxy.support import PATIENCE, TOKEN, listening
from tests.support.certificates import Authority

SOURCE = Path(__file__).parents[3] / "src"
PEER = os.environ.get("PERIJOVE_TEST_PEER", "")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
pytestmark = [
    pytest.mark.skipif(not PEER, reason="JupyterHub is not here: PERIJOVE_TEST_PEER=$(script/environment peer)"),
    pytest.mark.timeout(180),
]

CONFIG = """
c.JupyterHub.bind_url = "{scheme}://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.db_url = "sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.last_activity_interval = 2
c.Authenticator.allow_all = True
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/home-{{username}}"
c.Spawner.args = ["--allow-root"]
c.Spawner.environment = {{"JUPYTERHUB_SINGLEUSER_APP": "jupyter_server.serverapp.ServerApp"}}
c.ConfigurableHTTPProxy.command = ["env", "PYTHONPATH={source}", "{python}", "-m", "perijove", "proxy"]
c.ConfigurableHTTPProxy.api_url = "{scheme}://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.auth_token = "{token}"
c.ConfigurableHTTPProxy.pid_file = "{folder}/proxy.pid"
c.ConfigurableHTTPProxy.check_running_interval = 1
"""


@dataclass
class Site:
    """A running JupyterHub."""

    folder: Path
    port: int
    api_port: int
    process: Process
    #: whom browsers trust; None: all is plain HTTP
    tls: ssl.SSLContext | None

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def browser(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.url, follow_redirects=True, timeout=PATIENCE, verify=self.tls or True, trust_env=False
        )

    def control(self) -> httpx.AsyncClient:
        """A client of the proxy's control API, as the hub is one."""
        trust: ssl.SSLContext | bool = True
        if self.tls:
            certificates = self.folder / "internal-ssl"
            trust = ssl.create_default_context(cafile=str(certificates / "hub-ca_trust.crt"))
            own = certificates / "hub-internal" / "hub-internal"
            trust.load_cert_chain(own.with_suffix(".crt"), own.with_suffix(".key"))
        return httpx.AsyncClient(
            base_url=f"{self.scheme}://127.0.0.1:{self.api_port}",
            headers={"Authorization": f"token {TOKEN}"},
            verify=trust,
            trust_env=False,
        )

    def proxy(self) -> psutil.Process:
        """The proxy that the hub has started."""
        return psutil.Process(int((self.folder / "proxy.pid").read_text().split()[0]))

    def proxies(self) -> list[psutil.Process]:
        """Every proxy of this site, whoever has started it."""
        mine = f"--api-port {self.api_port} "
        return [one for one in psutil.process_iter(["cmdline"]) if mine in " ".join(one.info["cmdline"] or [])]

    async def routes(self) -> dict[str, Any]:
        async with self.control() as client:
            answer = await client.get("/api/routes")
        found: dict[str, Any] = answer.json()
        return found

    async def restored_after(self, killed: psutil.Process) -> dict[str, Any]:
        """The routes of the proxy that the hub starts instead of *killed*, when all are there."""
        async with asyncio.timeout(PATIENCE * 2):
            while True:
                await asyncio.sleep(0.1)
                try:
                    routes = await self.routes()
                except httpx.TransportError:
                    continue
                if len(routes) > 1 and self.proxy().pid != killed.pid:
                    return routes

    async def until(self, client: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
        """Ask for *path* until the answer is *status*."""
        async with asyncio.timeout(PATIENCE * 2):
            while True:
                try:
                    answer = await client.get(path)
                except httpx.TransportError:
                    pass
                else:
                    if answer.status_code == status:
                        return answer
                assert self.process.returncode is None, self.log()
                await asyncio.sleep(0.1)

    def log(self) -> str:
        return (self.folder / "log").read_text()


def free_port() -> int:
    with listening() as sock:
        port: int = sock.getsockname()[1]
        return port


@asynccontextmanager
async def jupyterhub(folder: Path, more: str = "", *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """JupyterHub as somebody would start it, ended with all that it has started; *more* is the end of its settings."""
    ports = {"port": free_port(), "hub_port": free_port(), "api_port": free_port()}
    (folder / "home-ada").mkdir()
    (folder / "home-ada" / "hello.txt").write_text("hello")
    (folder / "jupyterhub_config.py").write_text(
        CONFIG.format(
            folder=folder, source=SOURCE, python=sys.executable, token=TOKEN, scheme="https" if tls else "http", **ports
        )
        + more
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PATH"] = f"{PEER}/bin:{environment['PATH']}"
    with (folder / "log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(
            f"{PEER}/bin/python", "-m", "jupyterhub", "-f", "jupyterhub_config.py",
            cwd=folder, env=environment, stdin=DEVNULL, stdout=log, stderr=STDOUT,
        )  # fmt: skip
    site = Site(folder=folder, port=ports["port"], api_port=ports["api_port"], process=child, tls=tls)
    try:
        yield site
    finally:
        family = psutil.Process(child.pid).children(recursive=True) if child.returncode is None else []
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(PATIENCE):
                    await child.wait()
            except TimeoutError:
                child.kill()
        # A hub that ends can have started one more proxy while it ended the last.
        for left in [*family, *site.proxies()]:
            if left.is_running():
                left.kill()


async def sign_in(client: httpx.AsyncClient) -> None:
    page = await client.get("/hub/login")
    xsrf = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
    assert xsrf is not None
    form = {"username": "ada", "password": "x", "_xsrf": xsrf[1]}
    answer = await client.post("/hub/login", data=form)
    assert "/hub/login" not in str(answer.url)


async def start_server(site: Site, client: httpx.AsyncClient) -> None:
    """As the browser does: ask for it, wait, be sent there through the hub's OAuth."""
    await client.get("/hub/spawn")
    async with asyncio.timeout(PATIENCE * 2):
        while "/user/ada" not in await site.routes():  # noqa: ASYNC110  # the hub tells nobody
            await asyncio.sleep(0.1)
    page = await client.get("/user/ada/files/hello.txt", headers={"Accept": "text/html"})
    assert page.text == "hello"
    assert any("/hub/api/oauth2/authorize" in str(hop.url) for hop in page.history)
    await site.until(client, "/user/ada/api/status", 200)


async def run_cell(site: Site, client: httpx.AsyncClient, code: str) -> str:
    """Start a kernel, run *code* over its WebSocket; what it printed."""
    xsrf = next(cookie.value for cookie in client.cookies.jar if cookie.name == "_xsrf" and "/user/" in cookie.path)
    made = await client.post("/user/ada/api/kernels", headers={"X-XSRFToken": xsrf or ""}, json={})
    assert made.status_code == 201, made.text
    message_id = uuid.uuid4().hex
    message: dict[str, Any] = {
        "header": {"msg_id": message_id, "msg_type": "execute_request", "session": "s", "username": "ada",
                   "version": "5.3", "date": "2026-01-01T00:00:00Z"},
        "parent_header": {}, "metadata": {}, "channel": "shell", "buffers": [],
        "content": {"code": code, "silent": False, "store_history": True, "user_expressions": {},
                    "allow_stdin": False, "stop_on_error": True},
    }  # fmt: skip
    cookies = "; ".join(
        f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar if "/user/ada/x".startswith(cookie.path)
    )
    url = f"{site.url.replace('http', 'ws', 1)}/user/ada/api/kernels/{made.json()['id']}/channels"
    headers = {"Cookie": cookies}
    async with connect(url, additional_headers=headers, origin=site.url, ssl=site.tls) as socket:  # type: ignore[arg-type]
        await socket.send(json.dumps(message))
        async with asyncio.timeout(PATIENCE):
            while True:
                reply = json.loads(await socket.recv())
                if (
                    reply["msg_type"] == "stream"
                    and reply["parent_header"].get("msg_id") == message["header"]["msg_id"]
                ):
                    return str(reply["content"]["text"])


async def test_jupyterhub_runs_on_this_proxy(tmp_path: Path) -> None:
    """
    One story, because starting JupyterHub takes longer than all of it.
    """
    async with (
        jupyterhub(tmp_path) as site,
        site.browser() as client,
    ):
        await site.until(client, "/hub/login", 200)
        # the program that serves is ours
        command = " ".join(site.proxy().cmdline())
        await sign_in(client)
        await start_server(site, client)
        printed = await run_cell(site, client, "print(6 * 7)")
        routes = await site.routes()

        async with site.control() as control:
            await control.post("/api/routes/down", json={"target": "http://127.0.0.1:1"})
        down = await client.get("/down/x", headers={"Accept": "text/html"})

        before = site.proxy()
        before.kill()
        restored = await site.restored_after(before)
        await site.until(client, "/user/ada/api/status", 200)
        again = await run_cell(site, client, "print('again')")

    assert "perijove proxy" in command
    assert printed == "42\n"
    assert sorted(routes) == ["/", "/user/ada"]
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", route["last_activity"]) for route in routes.values()
    )
    assert routes["/user/ada"]["last_activity"] > routes["/"]["last_activity"]
    assert (routes["/user/ada"]["user"], routes["/user/ada"]["jupyterhub"]) == ("ada", True)
    assert down.status_code == 503
    assert "Service Unavailable" in down.text
    assert "JupyterHub" in down.text
    assert sorted(restored) == ["/", "/user/ada"]
    assert again == "again\n"


async def test_jupyterhub_with_internal_ssl_runs_on_this_proxy(tmp_path: Path) -> None:
    """
    Browser, hub, servers and control API all speak TLS, and show each other certificates.
    """
    authority = Authority(tmp_path)
    files = authority.issue("127.0.0.1")
    more = (
        "c.JupyterHub.internal_ssl = True\n"
        # Absolute: servers look for theirs from their homes.
        f"c.JupyterHub.internal_certs_location = {str(tmp_path / 'internal-ssl')!r}\n"
        f"c.JupyterHub.ssl_cert = {str(files.cert)!r}\nc.JupyterHub.ssl_key = {str(files.key)!r}\n"
    )
    async with jupyterhub(tmp_path, more, tls=authority.client()) as site, site.browser() as client:
        await site.until(client, "/hub/login", 200)
        command = " ".join(site.proxy().cmdline())
        await sign_in(client)
        await start_server(site, client)
        printed = await run_cell(site, client, "print(6 * 7)")
        routes = await site.routes()
        with pytest.raises(httpx.TransportError):
            async with httpx.AsyncClient(verify=False, trust_env=False) as stranger:
                await stranger.get(f"https://127.0.0.1:{site.api_port}/api/routes")
        missing = await client.get("/nowhere/x", headers={"Accept": "text/html"})

    assert "perijove proxy" in command
    assert "--client-ssl-reject-unauthorized" in command
    assert printed == "42\n"
    assert all(route["target"].startswith("https://") for route in routes.values())
    assert sorted(routes) == ["/", "/user/ada"]
    assert "JupyterHub" in missing.text
