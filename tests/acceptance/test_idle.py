"""
Servers that nobody needs are stopped, and are there again when somebody comes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import Site, eventually, running_site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(120)

#: seconds
IDLE, WARN, REPORT = 8, 4, 3
#: within which whatever the policy does is done, on a busy machine
PATIENCE = 60
CONFIG = f"""{OPEN_HOUSE}
c.JupyterHub.activity_interval = {REPORT}
c.JupyterHub.load_groups = {{"staff": ["carol"], "course": {{"users": ["ada"], "properties": {{"room": 7}}}}}}
c.JupyterHub.cull_policies = [
    {{"group": "staff"}},
    {{"idle_seconds": {IDLE}, "warn_seconds": {WARN}, "extend_seconds": 600}},
]
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A perijove that stops idle servers soon, except those of a group."""
    with running_site(CONFIG) as running:
        yield running


@pytest.fixture
def rest(site: Site) -> Iterator[Rest]:
    with Rest(site) as client:
        yield client


def server_of(rest: Rest, name: str) -> dict[str, Any]:
    model: dict[str, Any] = rest("GET", f"/hub/api/users/{name}/server").json()
    return model


def is_stopped(rest: Rest, name: str) -> bool:
    return bool(server_of(rest, name)["stopped"])


def test_an_idle_server_is_stopped_and_starts_again_by_being_visited(site: Site, rest: Rest) -> None:
    with Visitor(site, "ada") as ada:
        ada.sign_in()
        eventually(lambda: server_of(rest, "ada")["ready"])
        first = server_of(rest, "ada")["started"]

        eventually(lambda: is_stopped(rest, "ada"), within=PATIENCE)
        told = server_of(rest, "ada")["stop_reason"]
        home = ada.get("/hub/home").text
        page = ada.get("/user/ada/lab")

    again = server_of(rest, "ada")
    assert told == f"It was stopped because nothing had run here for {IDLE} seconds."
    assert told in home
    assert page.status_code == 200
    assert "/user/ada/" in page.text
    assert again["started"] > first
    assert again["stop_reason"] == ""


def test_a_server_with_a_job_in_a_terminal_is_not_stopped(site: Site, rest: Rest) -> None:
    rest.user("bob")
    rest.start("bob")
    name = rest("POST", "/user/bob/api/terminals").json()["name"]
    socket = f"ws://127.0.0.1:{site.port}/user/bob/terminals/websocket/{name}"
    started = server_of(rest, "bob")["started"]
    with connect(socket, additional_headers=rest.headers) as terminal:
        terminal.send(json.dumps(["stdin", f"sleep {3 * IDLE}; exit\r"]))
        # Nobody types, and the tab is closed.
        terminal.recv(timeout=10)

    time.sleep(2 * IDLE + WARN)

    assert server_of(rest, "bob")["ready"]
    assert server_of(rest, "bob")["started"] == started
    eventually(lambda: is_stopped(rest, "bob"), within=PATIENCE)


def test_polling_a_server_does_not_keep_it(rest: Rest) -> None:
    rest.user("dora")
    rest.start("dora")

    def polled_until_stopped() -> bool:
        for path in ("kernels", "sessions", "terminals", "contents?content=1"):
            rest("GET", f"/user/dora/api/{path}")
        return is_stopped(rest, "dora")

    assert eventually(polled_until_stopped, within=PATIENCE)


def test_a_group_with_a_policy_of_its_own_is_left_alone(rest: Rest) -> None:
    rest.user("carol")
    rest.start("carol")
    rest.user("eve")
    rest.start("eve")

    eventually(lambda: is_stopped(rest, "eve"), within=PATIENCE)

    assert rest("GET", "/hub/api/users/carol").json()["groups"] == ["staff"]
    assert server_of(rest, "carol")["ready"]
    rest.stop("carol")


def test_a_server_is_kept_by_whoever_may_start_it(rest: Rest) -> None:
    rest.user("frank")
    rest.start("frank")

    kept = rest("POST", "/hub/api/users/frank/server/keep")
    time.sleep(2 * IDLE + 2 * WARN)

    assert kept.status_code == 200
    assert kept.json()["because"].startswith("nothing has run here")
    assert server_of(rest, "frank")["ready"]
    rest.stop("frank")
