"""
Servers of people whose names, homes and habits are not what a programmer expects.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.support.rest import LAST_WORDS, TOKEN, Rest
from tests.support.site import Site, eventually
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(120)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes system users")


SMALL_FILE = {"type": "file", "format": "text", "content": "x" * 5000}


def failed(page: httpx.Response) -> str:
    """The page's text, once it says that the start has failed."""
    return page.text if page.status_code == 500 else ""


@contextmanager
def small_disk(folder: Path, *, uid: int) -> Iterator[None]:
    """Put a disk of a few pages at *folder*, with a file to keep and no byte free."""
    options = f"size=64k,mode=700,uid={uid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, capture_output=True)
    try:
        (folder / "kept.txt").write_text("kept", encoding="utf-8")
        with suppress(OSError), (folder / "full").open("wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        for path in folder.iterdir():
            os.chown(path, uid, -1)
        yield
    finally:
        # Lazily: a process of the server may still be on its way out.
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


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
def test_every_person_is_a_system_user_of_their_own(rest: Rest, site: Site) -> None:
    rest.user("carol")
    rest.start("carol")
    rest("PUT", "/user/carol/api/contents/mine.txt", json={"type": "file", "format": "text", "content": "x"})

    entry = site.account("carol")

    assert entry.pw_uid >= 1000
    assert (Path(entry.pw_dir) / "mine.txt").stat().st_uid == entry.pw_uid
    rest.stop("carol")


@needs_root
@pytest.mark.parametrize("trouble", ["missing", "read-only"])
def test_a_home_in_trouble_does_not_stop_a_server(trouble: str, rest: Rest, site: Site) -> None:
    """
    People must be able to look, and to delete files, when something is wrong with their home.
    """
    name = f"home-{trouble}"
    rest.user(name)
    rest.start(name)
    rest.stop(name)
    home = Path(site.account(name).pw_dir)
    if trouble == "missing":
        shutil.rmtree(home)
    else:
        os.chown(home, 0, 0)
        home.chmod(0o555)

    rest.start(name)

    assert rest("GET", f"/user/{name}/api/status").status_code == 200
    rest.stop(name)


@needs_root
def test_a_home_without_a_free_byte_stops_no_server_and_loses_no_file(rest: Rest, site: Site) -> None:
    """
    Whoever has filled the disk must get in to delete something, and find the rest as it was.
    """
    rest.user("home-full")
    rest.start("home-full")
    rest.stop("home-full")
    entry = site.account("home-full")
    with small_disk(Path(entry.pw_dir), uid=entry.pw_uid):
        rest.start("home-full")
        refused = rest("PUT", "/user/home-full/api/contents/kept.txt", json=SMALL_FILE)
        kept = rest("GET", "/user/home-full/api/contents/kept.txt").json()["content"]
        (Path(entry.pw_dir) / "full").unlink()
        saved = rest("PUT", "/user/home-full/api/contents/kept.txt", json=SMALL_FILE)
        rest.stop("home-full")

    assert refused.status_code == 500
    assert kept == "kept"
    assert saved.json()["size"] == 5000


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


def test_what_a_server_said_before_it_died_is_told_to_scripts(rest: Rest) -> None:
    """
    “Your server did not start” helps nobody; the last lines of its log do.
    """
    rest.user("broken-rest")

    started = rest("POST", "/hub/api/users/broken-rest/server")
    eventually(lambda: not rest("GET", "/hub/api/users/broken-rest").json()["servers"])
    stream = rest("GET", "/hub/api/users/broken-rest/server/progress").text

    events = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")]
    assert started.status_code >= 400
    assert events[-1]["failed"]
    assert "exit code 3" in events[-1]["message"]
    assert LAST_WORDS in "\n".join(events[-1]["log"])


def test_what_a_server_said_before_it_died_is_told_on_the_page(site: Site, rest: Rest) -> None:
    """
    With a way to try again, and nothing left running or routed.
    """
    with Visitor(site, "broken-page") as person:
        person.sign_in()

        page = eventually(lambda: failed(person.get("/hub/spawn-pending/broken-page")))

        assert "exit code 3" in page
        assert LAST_WORDS in page
        assert "Try again" in page
    assert rest("GET", "/hub/api/users/broken-page").json()["servers"] == {}
    assert "/user/broken-page/" not in rest("GET", "/hub/api/proxy").json()
