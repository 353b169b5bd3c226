"""
A configuration that is changed while everything runs.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import Site, eventually, running_site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(180)
TOKEN = "fedcba9876543210fedcba9876543210"
OPERATOR = f"""
c.JupyterHub.services = [*c.JupyterHub.services, {{"name": "operator", "api_token": "{TOKEN}"}}]
c.JupyterHub.load_roles = [*c.JupyterHub.load_roles,
    {{"name": "operator", "services": ["operator"], "scopes": ["shutdown"]}}]
"""


@pytest.fixture(scope="module")
def own() -> Iterator[Site]:
    with running_site(OPEN_HOUSE + OPERATOR) as site:
        yield site


@pytest.fixture
def rest(own: Site) -> Iterator[Rest]:
    with Rest(own) as client:
        yield client


@pytest.fixture
def operator(own: Site) -> Iterator[Rest]:
    with Rest(own, TOKEN) as client:
        yield client


def test_by_the_api_what_can_change_counts_at_once_and_the_rest_is_named(own: Site, rest: Rest, operator: Rest) -> None:
    for name in ("ann", "ben"):
        rest.user(name)
    hub = own.part("hub").pid
    own.add("c.Perijove.api_page_max_limit = 1")
    own.add("c.Perijove.port = 1")
    own.add('c.Spawner.default_url = "/tree"')

    answer = operator("POST", "/hub/api/reload")

    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "changed": ["Perijove.api_page_max_limit", "LocalSpawner.default_url"],
        "needs_restart": ["Perijove.port"],
    }
    assert len(rest("GET", "/hub/api/users").json()) == 1
    rest.start("ann")
    assert rest("GET", "/user/ann/").headers["location"].startswith("/user/ann/tree")
    assert own.part("hub").pid == hub
    rest.stop("ann")


def test_by_a_signal_to_the_whole_the_hub_reads_too(own: Site, rest: Rest) -> None:
    with Visitor(own, "eve") as eve:
        eve.sign_in()
        eventually(lambda: eve.get("/user/eve/api/status").status_code == 200)
        own.add('c.Authenticator.blocked_users = {"eve"}')
        already = own.output.count("configuration.reloaded")

        psutil.Process(own.pid).send_signal(signal.SIGHUP)
        eventually(lambda: own.output.count("configuration.reloaded") > already)

        assert eve.get("/hub/home").url.path == "/hub/login"
        # The door, too, is closed to her: her statement was revoked.
        assert eventually(lambda: eve.get("/user/eve/api/status").url.path.startswith("/hub/"))
    assert rest("GET", "/hub/api/users").status_code == 200


def test_a_wrong_file_changes_nothing_and_is_reported(own: Site, rest: Rest, operator: Rest) -> None:
    before = own.config.read_text(encoding="utf-8")
    with ExitStack() as mended:
        mended.callback(own.config.write_text, before, encoding="utf-8")
        own.add("c.Perijove.api_page_max_limit = 7")
        own.add("c.Perijove.prot = 1")
        already = own.output.count("configuration.not_reloaded")

        answer = operator("POST", "/hub/api/reload")
        psutil.Process(own.part("hub").pid).send_signal(signal.SIGHUP)
        eventually(lambda: own.output.count("configuration.not_reloaded") > already)

        assert answer.status_code == 400
        assert "there is no c.Perijove.prot. Did you mean c.Perijove.port?" in answer.json()["message"]
        assert len(rest("GET", "/hub/api/users").json()) == 1
        assert operator("GET", "/hub/api/health").status_code == 200
