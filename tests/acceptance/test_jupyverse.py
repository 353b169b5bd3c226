"""
`jupyverse` from PyPI, unmodified, as somebody's server: it signs its visitors in with the hub, by JupyterHub's client.

It lives in an environment of its own (`script/environment jupyverse`, named by PERIJOVE_TEST_JUPYVERSE): its plug-in is
written for the client of JupyterHub 4. Installed with nothing else it ends at once, under JupyterHub as under perijove,
for want of `greenlet` (SQLAlchemy no longer brings it along), so that is installed besides. JupyterHub 4's
`jupyterhub-singleuser` does not know of it, so the plug-in's own way to start it is taken.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from tests.support.passwords import PASSWORD
from tests.support.rest import TOKEN, Rest
from tests.support.site import Site, eventually, running_site
from tests.support.visitor import Visitor

PYTHON: Final = os.environ.get("PERIJOVE_TEST_JUPYVERSE", "") + "/bin/python"
pytestmark = [
    pytest.mark.skipif(
        PYTHON == "/bin/python",
        reason="jupyverse is not here: PERIJOVE_TEST_JUPYVERSE=$(script/environment jupyverse)",
    ),
    pytest.mark.timeout(180),
]
CONFIG: Final = f"""
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Spawner.cmd = [{PYTHON!r}, "-c", "from fps_auth_jupyterhub import launch; launch()"]
c.Spawner.route_access = "open"
c.Spawner.http_timeout = 90
c.JupyterHub.services = [{{"name": "script", "api_token": "{TOKEN}"}}]
c.JupyterHub.load_roles = [{{"name": "script", "services": ["script"], "scopes": ["admin:users", "admin:servers"]}}]
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running_site(CONFIG) as running:
        yield running


@pytest.fixture(scope="module")
def ada(site: Site) -> Iterator[Visitor]:
    """In one browser: a second sign-in of the same person is more than its table of users takes."""
    with Visitor(site, "ada") as visitor, Rest(site) as rest:
        visitor.submit("/hub/login?next=/hub/home", username="ada", password=PASSWORD)
        eventually(lambda: is_up(rest), within=120)
        yield visitor


def is_up(rest: Rest) -> bool:
    """Whether it has started; each of its parts takes a second at most, or it ends: then it is started again."""
    server = rest("GET", "/hub/api/users/ada").json()["servers"].get("")
    if server is None:
        rest("POST", "/hub/api/users/ada/server")
    time.sleep(0.5)
    return server is not None and server["ready"]


def test_its_user_is_signed_in_and_sees_their_files(ada: Visitor) -> None:
    page = ada.get("/user/ada/lab")
    me = ada.get("/user/ada/api/me")
    files = ada.get("/user/ada/api/contents")

    assert (page.status_code, page.url.path) == (200, "/user/ada/lab"), page.text
    assert "JupyterLab" in page.text
    assert me.json()["identity"]["username"] == "ada"
    assert files.json()["type"] == "directory"


def test_what_is_done_there_is_known_to_the_hub(site: Site, ada: Visitor) -> None:
    with Rest(site) as rest:
        ada.get("/user/ada/lab")
        before = rest("GET", "/hub/api/users/ada").json()["servers"][""]["last_activity"]

        ada.get("/user/ada/api/contents")

        eventually(lambda: rest("GET", "/hub/api/users/ada").json()["servers"][""]["last_activity"] > before)


@pytest.mark.usefixtures("ada")
def test_strangers_and_others_stay_out(site: Site) -> None:
    stranger = httpx.get(f"{site.origin}/user/ada/api/contents", trust_env=False, follow_redirects=True)
    with Visitor(site, "bob") as bob:
        bob.submit("/hub/login?next=/hub/home", username="bob", password=PASSWORD)
        refused = bob.get("/user/ada/lab")

    assert "directory" not in stranger.text
    assert refused.status_code == 403
    assert refused.url.path.startswith("/hub/")
