"""
Another application than JupyterLab, chosen by its user, behind the same door and between the same walls.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import Site, eventually, running_site
from tests.support.visitor import Visitor

#: Read here and given on the command line: servers need not be able to reach the folder of the tests.
PROGRAM: Final = Path(__file__).with_name("programs").joinpath("plain.py").read_text(encoding="utf-8")
CONFIG: Final = f"""{OPEN_HOUSE}
c.Spawner.options_form = '<select name="profile"><option>lab</option><option>plain</option></select>'
c.Spawner.options_from_form = "simple"

def use(spawner, options):
    if options.get("profile") == "plain":
        spawner.cmd = [{sys.executable!r}, "-c", {PROGRAM!r}]
    if options.get("profile") == "missing":
        spawner.cmd = ["/root/nowhere/python", "app.py"]

c.Spawner.apply_user_options = use
"""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running_site(CONFIG) as running:
        yield running


@pytest.fixture
def rest(site: Site) -> Iterator[Rest]:
    with Rest(site) as client:
        yield client


def told(person: Visitor, path: str) -> dict[str, Any]:
    """What the application says of a request for *path*, once it is up."""

    def answer() -> dict[str, Any]:
        page = person.get(path)
        return page.json() if page.headers["content-type"] == "application/json" else {}

    return eventually(answer)


def lab_of(person: Visitor) -> str:
    """Where JupyterLab is, once the way from the hub's root leads there."""
    page = person.get("/")
    return page.url.path if "jupyter-config-data" in page.text else ""


def test_an_application_that_knows_nothing_of_us_is_a_persons_server(site: Site, rest: Rest) -> None:
    with Visitor(site, "ada") as ada, Visitor(site, "eve") as eve:
        ada.sign_in()
        eve.sign_in()
        rest("POST", "/hub/api/users/ada/server", json={"profile": "plain"})

        said = told(ada, "/user/ada/some/page?x=1")
        refused = eve.get("/user/ada/some/page")

    names = {name.lower() for name in said["headers"]}
    assert said["path"] == "/user/ada/some/page?x=1"
    assert "x-perijove-identity" in names
    assert "perijove" not in said["headers"].get("Cookie", "")
    assert refused.status_code == 404
    if os.getuid() == 0:
        assert said["uid"] >= 1000


def test_its_user_is_sent_to_its_root_and_the_root_of_jupyter_to_the_lab(site: Site, rest: Rest) -> None:
    with Visitor(site, "bob") as bob, Visitor(site, "cid") as cid:
        bob.sign_in()
        cid.sign_in()
        rest("POST", "/hub/api/users/bob/server", json={"profile": "plain"})
        rest("POST", "/hub/api/users/cid/server", json={"profile": "lab"})

        said = told(bob, "/")
        where = eventually(lambda: lab_of(cid))

    assert said["path"] == "/user/bob/"
    assert where == "/user/cid/lab"


def test_a_command_that_cannot_run_says_what_to_look_at(rest: Rest) -> None:
    rest.user("dan")

    rest("POST", "/hub/api/users/dan/server", json={"profile": "missing"})

    def log() -> str:
        return "".join(
            line
            for line in rest("GET", "/hub/api/users/dan/server/progress").text.splitlines()
            if "cannot be run" in line
        )

    assert "c.Launcher.shared_paths" in eventually(log)
