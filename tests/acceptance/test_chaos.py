from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support.rest import OPEN_HOUSE, TOKEN
from tests.support.site import Site, running_site, unstarted_site


def chaos(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command on *site*, as its administrator would."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "perijove", "chaos", "-f", str(site.config), *words],
        env={**os.environ, "JUPYTERHUB_API_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.timeout(300)
def test_killing_any_part_under_load_loses_and_doubles_nothing() -> None:
    """
    Half a minute of it here; hours of it are an administrator's own command.
    """
    with running_site(OPEN_HOUSE) as site:
        done = chaos(site, "--yes", "--json", "--seconds", "30", "--people", "8")
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{site.output}"

    report = json.loads(done.stdout)
    assert report["faults"] == []
    assert sum(report["kills"].values()) >= 5
    assert report["answers"].get("start 201", 0) + report["answers"].get("start 202", 0) > 0


def test_a_running_installation_is_not_touched_by_mistake() -> None:
    with unstarted_site(OPEN_HOUSE) as site:
        without_yes = chaos(site)
        nobody_there = chaos(site, "--yes")

    assert without_yes.returncode == 2
    assert "--yes" in without_yes.stderr
    assert (nobody_there.returncode, "There is no perijove that runs" in nobody_there.stderr) == (1, True)
