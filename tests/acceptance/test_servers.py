"""
Servers of people whose names, homes and habits are not what a programmer expects.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.rest import OPEN_HOUSE, TOKEN, Rest
from tests.support.site import USER_PREFIX, Site, eventually, running_site

pytestmark = pytest.mark.timeout(120)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes system users")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One perijove for all of these."""
    with running_site(OPEN_HOUSE) as running:
        yield running


@pytest.fixture
def rest(site: Site) -> Iterator[Rest]:
    """A service that may do everything."""
    client = Rest(site)
    yield client
    client.close()


@pytest.mark.parametrize(
    "name", ["a/b", "..", "../etc", ".", "", " ", "with space", "x" * 300, "tab\there", "nul\0", "percent%2f"]
)
def test_a_name_that_would_break_a_path_is_refused(name: str, rest: Rest) -> None:
    answer = rest("POST", "/hub/api/users", json={"usernames": [name]})

    assert answer.status_code == 400, answer.text
    assert answer.json()["message"]


@pytest.mark.parametrize("name", ["josé", "ada.lovelace@example.org", "x" * 64, "0day", "日本"])
def test_an_unusual_name_gets_a_server_like_any_other(name: str, rest: Rest) -> None:
    path = quote(name, safe="@~")
    assert rest("POST", f"/hub/api/users/{path}").status_code == 201

    rest.start(path)

    assert rest("GET", f"/user/{path}/api/contents").status_code == 200
    rest.stop(path)


@needs_root
def test_every_person_is_a_system_user_of_their_own(rest: Rest) -> None:
    rest.user("carol")
    rest.start("carol")
    rest("PUT", "/user/carol/api/contents/mine.txt", json={"type": "file", "format": "text", "content": "x"})

    entry = pwd.getpwnam(f"{USER_PREFIX}carol")

    assert entry.pw_uid >= 1000
    assert (Path(entry.pw_dir) / "mine.txt").stat().st_uid == entry.pw_uid
    rest.stop("carol")


@needs_root
@pytest.mark.parametrize("trouble", ["missing", "read-only"])
def test_a_home_in_trouble_does_not_stop_a_server(trouble: str, rest: Rest) -> None:
    """
    People must be able to look, and to delete files, when something is wrong with their home.
    """
    name = f"home-{trouble}"
    rest.user(name)
    rest.start(name)
    rest.stop(name)
    home = Path(pwd.getpwnam(f"{USER_PREFIX}{name}").pw_dir)
    if trouble == "missing":
        shutil.rmtree(home)
    else:
        os.chown(home, 0, 0)
        home.chmod(0o555)

    rest.start(name)

    assert rest("GET", f"/user/{name}/api/status").status_code == 200
    rest.stop(name)


def test_an_upload_that_is_cut_off_leaves_no_file_and_a_server_that_works(site: Site, rest: Rest) -> None:
    rest.user("dora")
    rest.start("dora")
    head = (
        f"PUT /user/dora/api/contents/half.txt HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
        f"Authorization: token {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as upload:
        upload.sendall(head.encode() + b'{"type": "file", "format": "text", "content": "half')

    names = [item["name"] for item in rest("GET", "/user/dora/api/contents").json()["content"]]

    assert "half.txt" not in names
    rest.stop("dora")


def test_what_a_server_said_before_it_died_is_told() -> None:
    """
    “Your server did not start” helps nobody; the last lines of its log do.
    """
    broken = OPEN_HOUSE + 'c.Spawner.cmd = ["/bin/sh", "-c", "echo the disk of notebooks is not mounted; exit 3"]\n'
    with running_site(broken) as site:
        rest = Rest(site)
        rest.user("ada")

        started = rest("POST", "/hub/api/users/ada/server")
        eventually(lambda: not rest("GET", "/hub/api/users/ada").json()["servers"])
        stream = rest("GET", "/hub/api/users/ada/server/progress").text

        events = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")]
        assert started.status_code >= 400
        assert events[-1]["failed"]
        assert "3" in events[-1]["message"]
        assert "the disk of notebooks is not mounted" in "\n".join(events[-1]["log"])
        rest.close()


def test_a_killed_proxy_comes_back_with_every_route(site: Site, rest: Rest) -> None:
    rest.user("frank")
    rest.start("frank")

    proxy = site.kill_part("proxy")
    site.wait_for_new_part("proxy", proxy)

    assert eventually(lambda: rest("GET", "/user/frank/api/status").status_code == 200)
    rest.stop("frank")


def test_a_killed_hub_is_back_before_a_request_gives_up(site: Site, rest: Rest) -> None:
    """
    Its sockets stay open in the supervisor: requests wait in the backlog instead of being refused.
    """
    site.kill_part("hub")

    assert rest("GET", "/hub/api/users").status_code == 200


def test_a_server_that_was_killed_is_reported_and_can_be_started_again(site: Site, rest: Rest) -> None:
    rest.user("grace")
    rest.start("grace")
    record = next(path for path in site.runtime.glob("servers/*/server.json") if '"grace/"' in path.read_text())
    os.kill(json.loads(record.read_text())["launched"]["pid"], 9)

    eventually(lambda: not rest("GET", "/hub/api/users/grace").json()["servers"])
    rest.start("grace")

    assert rest("GET", "/user/grace/api/status").status_code == 200
    rest.stop("grace")
