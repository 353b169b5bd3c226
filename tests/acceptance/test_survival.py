"""
What is lost when parts are killed or restarted: nothing that people can see.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import psutil
import pytest

from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import PATIENCE, Site, eventually, unstarted_site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(120)
#: Larger than all buffers between a server and a client that does not read.
LARGE_FILE = {"type": "file", "format": "text", "content": "x" * (16 * 1024 * 1024)}


@pytest.fixture
def open_house() -> Iterator[Site]:
    """One that leaves the servers alone when it is stopped; not started yet."""
    with unstarted_site(OPEN_HOUSE + "c.JupyterHub.cleanup_servers = False\nc.Launcher.fork_kernels = True\n") as site:
        yield site


def started_at(rest: Rest, name: str) -> str:
    """When *name*'s server began: another server would say another time."""
    answer = rest("GET", f"/user/{name}/api/status")
    assert answer.status_code == 200
    return str(answer.json()["started"])


def test_a_killed_proxy_comes_back_with_every_route(site: Site, rest: Rest) -> None:
    rest.user("frank")
    rest.start("frank")

    proxy = site.kill_part("proxy")
    site.wait_for_new_part("proxy", proxy)

    assert eventually(lambda: rest("GET", "/user/frank/api/status").status_code == 200)
    rest.stop("frank")


def test_a_proxy_killed_during_a_download_lets_it_end(site: Site, rest: Rest) -> None:
    """
    Its workers finish what they are at, while the next proxy takes over.
    """
    rest.user("whole")
    rest.start("whole")
    assert rest("PUT", "/user/whole/api/contents/large", json=LARGE_FILE).status_code == 201

    with httpx.stream("GET", f"{site.origin}/user/whole/files/large", headers=rest.headers, timeout=PATIENCE) as got:
        pieces = got.iter_raw(1024)
        first = next(pieces)
        proxy = site.kill_part("proxy")
        rest_of_it = b"".join(pieces)
    site.wait_for_new_part("proxy", proxy)

    assert first + rest_of_it == LARGE_FILE["content"].encode()
    rest.stop("whole")


def test_a_worker_killed_during_a_download_ends_the_download_and_nothing_else(site: Site, rest: Rest) -> None:
    """
    The client must see that its file is not whole; its next request is answered.
    """
    rest.user("download")
    rest.start("download")
    made = rest("PUT", "/user/download/api/contents/large", json=LARGE_FILE)
    assert made.status_code == 201

    before = started_at(rest, "download")

    with httpx.stream("GET", f"{site.origin}/user/download/files/large", headers=rest.headers, timeout=PATIENCE) as got:
        pieces = got.iter_raw(1024)
        first = next(pieces)
        for worker in site.part("proxy").children():
            worker.kill()
        with pytest.raises(httpx.HTTPError):
            list(pieces)

    assert got.status_code == 200
    assert first.strip(b"x") == b""
    eventually(lambda: started_at(rest, "download") == before)
    rest.stop("download")


def test_a_killed_hub_is_back_before_a_request_gives_up(site: Site, rest: Rest) -> None:
    """
    Its sockets stay open in the supervisor: requests wait in the backlog instead of being refused.
    """
    site.kill_part("hub")

    assert rest("GET", "/hub/api/users").status_code == 200


def test_a_hub_killed_during_a_start_finishes_it_when_it_is_back(site: Site, rest: Rest) -> None:
    """
    The start is neither lost nor doubled: what was under way is in the database.
    """
    rest.user("halfway")
    with ThreadPoolExecutor(1) as beside, suppress(httpx.HTTPError):
        asked = beside.submit(rest, "POST", "/hub/api/users/halfway/server")
        eventually(lambda: site.records("halfway"))
        hub = site.kill_part("hub")
        asked.result()
    site.wait_for_new_part("hub", hub)

    eventually(lambda: rest("GET", "/user/halfway/api/status").status_code == 200)

    assert rest("GET", "/hub/api/users/halfway").json()["servers"][""]["ready"]
    assert len(site.records("halfway")) == 1
    rest.stop("halfway")


def test_a_killed_hub_signs_nobody_out(site: Site) -> None:
    with Visitor(site, "heidi") as person:
        person.sign_in()

        hub = site.kill_part("hub")
        site.wait_for_new_part("hub", hub)

        assert person.get("/hub/home").url.path == "/hub/home"


def test_a_hub_that_is_told_to_end_alone_is_started_again_and_servers_stay(open_house: Site) -> None:
    """
    That is how an administrator has it read something anew; only Ctrl-C on the whole ends the whole.
    """
    open_house.start()
    with Rest(open_house) as rest:
        rest.user("ada")
        rest.start("ada")
        before = started_at(rest, "ada")
        hub = open_house.part("hub")

        hub.send_signal(signal.SIGTERM)
        open_house.wait_for_new_part("hub", hub.pid)

        eventually(lambda: rest("GET", "/hub/api/users/ada").json()["servers"][""]["ready"])
        assert started_at(rest, "ada") == before


def test_servers_of_a_killed_launcher_run_on_and_can_be_stopped(site: Site, rest: Rest) -> None:
    rest.user("ivan")
    rest.start("ivan")
    server = psutil.Process(site.server_pid("ivan"))

    launcher = site.kill_part("launcher")
    site.wait_for_new_part("launcher", launcher)
    answered = rest("GET", "/user/ivan/api/status").status_code
    rest.stop("ivan")

    assert answered == 200
    eventually(lambda: not server.is_running())
    assert site.records("ivan") == []


def test_a_server_that_was_killed_is_reported_and_can_be_started_again(site: Site, rest: Rest) -> None:
    rest.user("grace")
    rest.start("grace")
    psutil.Process(site.server_pid("grace")).kill()

    eventually(lambda: not rest("GET", "/hub/api/users/grace").json()["servers"])
    rest.start("grace")

    assert rest("GET", "/user/grace/api/status").status_code == 200
    rest.stop("grace")


def test_servers_and_sessions_outlive_two_restarts_and_a_kill(open_house: Site) -> None:
    """
    Twice stopped in order and once killed: the same server answers, and the same browser is signed in.
    """
    open_house.start()
    with Rest(open_house) as rest, Visitor(open_house, "ada") as person:
        person.sign_in()
        rest.start("ada")
        before = started_at(rest, "ada")
        # In by the door, which gives the browser its statement.
        assert person.get("/user/ada/lab").status_code == 200

        for _ in range(2):
            assert open_house.interrupt() == 0
            open_house.start()
        open_house.kill()
        eventually(lambda: not _listens(open_house.port))
        open_house.start()

        eventually(lambda: rest("GET", "/user/ada/api/status").status_code == 200)
        assert started_at(rest, "ada") == before
        assert person.get("/hub/home").url.path == "/hub/home"
        assert person.get("/user/ada/api/contents").status_code == 200


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
