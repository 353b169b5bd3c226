"""
A limit from the configuration to the page that says what it did; the long way through all processes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

import pytest

from perijove.kit import cgroups
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import Site, eventually, running_site
from tests.support.visitor import Visitor

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        os.getuid() != 0 or not any("memory" in tree.controllers for tree in cgroups.trees()),
        reason="needs root and control groups for memory",
    ),
]
#: Takes 200 MB at once, whoever's it is.
GREEDY = "import os; print('for', os.environ['MEM_LIMIT'], flush=True); x = bytearray(b'x') * (200 << 20)"
SAID = "The server was killed because it ran out of memory: 64 MB of 64 MB were in use."
CONFIG = f"""{OPEN_HOUSE}
c.Spawner.cmd = [{sys.executable!r}, "-c", {GREEDY!r}]
c.Spawner.mem_limit = "1G"
c.JupyterHub.load_groups = {{"small": ["ada"]}}
c.Spawner.group_overrides = {{"a": {{"groups": ["small"], "spawner_override": {{"mem_limit": "64M"}}}}}}
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running_site(CONFIG) as running:
        yield running


def test_who_is_killed_for_a_limit_of_their_group_is_told_by_page_stream_and_api(site: Site) -> None:
    with Rest(site) as rest, Visitor(site, "ada") as ada:
        ada.sign_in()
        rest("POST", "/hub/api/users/ada/server")

        def failed() -> str:
            servers = rest("GET", "/hub/api/users/ada?include_stopped_servers=1").json()["servers"]
            return str(servers.get("", {}).get("failure", ""))

        told = eventually(failed)
        stream = rest("GET", "/hub/api/users/ada/server/progress").text
        page = ada.get("/hub/home").text

    last = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")][-1]
    assert told == f"It ended while it started. {SAID}"
    assert SAID in last["message"]
    assert last["log"] == [f"for {64 * 2**20}"]
    assert SAID in page
    assert SAID in site.output
