"""
Starting and stopping, as an administrator sees it: what works, and what is said when it does not.
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from perijove.wire.supervision import EXIT_UNUSABLE
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import PATIENCE, Site

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that users' servers may pass through."""
    path = Path(tempfile.mkdtemp(prefix="pj-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def unstarted(folder: Path) -> Iterator[Site]:
    """A perijove that has not been started."""
    site = Site(folder, "")
    yield site
    site.close()


def refusal(site: Site) -> str:
    """Start it, see it end by itself, and answer what it said."""
    site.start(wait=False)
    assert site.wait() != 0
    return site.output


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "perijove", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=dict(os.environ),
        cwd="/",
    )


def test_a_port_in_use_is_said_with_the_way_out(unstarted: Site) -> None:
    with socket.create_server(("127.0.0.1", unstarted.port)):
        said = refusal(unstarted)

    assert f"port {unstarted.port} already" in said
    assert "--port" in said
    assert "Traceback" not in said


def test_a_state_folder_that_cannot_be_made_is_said(unstarted: Site) -> None:
    unstarted.state.write_text("in the way", encoding="utf-8")

    said = refusal(unstarted)

    assert str(unstarted.state) in said
    assert "Traceback" not in said


def test_a_broken_configuration_is_said_with_its_line(unstarted: Site) -> None:
    unstarted.config.write_text("c.Perijove.port = 8000\nc.Perijove.prot = 1\n", encoding="utf-8")

    said = refusal(unstarted)

    assert f"{unstarted.config}:2: there is no c.Perijove.prot. Did you mean c.Perijove.port?" in said
    assert unstarted.wait() == EXIT_UNUSABLE


def test_a_role_that_cannot_be_is_said_and_nothing_is_left_running(unstarted: Site) -> None:
    with unstarted.config.open("a", encoding="utf-8") as file:
        file.write('c.JupyterHub.load_roles = [{"name": "grader", "scopes": ["read:usres"]}]\n')

    said = refusal(unstarted)

    assert "grader" in said
    assert "read:usres" in said
    assert "Traceback" not in said


def test_a_database_of_a_newer_version_is_refused(unstarted: Site) -> None:
    unstarted.start()
    unstarted.interrupt()
    with closing(sqlite3.connect(unstarted.state / "hub" / "perijove.sqlite")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()

    said = refusal(unstarted)

    assert "newer version of perijove" in said
    assert "Traceback" not in said


def test_a_second_perijove_with_the_same_folders_is_refused(folder: Path) -> None:
    first = Site(folder, "")
    first.start()
    second = Site(folder, "")
    try:
        second.start(wait=False)
        second.wait()
        assert "already running" in second.output
    finally:
        first.close()


def test_help_and_the_shown_and_generated_configuration_are_printed() -> None:
    assert "--port" in command("serve", "--help").stdout
    assert "c.Perijove.port = 8000" in command("--show-config").stdout
    assert '"port": 8000' in command("--show-config-json").stdout
    assert "# c.Perijove.port = 8000" in command("--generate-config").stdout


def test_nothing_is_written_into_the_working_directory(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-P", "-m", "perijove", "--show-config"], cwd=tmp_path, capture_output=True, check=True
    )

    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_everything_in_order_and_says_so(folder: Path) -> None:
    site = Site(folder, OPEN_HOUSE)
    site.start()
    rest = Rest(site)
    rest.user("ada")
    rest.start("ada")
    pids = [site.part(name).pid for name in ("hub", "proxy", "launcher")]

    status = site.interrupt()

    assert status == 0
    words = ["Stopping the hub", "Stopping the proxy", "Stopping the launcher", "perijove has stopped"]
    places = [site.output.index(word) for word in words]
    assert places == sorted(places)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not list(site.runtime.glob("servers/*/server.json"))
    rest.close()
