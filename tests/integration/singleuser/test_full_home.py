"""
A home without a free byte, or that may not be written: its server starts, its notebooks open, kernels run, and what
can be deleted is.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from perijove.spawners.launcher_client import LauncherClient
from perijove.wire.launcher import Launched
from tests.integration.singleuser.test_notebooks import PROGRAM, connect, execute
from tests.support.launcher import LauncherProcess, browser, end, launch_request, launched, needs_root

pytestmark = needs_root

NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "a",
            "metadata": {},
            "outputs": [],
            "source": "print(6 * 7)",
        }
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def fill(home: Path) -> None:
    """To the last byte, with a few files that nobody needs."""
    for number in range(3):
        (home / f"large-{number}").write_bytes(b"x" * 65536)
    with suppress(OSError), (home / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    for path in home.iterdir():
        path.chmod(0o666)


@pytest.fixture(params=["tmpfs", "ext4", "read-only"])
def home(request: pytest.FixtureRequest, launcher: LauncherProcess) -> Iterator[Path]:
    folder = launcher.folder / f"home-{request.param}"
    folder.mkdir(exist_ok=True)
    image = launcher.folder / "home.img"
    if request.param == "ext4":
        with image.open("wb") as file:
            file.truncate(2 * 2**20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image)], check=True)
        mount("-o", "loop", str(image), str(folder))
    else:
        mount("-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder))
    try:
        folder.chmod(0o777)
        (folder / "work.ipynb").write_text(json.dumps(NOTEBOOK))
        fill(folder)
        if request.param == "read-only":
            mount("-o", "remount,ro", str(folder))
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        image.unlink(missing_ok=True)


@pytest.fixture
async def server(client: LauncherClient, home: Path) -> AsyncIterator[Launched]:
    _, before = await client.inspect("ada/")
    generation = before.generation + 1 if before else 1
    running = await launched(client, launch_request(generation=generation, home=str(home)))
    yield running
    await end(client, running)


async def test_the_server_starts_notebooks_open_and_kernels_run(client: LauncherClient, server: Launched) -> None:
    async with browser(server, PROGRAM) as visitor:
        lab = await visitor.get("/user/ada/lab")
        settings = await visitor.get("/user/ada/lab/api/settings")
        notebook = await visitor.get("/user/ada/api/contents/work.ipynb?type=notebook&content=1")
        started = await visitor.post("/user/ada/api/kernels", json={"name": "python3"})
        assert started.status_code == 201, "\n".join(await client.log_tail(server.key, 60))
        kernel = started.json()["id"]
        async with connect(server, f"api/kernels/{kernel}/channels") as socket:
            said = await execute(socket, "print(6 * 7)")
            history = await execute(socket, "get_ipython().run_line_magic('history', '-n')")
            plotted = await execute(socket, "import tempfile; f = tempfile.TemporaryFile(); f.write(b'x'); print('ok')")
        await visitor.delete(f"/user/ada/api/kernels/{kernel}")
    log = "\n".join(await client.log_tail(server.key, 500))

    assert (lab.status_code, settings.status_code, notebook.status_code) == (200, 200, 200), log
    assert notebook.json()["content"]["cells"][0]["source"] == "print(6 * 7)"
    assert said == "42\n"
    assert "Traceback" not in history
    assert plotted == "ok\n"
    assert "Traceback" not in log, log


async def test_what_can_be_deleted_is_deleted_and_then_there_is_room(server: Launched, home: Path) -> None:
    async with browser(server, PROGRAM) as visitor:
        refused = await visitor.put(
            "/user/ada/api/contents/new.txt", json={"type": "file", "format": "text", "content": "x" * 50_000}
        )
        deleted = await visitor.delete("/user/ada/api/contents/large-1")
        saved = await visitor.put(
            "/user/ada/api/contents/new.txt", json={"type": "file", "format": "text", "content": "x" * 1000}
        )

    assert refused.status_code >= 400
    if home.name.endswith("read-only"):
        assert deleted.status_code >= 400
        assert "Permission denied" in deleted.text
    else:
        assert deleted.status_code == 204
        assert saved.is_success
        assert (home / "new.txt").stat().st_size == 1000
