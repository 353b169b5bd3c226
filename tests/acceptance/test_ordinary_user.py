"""
Without root: one person runs perijove for a few others, and everything essential works.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.sync.client import connect

from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import Site, eventually, make_system_user, running_site, site_folder, unstarted_site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def own_site() -> Iterator[Site]:
    """Run by an ordinary user, who need not be the one that runs the tests."""
    runner = make_system_user("runner") if os.geteuid() == 0 else None
    with running_site(f"{OPEN_HOUSE}\nc.Launcher.fork_kernels = True\n", runner=runner) as running:
        yield running


@pytest.fixture
def own_rest(own_site: Site) -> Iterator[Rest]:
    """A service that may do everything there."""
    with Rest(own_site) as client:
        yield client


def output_of(site: Site, rest: Rest, user: str, code: str) -> str:
    """What *code* prints in a new kernel of *user*'s."""
    kernel = rest("POST", f"/user/{user}/api/kernels", json={"name": "python3"}).json()["id"]
    address = f"ws://127.0.0.1:{site.port}/user/{user}/api/kernels/{kernel}/channels"
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    header = {"msg_id": "m", "msg_type": "execute_request", "username": user, "session": "s", "version": "5.3"}
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    with connect(address, additional_headers=rest.headers, max_size=None) as channel:
        channel.send(json.dumps(request))
        while True:
            message: dict[str, Any] = json.loads(channel.recv(timeout=60))
            if message["msg_type"] == "error":
                return "\n".join(message["content"]["traceback"])
            if message["msg_type"] == "stream":
                return str(message["content"]["text"])


def test_it_is_said_what_keeps_people_apart(own_site: Site) -> None:
    said = own_site.output

    assert "without root" in said
    assert "namespaces of the kernel keep people from each other's files and processes" in said


def test_as_root_it_is_not_said(site: Site) -> None:
    assert ("without root" in site.output) is (os.geteuid() != 0)


def test_two_people_have_a_folder_each_and_a_kernel_that_runs(own_site: Site, own_rest: Rest) -> None:
    outputs = {}
    for name in ("ada", "bob"):
        with Visitor(own_site, name) as person:
            person.sign_in()
        own_rest.start(name)
        outputs[name] = output_of(own_site, own_rest, name, "import os; print(os.getcwd(), os.getuid())").split()

    homes = {name: Path(folder) for name, (folder, _) in outputs.items()}
    assert homes["ada"] != homes["bob"]
    assert all(home.is_relative_to(own_site.state / "users") for home in homes.values())
    assert all(home.stat().st_mode & 0o77 == 0 for home in homes.values())
    assert {int(uid) for _, uid in outputs.values()} == {homes["ada"].stat().st_uid}


def test_nobody_but_the_one_who_runs_it_can_read_the_state(own_site: Site) -> None:
    """
    On a machine with other people: neither the database nor a socket is theirs to open.
    """
    for folder in (own_site.state, own_site.runtime):
        assert folder.stat().st_mode & 0o77 == 0


def test_a_folder_that_belongs_to_somebody_else_is_refused() -> None:
    """
    Before anything is started, and whoever runs it: the folder is where the database would be.
    """
    if os.geteuid() != 0:
        with unstarted_site(words=("--state-dir", "/etc/perijove-of-somebody-else")) as site:
            site.start(wait=False)
            assert site.wait() == 1
            assert "cannot be made or written" in site.output
        return
    with site_folder() as others, unstarted_site(runner=make_system_user("runner")) as site:
        site.add(f"c.Perijove.state_dir = {str(others / 'state')!r}")
        site.start(wait=False)

        assert site.wait() == 1
        assert f"{others / 'state'} cannot be made or written: Permission denied" in site.output
        assert "Traceback" not in site.output


def test_a_limit_that_nobody_could_hold_stops_it_with_a_sentence() -> None:
    """
    Rather than a server that is believed to be limited and is not.
    """
    runner = make_system_user("limited") if os.geteuid() == 0 else None
    with unstarted_site(OPEN_HOUSE + "c.Spawner.mem_limit = '1G'\n", runner=runner) as site:
        site.start(wait=False)
        status = site.wait()
        said = site.output

    assert status == 78
    assert "c.LocalSpawner.mem_limit: a memory limit was asked for, but this launcher is not root" in said
    assert "Delegate=yes" in said


def test_ctrl_c_ends_everything(own_site: Site, own_rest: Rest) -> None:
    """
    Comes last: nothing is left to ask afterwards.
    """
    own_rest.user("carol")
    own_rest.start("carol")
    everybody = psutil.Process(own_site.pid).children(recursive=True)
    assert everybody

    status = own_site.interrupt()

    assert status == 0
    eventually(lambda: not any(process.is_running() for process in everybody))
    assert "perijove has stopped" in own_site.output
