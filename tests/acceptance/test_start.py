"""
Starting and stopping, as an administrator sees it: what works, and what is said when it does not.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from perijove.wire.supervision import EXIT_UNUSABLE
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import PATIENCE, Site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(120)


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


def plain(said: str) -> str:
    """What was said, if it is for people: no trace, and nothing from a part that had been started."""
    assert "Traceback" not in said
    assert "launcher.ready" not in said
    assert "Stopping" not in said
    return said


@pytest.mark.parametrize(("trait", "option"), [("port", "--port"), ("hub_port", "--Perijove.hub_port")])
def test_a_port_in_use_is_said_with_the_way_out(trait: str, option: str, unstarted: Site) -> None:
    port = getattr(unstarted, trait)
    with socket.create_server(("127.0.0.1", port)):
        said = plain(refusal(unstarted))

    assert f"port {port} already" in said
    assert option in said


def test_a_state_folder_that_cannot_be_made_is_said(unstarted: Site) -> None:
    unstarted.state.write_text("in the way", encoding="utf-8")

    assert str(unstarted.state) in plain(refusal(unstarted))


def test_a_runtime_folder_with_too_long_a_path_is_said(unstarted: Site) -> None:
    """
    A socket's path has room for 107 bytes; the system's own message would be no help.
    """
    unstarted.add(f"c.Perijove.runtime_dir = {str(unstarted.folder / ('x' * 100))!r}")

    said = plain(refusal(unstarted))

    assert "too long for a socket" in said
    assert "runtime_dir" in said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("c.Perijove.prot = 1", "there is no c.Perijove.prot. Did you mean c.Perijove.port?"),
        ("c.JupyterHub.load_roles = [{'name': 'grader', 'scopes': ['read:usres']}]", "read:usres"),
    ],
)
def test_a_broken_configuration_is_said_with_its_line_before_anything_runs(
    line: str, message: str, unstarted: Site
) -> None:
    """
    What else can be broken in it is in the unit tests of `cli/configuration.py`.
    """
    unstarted.config.write_text(f"c.Perijove.log_level = 'info'\n{line}\n", encoding="utf-8")

    said = plain(refusal(unstarted))

    assert said.startswith(f"perijove: {unstarted.config}:2: ")
    assert message in said
    assert unstarted.wait() == EXIT_UNUSABLE
    assert not unstarted.state.exists()


def test_a_configuration_file_that_is_not_there_is_said(unstarted: Site) -> None:
    unstarted.config.unlink()

    assert f"perijove: {unstarted.config}: No such file or directory" in plain(refusal(unstarted))


def test_a_database_that_cannot_be_used_is_said_and_left_as_it_is(unstarted: Site) -> None:
    """
    From a newer version, and damaged: a restart would be no use, and a repair is not ours to try.
    """
    unstarted.start()
    unstarted.interrupt()
    file = unstarted.state / "hub" / "perijove.sqlite"
    with closing(sqlite3.connect(file)) as database:
        # As a revision leaves it that this version cannot live with; with one that only adds, it may.
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.execute("UPDATE facts SET value = '9999' WHERE name = 'schema.oldest_code'")
        database.commit()
    newer = file.read_bytes()

    from_newer = refusal(unstarted)
    after_newer = file.read_bytes()
    file.write_bytes(b"no database at all" * 1000)
    damaged = refusal(unstarted)

    assert "newer version of perijove" in from_newer
    assert after_newer == newer
    assert "damaged or is no SQLite database" in damaged
    assert str(file) in damaged
    assert "Traceback" not in damaged
    assert damaged.count("part.died") == 0
    assert file.read_bytes() == b"no database at all" * 1000
    assert unstarted.wait() == EXIT_UNUSABLE


def test_a_clock_that_is_wrong_is_said_and_signs_nobody_out(unstarted: Site) -> None:
    """
    A database from the future is a clock that stands in the past.
    """
    unstarted.add(OPEN_HOUSE)
    unstarted.start()
    with Visitor(unstarted, "ada") as person:
        person.sign_in()
        unstarted.interrupt()
        assert "Warning" not in unstarted.output
        with closing(sqlite3.connect(unstarted.state / "hub" / "perijove.sqlite")) as database:
            database.execute("UPDATE users SET last_activity = '2199-01-01 00:00:00.000000'")
            database.commit()

        unstarted.start()

        assert "Warning: The clock of this machine says" in unstarted.output
        assert "2199-01-01 00:00 UTC" in unstarted.output
        assert person.get("/hub/home").url.path == "/hub/home"


def test_a_second_perijove_with_the_same_folders_is_refused(site: Site) -> None:
    second = Site(site.folder, "", name="second")

    said = plain(refusal(second))

    assert f"already running with {site.runtime} (process {site.pid})" in said


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


def test_ctrl_c_ends_everything_in_order_and_says_so(unstarted: Site) -> None:
    site = unstarted
    site.add(OPEN_HOUSE)
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
