"""
What a user has installed in their own site-packages, where the environment lets people have some.
"""

from __future__ import annotations

import ast
import os
import shutil
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from perijove.wire.launcher import Launched
from tests.support.kernel import ORDINARY, add_ordinary, home_of, kernel
from tests.support.launcher import (
    USER_PREFIX,
    LauncherProcess,
    browser,
    end,
    launch_request,
    launched,
    launcher_process,
    main_process,
    wait_until_kernels_are_warm,
)


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[LauncherProcess]:
    """In an environment of its own that looks at people's packages, as a system's Python does."""
    folder = Path(tempfile.mkdtemp(prefix="pj-env-", dir="/tmp"))
    folder.chmod(0o755)
    venv.create(folder, system_site_packages=True, symlinks=True)
    python = Path("lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    (folder / python / "tests.pth").write_text(sysconfig.get_path("purelib"))
    shutil.copytree(Path(sys.prefix, "share", "jupyter", "kernels"), folder / "share" / "jupyter" / "kernels")
    monkeypatch.setattr(sys, "executable", str(folder / "bin" / "python"))
    try:
        with launcher_process(own_uid=os.getuid() != 0, words=("--log-level", "debug")) as process:
            wait_until_kernels_are_warm(process)
            yield process
    finally:
        shutil.rmtree(folder)


def install(server: Launched, name: str, text: str) -> Path:
    """A module among the packages of the server's user."""
    home = home_of(server)
    folder = home / ".local" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.py"
    file.write_text(text)
    owner = psutil.Process(main_process(server)).uids().real
    for path in (file, *file.parents):
        if path == home:
            break
        os.chown(path, owner, -1)
    return folder


async def test_packages_of_ones_own_are_found_and_win_over_what_is_imported_already(launcher: LauncherProcess) -> None:
    async with launcher.client() as client:
        server = await launched(client, launch_request(system_user=f"{USER_PREFIX}packager"))
        async with browser(server) as visitor:
            await visitor.get("/user/ada/api")
        folder = install(server, "mine", "X = 42")
        async with kernel(server) as started:
            found = await started.says("import mine; print(mine.X)")
            path = ast.literal_eval(await started.says("import sys; print(sys.path)"))
            forked = (await started.process()).cmdline()
        add_ordinary(server)
        async with kernel(server, ORDINARY) as started:
            path_of_an_ordinary_one = ast.literal_eval(await started.says("import sys; print(sys.path)"))
        install(server, "usercustomize", "import builtins; builtins.CUSTOM = 'ours'")
        async with kernel(server) as started:
            shadowing = await started.says("print(CUSTOM)")
            own = await started.process()
            command, parent = own.cmdline(), own.ppid()
            interrupted = await started.post("interrupt")
        await end(client, server, grace=0)

    assert found == "42"
    assert str(folder) in path
    assert path == path_of_an_ordinary_one
    assert "perijove.launcher.template" in forked
    assert shadowing == "ours"
    # The same process, and an interpreter of its own in its place.
    assert command[1:3] == ["-m", "ipykernel_launcher"]
    assert parent == launcher.pid
    assert interrupted == 204
