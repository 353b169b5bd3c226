"""
Sessions, the audit log and the commands beside it, on a real deployment.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import PATIENCE, Site, eventually, running_site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(240)

#: seconds until an open WebSocket of a session that was ended must be closed
AT_ONCE = 1.0


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """With a copy of the audit log, and auth states."""
    extra = """
c.Perijove.admin_users = {"root"}
c.Authenticator.enable_auth_state = True
c.CryptKeeper.keys = ["0123456789abcdef" * 4]
import os
def hook(spawner, state):
    with open(os.path.join(c.Perijove.state_dir, "hub", "hook"), "a") as file:
        print(spawner.user.name, state, file=file)
c.Spawner.auth_state_hook = hook
c.Perijove.audit_file = os.path.join(c.Perijove.state_dir, "hub", "audit.jsonl")
"""
    with running_site(OPEN_HOUSE + extra) as running:
        yield running


def command(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of perijove's commands with the configuration of *site*."""
    line = [sys.executable, "-P", "-m", "perijove", *words, "-f", str(site.config)]
    return subprocess.run(
        line, env=dict(site.environ), cwd="/", check=False, capture_output=True, text=True, timeout=PATIENCE
    )


def open_socket(site: Site, visitor: Visitor, owner: str) -> ClientConnection:
    address = f"ws://127.0.0.1:{site.port}/user/{owner}/api/events/subscribe"
    headers = {"Cookie": visitor.cookies_for(f"/user/{owner}/"), "Origin": site.origin}
    return connect(address, additional_headers=headers, open_timeout=PATIENCE, proxy=None)


def seconds_until_closed(connection: ClientConnection) -> float:
    began = time.monotonic()
    try:
        while True:
            connection.recv(timeout=PATIENCE)
    except ConnectionClosed:
        return time.monotonic() - began


def enter(visitor: Visitor, owner: str) -> None:
    assert visitor.sign_in().status_code == 200
    eventually(lambda: visitor.get(f"/user/{owner}/api/status").status_code == 200)


def test_a_session_that_is_ended_from_another_browser_loses_its_websockets_at_once(site: Site) -> None:
    with Visitor(site, "ada") as lost, Visitor(site, "ada") as here:
        enter(lost, "ada")
        enter(here, "ada")
        with open_socket(site, lost, "ada") as gone, open_socket(site, here, "ada") as stays:
            answer = here.press("/hub/sessions", "/hub/sessions/end-others")
            took = seconds_until_closed(gone)

            assert answer.status_code == 200
            assert took < AT_ONCE
            with pytest.raises(TimeoutError):
                stays.recv(timeout=0.3)
        assert "login" in str(lost.get("/hub/home").url)
        assert here.get("/hub/home").url.path == "/hub/home"


def test_an_administrator_in_her_server_is_seen_by_her_and_by_the_log(site: Site) -> None:
    with Visitor(site, "ada") as ada, Visitor(site, "root") as root, Rest(site) as rest:
        enter(ada, "ada")
        assert root.sign_in().status_code == 200
        assert root.get("/hub/enter?server=ada/&next=/user/ada/api/status").status_code == 200

        assert "was opened by <strong>root</strong>" in ada.get("/hub/home").text
        token = rest("POST", "/hub/api/users/ada/tokens", json={}).json()["token"]
        own = Rest(site, token)
        mine = own("GET", "/hub/api/users/ada/audit?action=server-entered").json()["entries"]
        assert {(entry["actor"], entry["address"]) for entry in mine} >= {("root", "")}
        assert own("GET", "/hub/api/audit").status_code == 403
        own.close()


def test_the_commands_tell_verify_and_write_what_the_file_has(site: Site) -> None:
    copy = site.state / "hub" / "audit.jsonl"
    with Visitor(site, "ada") as ada:
        assert ada.sign_in().status_code == 200

    def sealed() -> list[dict[str, Any]]:
        return [json.loads(line) for line in copy.read_text().splitlines()]

    eventually(lambda: sum(entry["action"] == "signed-in" for entry in sealed()) >= 1)
    listed = command(site, "audit", "list", "--target", "ada", "--action", "signed-in")
    verified = command(site, "audit", "verify")
    exported = command(site, "audit", "export")
    link = verified.stdout.split()[-1]
    known = command(site, "audit", "verify", "--known", link)
    forged = command(site, "audit", "verify", "--known", f"1:{'0' * 64}")

    assert (listed.returncode, listed.stderr) == (0, "")
    assert "signed-in  ada" in listed.stdout
    assert verified.returncode == known.returncode == 0
    lines = [json.loads(line) for line in exported.stdout.splitlines()]
    written = sealed()
    assert lines[: len(written)] == written[: len(lines)]
    assert [entry["sequence"] for entry in written] == list(range(1, len(written) + 1))
    assert forged.returncode == 1
    assert "made anew" in forged.stdout


def test_a_token_for_the_first_script_is_made_at_the_machine(site: Site) -> None:
    with Visitor(site, "root") as root:
        assert root.sign_in().status_code == 200

    made = command(site, "token", "root", "--note", "first script", "--expires-in", "600", "--scope", "list:users")
    token = made.stdout.strip()
    own = Rest(site, token)
    works = own("GET", "/hub/api/users").status_code
    narrow = own("GET", "/hub/api/info").status_code
    listed = command(site, "token", "root", "--list")
    public_id = next(line.split()[0] for line in listed.stdout.splitlines() if "first script" in line)
    revoked = command(site, "token", "root", "--revoke", public_id)
    over = own("GET", "/hub/api/users").status_code
    own.close()
    nobody = command(site, "token", "nobody")

    assert (made.returncode, re.fullmatch(r"[0-9a-f]{32}", token) is not None) == (0, True), made.stderr
    assert (works, narrow, revoked.returncode, over) == (200, 403, 0, 403)
    assert (nobody.returncode, "There is no user 'nobody'" in nobody.stderr) == (1, True)
    assert token not in listed.stdout


def test_what_the_sign_in_method_remembers_is_sealed_and_reaches_the_hook(site: Site) -> None:
    with Visitor(site, "kim") as kim, Rest(site) as rest:
        enter(kim, "kim")
        model = rest("GET", "/hub/api/users/kim").json()
        told = (site.state / "hub" / "hook").read_text().splitlines()

    database = b"".join(path.read_bytes() for path in (site.state / "hub").glob("perijove.sqlite*"))
    assert model["auth_state"] == {"name": "kim"}
    assert told.count("kim {'name': 'kim'}") == 1
    assert b"gAAAA" in database
    assert b'"name": "kim"' not in database
