"""
What people come for: pages, files, kernels and terminals, on a real server.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.asyncio.client import connect as connection

from perijove.spawners.launcher_client import LauncherClient
from perijove.wire.environment import LAUNCH
from perijove.wire.launcher import Launched
from tests.support.launcher import (
    browser,
    end,
    eventually,
    identity,
    launch_request,
    launched,
    main_process,
    needs_root,
)

PAGE_CONFIG = re.compile(r'<script id="jupyter-config-data"[^>]*>(.*?)</script>', re.DOTALL)
#: Made when the suite is collected, used when its turn comes.
PROGRAM = identity(sid="token:1", lifetime=24 * 3600)


def page_config(html: str) -> dict[str, Any]:
    match = PAGE_CONFIG.search(html)
    assert match is not None
    config: dict[str, Any] = json.loads(match[1])
    return config


async def home_of(server: Launched) -> Path:
    """
    Where it is at home, once it is there.

    Before that it is at the root of the file system, whose mode no test may change.
    """

    async def look() -> Path | None:
        found = Path(psutil.Process(server.pid).cwd())
        return None if found == Path("/") else found

    return await eventually(look)


def connect(server: Launched, path: str) -> connection:
    return unix_connect(
        server.socket, uri=f"ws://hub.example/user/ada/{path}", additional_headers=dict(PROGRAM), max_size=2**24
    )


async def execute(socket: ClientConnection, code: str) -> str:
    """Run *code* in a kernel and answer what it prints."""
    number = uuid.uuid4().hex
    header = {"msg_id": number, "msg_type": "execute_request", "session": "s", "username": "", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    await socket.send(
        json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"})
    )
    printed = ""
    async with asyncio.timeout(30):
        while True:
            message = json.loads(await socket.recv())
            if message["parent_header"].get("msg_id") != number:
                continue
            if message["msg_type"] == "stream":
                printed += message["content"]["text"]
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return printed


@pytest.mark.parametrize("path", ["lab", "tree"])
async def test_pages_know_the_hub(server: Launched, path: str) -> None:
    """
    JupyterLab makes its control panel, log out and restart links from these.
    """
    async with browser(server, identity()) as visitor:
        config = page_config((await visitor.get(f"/user/ada/{path}")).text)

    assert config["baseUrl"] == "/user/ada/"
    assert (config["hubUser"], config["hubServerUser"], config["hubServerName"]) == ("ada", "ada", "")
    assert (config["hubPrefix"], config["hubHost"], config["shareUrl"]) == ("/hub/", "", "/hub/user-redirect")
    assert config["token"] == ""
    assert "@jupyterlab/apputils-extension:announcements" in config["disabledExtensions"]
    assert config["fullStaticUrl"] == f"/user/ada/static/{'lab' if path == 'lab' else 'notebook'}"


async def test_shared_assets_are_used_where_there_are_some(client: LauncherClient) -> None:
    assets = {"PERIJOVE_LAB_ASSETS_URL": "/hub/assets/lab/", "PERIJOVE_NOTEBOOK_ASSETS_URL": "/hub/assets/notebook"}
    request = launch_request(server_name="assets", environment={**assets, "PERIJOVE_AUDIENCE": "ada/"})
    server = await launched(client, request)

    async with browser(server, identity()) as visitor:
        lab = page_config((await visitor.get("/user/ada/assets/lab")).text)
        tree = page_config((await visitor.get("/user/ada/assets/tree")).text)
    await end(client, server)

    assert lab["fullStaticUrl"] == "/hub/assets/lab"
    assert tree["fullStaticUrl"] == "/hub/assets/notebook"
    assert lab["hubServerName"] == "assets"


async def test_a_kernel_computes_and_outlives_its_visitor(server: Launched) -> None:
    async with browser(server, PROGRAM) as visitor:
        kernel = (await visitor.post("/user/ada/api/kernels", json={"name": "python3"})).json()["id"]
    async with connect(server, f"api/kernels/{kernel}/channels") as socket:
        await execute(socket, "answer = 6 * 7")
    async with connect(server, f"api/kernels/{kernel}/channels") as socket:
        printed = await execute(socket, "print(answer)")
        transport = await execute(
            socket, "import ipykernel.connect as c, json; print(json.loads(c.get_connection_info())['transport'])"
        )
        secret = await execute(socket, "import os; print(os.environ.get('SECRET_OF_THE_LAUNCHER'))")

    assert printed == "42\n"
    assert transport == "ipc\n"
    assert secret == "None\n"


async def test_no_kernel_survives_its_server(client: LauncherClient) -> None:
    server = await launched(client, launch_request(server_name="kernels", environment={"PERIJOVE_AUDIENCE": "ada/"}))
    async with browser(server, PROGRAM) as visitor:
        await visitor.post("/user/ada/kernels/api/kernels", json={"name": "python3"})
    marker = psutil.Process(main_process(server)).environ()[LAUNCH]
    # Forked, it is no child of its server's.
    kernels = [process for process in psutil.process_iter() if marker_of(process) == marker]

    await end(client, server, grace=0)

    assert len(kernels) > 1
    assert not any(kernel.is_running() for kernel in kernels)


def marker_of(process: psutil.Process) -> str:
    try:
        return process.environ().get(LAUNCH, "")
    except psutil.Error:
        return ""


async def test_saving_writes_a_notebook_file(server: Launched) -> None:
    content = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    async with browser(server, PROGRAM) as visitor:
        saved = await visitor.put("/user/ada/api/contents/n.ipynb", json={"type": "notebook", "content": content})
    home = await home_of(server)

    assert saved.status_code in {200, 201}
    assert json.loads((home / "n.ipynb").read_text())["nbformat"] == 4


async def test_what_a_user_arranges_and_sets_is_kept_at_home(server: Launched) -> None:
    """
    JupyterLab finds out where that is when it is imported: in the template, which has no home.
    """
    workspace = {"data": {}, "metadata": {"id": "default"}}
    setting = {"raw": '{"theme": "JupyterLab Dark"}'}
    async with browser(server, PROGRAM) as visitor:
        arranged = await visitor.put("/user/ada/lab/api/workspaces/default", json=workspace)
        url = "/user/ada/lab/api/settings/@jupyterlab/apputils-extension:themes"
        set_ = await visitor.put(url, json=setting)
    lab = await home_of(server) / ".jupyter" / "lab"

    assert (arranged.status_code, set_.status_code) == (204, 204)
    assert list((lab / "workspaces").iterdir())
    assert "Dark" in (lab / "user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings").read_text()


async def test_a_deleted_file_is_in_the_users_own_trash(server: Launched) -> None:
    async with browser(server, PROGRAM) as visitor:
        file = {"type": "file", "format": "text", "content": "not needed"}
        await visitor.put("/user/ada/api/contents/old.txt", json=file)
        deleted = await visitor.delete("/user/ada/api/contents/old.txt")
    home = await home_of(server)

    assert deleted.status_code == 204
    assert not (home / "old.txt").exists()
    assert list((home / ".local/share/Trash/files").glob("old*.txt"))


async def test_the_export_formats_are_those_of_nbconvert(server: Launched) -> None:
    """
    Ours is in the place of Jupyter Server's handler, which takes a third of a second each time.
    """
    async with browser(server, PROGRAM) as visitor:
        formats = (await visitor.get("/user/ada/api/nbconvert")).json()
    async with browser(server) as stranger:
        refused = await stranger.get("/user/ada/api/nbconvert")

    assert formats["html"] == {"output_mimetype": "text/html"}
    assert {"notebook", "python", "markdown", "latex", "pdf"} <= set(formats)
    assert refused.status_code == 403


async def test_terminals_run_commands(server: Launched) -> None:
    async with browser(server, PROGRAM) as visitor:
        name = (await visitor.post("/user/ada/api/terminals")).json()["name"]
    seen = ""
    async with connect(server, f"terminals/websocket/{name}") as socket, asyncio.timeout(30):
        await socket.send(json.dumps(["stdin", "echo $((6*7))from-a-terminal\r"]))
        while "42from-a-terminal" not in seen:
            kind, *rest = json.loads(await socket.recv())
            seen += rest[0] if kind == "stdout" else ""

    assert "42from-a-terminal" in seen


async def test_ten_servers_start_together_and_draw_different_numbers(client: LauncherClient) -> None:
    """
    They are copies of one process: ids and random numbers must not be.
    """
    requests = [launch_request(server_name=f"s{n}", environment={"PERIJOVE_AUDIENCE": "ada/"}) for n in range(10)]
    servers = await asyncio.gather(*(launched(client, request) for request in requests))

    async def xsrf(server: Launched, name: str) -> str:
        async with browser(server, identity()) as visitor:
            await visitor.get(f"/user/ada/{name}/lab")
            return visitor.cookies["_xsrf"]

    tokens = await asyncio.gather(*(xsrf(server, f"s{n}") for n, server in enumerate(servers)))
    await asyncio.gather(*(end(client, server) for server in servers))

    assert len(set(tokens)) == 10


async def test_activity_is_reported_to_the_hub(client: LauncherClient) -> None:
    reports: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    async def hub(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        assert length is not None
        await reports.put((head, json.loads(await reader.readexactly(int(length[1])))))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(hub, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}/hub/api/users/ada/activity"
    request = launch_request(server_name="active", environment={"JUPYTERHUB_ACTIVITY_URL": url})
    async with listener:
        server = await launched(client, request)
        head, body = await asyncio.wait_for(reports.get(), 20)
        await end(client, server)

    assert head.startswith("POST /hub/api/users/ada/activity ")
    assert "Authorization: token secret-of-the-server" in head
    assert set(body) == {"servers", "last_activity"}
    assert body["servers"]["active"]["last_activity"] == body["last_activity"]


async def test_a_server_by_exec_behaves_the_same(client: LauncherClient) -> None:
    """
    Another Python environment is started with `python -m perijove.singleuser`.
    """
    source = str(Path(__file__).parents[3] / "src")
    request = launch_request(
        server_name="exec",
        argv=("python", "-m", "perijove.singleuser"),
        environment={"PYTHONPATH": source, "PERIJOVE_AUDIENCE": "ada/"},
    )
    server = await launched(client, request)
    async with browser(server, identity()) as visitor:
        answer = await visitor.get("/user/ada/exec/api/me")
    await end(client, server)

    assert answer.status_code == 200


async def test_user_configuration_can_be_disregarded(client: LauncherClient, server: Launched) -> None:
    home = await home_of(server)
    (home / ".jupyter").mkdir(exist_ok=True)
    (home / ".jupyter" / "jupyter_server_config.py").write_text("raise SystemExit(9)\n")
    if os.getuid() == 0:
        (home / ".jupyter").chmod(0o755)
        (home / ".jupyter" / "jupyter_server_config.py").chmod(0o644)
    request = launch_request(
        server_name="strict", environment={"JUPYTERHUB_DISABLE_USER_CONFIG": "1", "PERIJOVE_AUDIENCE": "ada/"}
    )
    try:
        strict = await launched(client, request)
        async with browser(strict) as visitor:
            answer = await visitor.get("/user/ada/strict/api")
        await end(client, strict)
    finally:
        (home / ".jupyter" / "jupyter_server_config.py").unlink()

    assert answer.status_code == 200


@pytest.mark.parametrize("_root", [pytest.param("", marks=needs_root)])
async def test_a_home_that_cannot_be_written_stops_no_server(
    client: LauncherClient, server: Launched, _root: str
) -> None:
    home = await home_of(server)
    await end(client, server)
    _, before = await client.inspect(server.key)
    assert before is not None
    owner = home.stat().st_uid
    os.chown(home, 0, 0)
    home.chmod(0o555)
    try:
        readonly = await launched(client, launch_request(generation=before.generation + 1))
        async with browser(readonly, PROGRAM) as visitor:
            page = await visitor.get("/user/ada/lab")
            listing = await visitor.get("/user/ada/api/contents")
            kernel = await visitor.post("/user/ada/api/kernels", json={"name": "python3"})
            refused = await visitor.post("/user/ada/api/contents", json={"type": "notebook"})
        await end(client, readonly)
    finally:
        home.chmod(0o700)
        os.chown(home, owner, -1)

    assert [page.status_code, listing.status_code, kernel.status_code] == [200, 200, 201]
    assert refused.status_code in {403, 500}


async def test_the_file_browser_begins_where_the_hub_says(client: LauncherClient) -> None:
    request = launch_request(
        server_name="root", environment={"JUPYTERHUB_ROOT_DIR": "/usr/share", "PERIJOVE_AUDIENCE": "ada/"}
    )
    elsewhere = await launched(client, request)

    async def names() -> set[str]:
        async with browser(elsewhere, PROGRAM) as visitor:
            return {entry["name"] for entry in (await visitor.get("/user/ada/root/api/contents")).json()["content"]}

    found = await eventually(names)
    await end(client, elsewhere)

    assert "doc" in found
