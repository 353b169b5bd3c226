"""
Eve has an account, a server of her own, and a shell on the same machine. She gets no further than that.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from perijove.wire.identity import IDENTITY_COOKIE
from tests.support.rest import OPEN_HOUSE, TOKEN, Rest
from tests.support.site import PATIENCE, Site, running_site

pytestmark = pytest.mark.timeout(120)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes system users")

#: Seconds within which whoever lost a right is out (wire/control.py).
SOON: Final = 1.0
ROOT_TOKEN: Final = "fedcba9876543210fedcba9876543210"
CONFIG: Final = f"""{OPEN_HOUSE}
c.JupyterHub.services.append({{"name": "root", "api_token": "{ROOT_TOKEN}", "admin": True}})
"""
PASSWORD: Final = "a password that is in no log"
_FIELD: Final = re.compile(r'name="_xsrf" value="([^"]+)"')


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One perijove in which ada and eve have running servers."""
    with running_site(CONFIG) as running:
        service = Rest(running)
        for name in ("ada", "eve"):
            service.user(name)
            service.start(name)
        service.close()
        yield running


@pytest.fixture
def rest(site: Site) -> Iterator[Rest]:
    """A service that may do everything."""
    client = Rest(site)
    yield client
    client.close()


@pytest.fixture(scope="module")
def eves_token(site: Site) -> str:
    """A hub token of eve's own."""
    service = Rest(site)
    answer = service("POST", "/hub/api/users/eve/tokens", json={})
    service.close()
    return str(answer.json()["token"])


class Visitor:
    """A browser without a screen."""

    def __init__(self, site: Site, name: str) -> None:
        self.name = name
        self.client = httpx.Client(
            base_url=site.origin, headers={"Accept": "text/html"}, timeout=PATIENCE, trust_env=False
        )

    def sign_in(self) -> None:
        """Through the form, and into the server."""
        answer = self.post("/hub/login", "/hub/login", username=self.name, password=PASSWORD)
        assert answer.status_code == 302, answer.text
        entered = self.client.get(f"/user/{self.name}/api/status", follow_redirects=True)
        assert entered.status_code == 200, entered.text

    def post(self, page: str, address: str, **fields: str) -> httpx.Response:
        """Fill the form of *page*."""
        token = _FIELD.search(self.client.get(page).text)
        assert token, page
        return self.client.post(address, data={"_xsrf": token[1], **fields})

    def open_socket(self, site: Site) -> ClientConnection:
        """A WebSocket to the person's own server."""
        cookies = "; ".join(
            f"{cookie.name}={cookie.value}"
            for cookie in self.client.cookies.jar
            if f"/user/{self.name}/".startswith(cookie.path)
        )
        return open_socket(site, self.name, {"Cookie": cookies, "Origin": site.origin})


def open_socket(site: Site, name: str, headers: dict[str, str]) -> ClientConnection:
    address = f"ws://127.0.0.1:{site.port}/user/{name}/api/events/subscribe"
    return connect(address, additional_headers=headers, open_timeout=PATIENCE, proxy=None)


@pytest.fixture
def ada(site: Site) -> Iterator[Visitor]:
    """Ada, signed in."""
    visitor = Visitor(site, "ada")
    visitor.sign_in()
    yield visitor
    visitor.client.close()


def is_closed_soon(connection: ClientConnection) -> bool:
    """Whether the other side hangs up within `SOON`."""
    began = time.monotonic()
    try:
        while time.monotonic() - began < SOON:
            connection.recv(timeout=SOON)
    except ConnectionClosed:
        return time.monotonic() - began < SOON
    except TimeoutError:
        return False
    return False


def status_of(site: Site, target: str, *lines: str) -> int:
    """The status of one request, byte for byte; 0 if the connection is closed without an answer."""
    head = "\r\n".join([f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{site.port}", "Connection: close", *lines])
    with socket.create_connection(("127.0.0.1", site.port), timeout=PATIENCE) as raw:
        raw.sendall(head.encode() + b"\r\n\r\n")
        answer = raw.makefile("rb").read()
    return int(answer.split(b" ", 2)[1]) if answer else 0


# -- the door ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/user/ada/api/contents",
        "/user/eve/../ada/api/contents",
        "/user/eve/%2e%2e/ada/api/contents",
        "/user/eve/..%2fada/api/contents",
        "/user/eve/..;/ada/api/contents",
        "/user/eve/..\\ada/api/contents",
        "/user/eve%2f..%2fada/api/contents",
        "//user/ada/api/contents",
        "/user//ada/api/contents",
        "/%75ser/%61da/api/contents",
        "/user/ADA/api/contents",
        "/user/ada;x/api/contents",
        "/user/ada%00/api/contents",
        "/hub/../user/ada/api/contents",
        "http://127.0.0.1/user/ada/api/contents",
        "/hub/user/ada/api/contents",
    ],
)
def test_no_way_of_writing_a_path_leads_into_her_server(target: str, site: Site, eves_token: str) -> None:
    assert status_of(site, target, f"Authorization: token {eves_token}") in {0, 302, 400, 403, 404}


def test_her_token_opens_her_own_server(site: Site, eves_token: str) -> None:
    """
    The test above proves nothing if it opens none.
    """
    assert status_of(site, "/user/eve/api/contents", f"Authorization: token {eves_token}") == 200


def test_her_cookie_opens_nothing_when_it_is_sent_elsewhere(site: Site, ada: Visitor) -> None:
    """
    Nor does ada's in eve's server: a stolen statement opens nothing but the server it was made for.
    """
    cookie = next(cookie for cookie in ada.client.cookies.jar if cookie.name == IDENTITY_COOKIE)
    line = f"Cookie: {cookie.name}={cookie.value}"

    assert status_of(site, "/user/ada/api/contents", line) == 200
    assert status_of(site, "/user/eve/api/contents", line) == 403


@pytest.mark.parametrize("token", ["", "token", "token wrong", f"token {TOKEN}"])
@pytest.mark.parametrize("path", ["exchange", "recheck"])
def test_the_doors_questions_are_the_proxys_alone(site: Site, path: str, token: str) -> None:
    """
    Whoever may ask them has an identity token for any hub token.
    """
    body = {"token": TOKEN, "audience": "ada/", "visits": []}
    for origin in (site.origin, f"http://127.0.0.1:{site.hub_port}"):
        answer = httpx.post(f"{origin}/hub/_door/{path}", json=body, headers={"Authorization": token}, trust_env=False)

        assert answer.status_code == 403


def test_trying_passwords_is_limited_whatever_address_she_claims() -> None:
    """
    Through the proxy and past it, on the port where servers reach the hub.
    """
    config = 'c.JupyterHub.authenticator_class = "native"\n'
    with running_site(config) as fresh:
        for origin in (fresh.origin, f"http://127.0.0.1:{fresh.hub_port}"):
            statuses = [try_password(origin, f"user{n}-of-{origin[-4:]}", f"10.0.0.{n}") for n in range(60)]

            assert 429 in statuses


def try_password(origin: str, name: str, address: str) -> int:
    headers = {"X-Forwarded-For": address, "X-Real-IP": address, "Forwarded": f"for={address}"}
    with httpx.Client(base_url=origin, headers=headers, trust_env=False, timeout=PATIENCE) as client:
        token = _FIELD.search(client.get("/hub/login").text)
        assert token
        form = {"_xsrf": token[1], "username": name, "password": "wrong"}
        return client.post("/hub/login", data=form).status_code


# -- rights that end -----------------------------------------------------------------------------------------------


def test_signing_out_closes_her_websockets_at_once(site: Site, ada: Visitor) -> None:
    with ada.open_socket(site) as connection:
        ada.post("/hub/home", "/hub/logout")

        assert is_closed_soon(connection)


def test_revoking_a_token_closes_its_websockets_at_once(site: Site, rest: Rest) -> None:
    made = rest("POST", "/hub/api/users/ada/tokens", json={}).json()
    with open_socket(site, "ada", {"Authorization": f"token {made['token']}"}) as connection:
        rest("DELETE", f"/hub/api/users/ada/tokens/{made['id']}")

        assert is_closed_soon(connection)
    assert status_of(site, "/user/ada/api/contents", f"Authorization: token {made['token']}") == 403


def test_an_administrator_who_is_none_any_more_is_out_of_other_peoples_servers(site: Site, rest: Rest) -> None:
    rest.user("chief")
    root = Rest(site, ROOT_TOKEN)
    assert root("PATCH", "/hub/api/users/chief", json={"admin": True}).status_code == 200
    token = root("POST", "/hub/api/users/chief/tokens", json={}).json()["token"]
    with open_socket(site, "ada", {"Authorization": f"token {token}"}) as connection:
        root("PATCH", "/hub/api/users/chief", json={"admin": False})

        assert is_closed_soon(connection)
    assert status_of(site, "/user/ada/api/contents", f"Authorization: token {token}") == 403
    root.close()


def test_a_deleted_user_is_out_at_once_and_stays_out_when_the_name_comes_back(site: Site, rest: Rest) -> None:
    rest.user("gone")
    rest.start("gone")
    visitor = Visitor(site, "gone")
    visitor.sign_in()
    cookies = "; ".join(f"{c.name}={c.value}" for c in visitor.client.cookies.jar)
    with visitor.open_socket(site) as connection:
        rest("DELETE", "/hub/api/users/gone")

        assert is_closed_soon(connection)
    rest.user("gone")
    rest.start("gone")

    assert status_of(site, "/user/gone/api/contents", f"Cookie: {cookies}") == 403
    assert visitor.client.get("/hub/home").status_code == 302
    rest("DELETE", "/hub/api/users/gone")
    visitor.client.close()


# -- the machine ---------------------------------------------------------------------------------------------------

#: Prints every file that can be read, folder that can be written and socket that can be connected to.
_PROWL: Final = """
import os, socket, stat, sys
for root in sys.argv[1:]:
    for folder, folders, files in os.walk(root):
        if os.access(folder, os.W_OK): print("write", folder)
        for name in files:
            path = os.path.join(folder, name)
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                probe = socket.socket(socket.AF_UNIX)
                try: probe.connect(path)
                except OSError: continue
                print("connect", path)
            elif os.access(path, os.R_OK): print("read", path)
"""


def prowl(site: Site, *where: Path) -> set[str]:
    """What eve finds from a shell of her own."""
    eve = site.account("eve")
    done = subprocess.run(
        [
            *("setpriv", f"--reuid={eve.pw_uid}", f"--regid={eve.pw_gid}", "--init-groups"),
            *(sys.executable, "-c", _PROWL, *map(str, where)),
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    return set(done.stdout.splitlines())


@needs_root
def test_from_a_shell_she_reaches_nothing_of_perijove(site: Site) -> None:
    """
    No state, no socket, nobody else's runtime folder. Folders that she may pass through cannot be listed.
    """
    below = [site.state, site.runtime]
    for top in list(below):
        below += [path for path in top.rglob("*") if path.is_dir()]
    own = {str(site.runtime / "users" / f"{site.people}eve")}

    found = {line for line in prowl(site, *below) if not any(folder in line for folder in own)}

    assert found == set()


@needs_root
def test_from_a_shell_she_sees_nobody_elses_home_or_environment(site: Site) -> None:
    home = Path(site.account("ada").pw_dir)
    hub = site.part("hub").pid
    processes = [Path(f"/proc/{pid}") for pid in (hub, site.part("proxy").pid, site.pid)]

    found = prowl(site, home)
    readable = {line for line in prowl(site, *processes) if line.endswith(("/environ", "/mem", "/maps"))}

    assert found == set()
    assert {line for line in readable if can_read_as_eve(site, Path(line.removeprefix("read ")))} == set()


def can_read_as_eve(site: Site, path: Path) -> bool:
    eve = site.account("eve")
    done = subprocess.run(
        ["setpriv", f"--reuid={eve.pw_uid}", f"--regid={eve.pw_gid}", "--init-groups", "head", "-c1", str(path)],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


# -- what is written down ------------------------------------------------------------------------------------------


def test_no_secret_is_in_a_log_or_on_a_command_line(site: Site, ada: Visitor, eves_token: str) -> None:
    cookies = {cookie.name: str(cookie.value) for cookie in ada.client.cookies.jar}
    # The id of a session is in the log on purpose: it signs nobody in.
    cookies.pop("jupyterhub-session-id")
    secrets = {TOKEN, ROOT_TOKEN, PASSWORD, eves_token, *cookies.values()}
    with pytest.raises(InvalidStatus):
        open_socket(site, f"ada/api/events/subscribe?token={eves_token}&x=", {})
    written = [site.output, *(path.read_text(errors="replace") for path in site.state.rglob("*.log"))]
    everybody = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]

    assert [secret for secret in secrets for text in (*written, *everybody) if secret in text] == []
