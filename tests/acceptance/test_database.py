"""
`perijove db` beside, and between, real deployments.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.postgres import running_postgres
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import PATIENCE, Site, eventually, running_site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(240)


def db(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `perijove db` with the configuration of *site*."""
    command = [sys.executable, "-P", "-m", "perijove", "db", *words, "-f", str(site.config)]
    return subprocess.run(
        command, env=dict(site.environ), cwd="/", check=False, capture_output=True, text=True, timeout=PATIENCE
    )


def test_a_deployment_moves_to_postgresql_and_nobody_has_to_sign_in_again(tmp_path: Path) -> None:
    """
    Backed up while it runs, by root although the hub's files are the hub's, and put back into another kind of database.
    """
    file = tmp_path / "perijove.gz"
    with (
        running_postgres() as server,
        running_site(OPEN_HOUSE) as site,
        Visitor(site, "ada") as ada,
        Rest(site) as rest,
    ):
        assert ada.sign_in().status_code == 200
        eventually(lambda: ada.get("/user/ada/api/status").status_code == 200)

        made = db(site, "backup", str(file))
        again = db(site, "backup", str(file))
        busy = db(site, "restore", str(file), "--force")

        assert (made.returncode, made.stderr) == (0, "")
        assert "1 users" in made.stdout
        assert file.stat().st_mode & 0o777 == 0o600
        assert (again.returncode, again.stderr) == (1, f"perijove db: {file} cannot be made: File exists.\n")
        assert busy.returncode == 1
        assert "Stop it first" in busy.stderr or "stop perijove first" in busy.stderr

        site.interrupt()
        site.add(f"c.Perijove.db_url = {server.url(server.create())!r}")
        restored = db(site, "restore", str(file))
        checked = db(site, "check")

        assert (restored.returncode, restored.stderr) == (0, "")
        assert (checked.returncode, checked.stdout) == (0, "Nothing is wrong.\n")

        site.start()
        assert ada.get("/hub/home").url.path == "/hub/home"
        assert [user["name"] for user in rest("GET", "/hub/api/users").json()] == ["ada"]


def test_what_cannot_be_is_a_sentence_and_a_status(tmp_path: Path) -> None:
    with running_site() as site:
        site.interrupt()
        no_backup = tmp_path / "no.gz"
        no_backup.write_text("not a backup")

        damaged = db(site, "restore", str(no_backup), "--force")
        missing = db(site, "restore", str(tmp_path / "missing.gz"))
        misspelt = db(site, "check", "--Perijove.db_ulr=x")
        away = db(site, "check", "--Perijove.db_url=postgresql://hub@127.0.0.1:1/x")

    assert (damaged.returncode, damaged.stderr) == (
        1,
        "perijove db: The file is no backup of perijove, or is damaged.\n",
    )
    assert (missing.returncode, missing.stderr) == (
        1,
        f"perijove db: {tmp_path / 'missing.gz'} cannot be read: No such file or directory.\n",
    )
    assert (misspelt.returncode, "Did you mean c.Perijove.db_url?" in misspelt.stderr) == (78, True)
    assert (away.returncode, "Connection refused" in away.stderr) == (1, True)
