"""
Ada shares her server with bob, a little at first and then more: what he can do there follows, at once.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import PATIENCE, Site, eventually, running_site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(180)

#: Seconds within which whoever lost a right is out (wire/control.py).
SOON: Final = 1.0
ROOT_TOKEN: Final = "fedcba9876543210fedcba9876543210"
CONFIG: Final = f"""{OPEN_HOUSE}
c.JupyterHub.services.append({{"name": "root", "api_token": "{ROOT_TOKEN}", "admin": True}})
c.JupyterHub.load_roles.append({{"name": "user", "scopes": ["self", "shares!user", "read:users:name"]}})
"""
READ, WRITE, EXECUTE = "access:servers:read", "access:servers:write", "access:servers"
NOTEBOOK: Final[dict[str, Any]] = {
    "type": "notebook",
    "format": "json",
    "content": {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5},
}
CONTENTS: Final = "/user/ada/api/contents"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One perijove in which people may share, and ada's server runs."""
    with running_site(CONFIG) as running:
        with Rest(running, ROOT_TOKEN) as root:
            for name in ("ada", "bob"):
                root.user(name)
            root.start("ada")
        yield running


def caller(site: Site, name: str) -> Rest:
    """A program with a token of *name*'s."""
    with Rest(site, ROOT_TOKEN) as root:
        answer = root("POST", f"/hub/api/users/{name}/tokens", json={})
    return Rest(site, str(answer.json()["token"]))


@pytest.fixture
def ada(site: Site) -> Iterator[Rest]:
    with caller(site, "ada") as client:
        yield client
        client("DELETE", "/hub/api/shares/ada/")


@pytest.fixture
def bob(site: Site) -> Iterator[Rest]:
    with caller(site, "bob") as client:
        yield client


def share(ada: Rest, scope: str) -> None:
    """Exactly *scope*, whatever bob had."""
    ada("PATCH", "/hub/api/shares/ada/", json={"user": "bob"})
    answer = ada("POST", "/hub/api/shares/ada/", json={"user": "bob", "scopes": [scope]})
    assert answer.status_code == 200, answer.text


def soon(caller: Rest, method: str, path: str, json: Any = None, *, status: int) -> httpx.Response:
    """The answer, once it has *status*: a refusal is believed for a moment (proxy/core/gate.py)."""
    answers = []

    def ask() -> bool:
        answers.append(caller(method, path, json=json))
        return answers[-1].status_code == status

    eventually(ask)
    return answers[-1]


def open_socket(site: Site, path: str, headers: dict[str, str]) -> ClientConnection:
    address = f"ws://127.0.0.1:{site.port}/user/ada/{path}"
    return connect(address, additional_headers=headers, open_timeout=PATIENCE, proxy=None)


def is_closed_soon(connection: ClientConnection, began: float) -> bool:
    """Whether the other side has hung up within `SOON` of *began*."""
    try:
        while time.monotonic() - began < SOON:
            connection.recv(timeout=SOON)
    except ConnectionClosed:
        return time.monotonic() - began < SOON
    except TimeoutError:
        return False
    return False


def run(connection: ClientConnection, code: str) -> list[dict[str, Any]]:
    """Everything that a kernel says about *code*."""
    number = uuid.uuid4().hex
    header = {"msg_id": number, "msg_type": "execute_request", "session": "s", "username": "", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    asked = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    connection.send(json.dumps(asked))
    heard = []
    while True:
        said = json.loads(connection.recv(timeout=PATIENCE))
        if said["parent_header"].get("msg_id") != number:
            continue
        heard.append(said)
        if said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
            return heard


def test_a_little_more_is_shared_each_time_and_bob_can_do_a_little_more(site: Site, ada: Rest, bob: Rest) -> None:
    assert ada("PUT", f"{CONTENTS}/shared.ipynb", json=NOTEBOOK).is_success
    assert bob("GET", CONTENTS).status_code == 403

    share(ada, READ)
    soon(bob, "GET", f"{CONTENTS}/shared.ipynb", status=200)
    saved = bob("PUT", f"{CONTENTS}/shared.ipynb", json=NOTEBOOK)
    started = bob("POST", "/user/ada/api/kernels", json={})
    assert (saved.status_code, started.status_code) == (403, 403)

    share(ada, WRITE)
    soon(bob, "PUT", f"{CONTENTS}/shared.ipynb", NOTEBOOK, status=200)
    assert bob("POST", "/user/ada/api/kernels", json={}).status_code == 403

    share(ada, EXECUTE)
    kernel = soon(bob, "POST", "/user/ada/api/kernels", {}, status=201).json()["id"]
    with open_socket(site, f"api/kernels/{kernel}/channels", bob.headers) as channel:
        heard = run(channel, "print(6 * 7)")
    assert [said["content"]["text"] for said in heard if said["msg_type"] == "stream"] == ["42\n"]

    share(ada, READ)
    soon(bob, "GET", CONTENTS, status=200)
    gone = bob("DELETE", f"/user/ada/api/kernels/{kernel}")
    assert gone.status_code == 403, gone.text
    with open_socket(site, f"api/kernels/{kernel}/channels", bob.headers) as channel:
        refused = run(channel, "print(6 * 7)")
    assert [said["msg_type"] for said in refused] == ["error", "execute_reply", "status"]


@pytest.mark.parametrize("how", ["PATCH some", "PATCH all", "DELETE", "leave"])
def test_what_is_taken_back_closes_open_websockets_within_a_second(site: Site, ada: Rest, bob: Rest, how: str) -> None:
    share(ada, EXECUTE)
    if how == "PATCH some":
        ada("POST", "/hub/api/shares/ada/", json={"user": "bob", "scopes": [READ]})
    soon(bob, "GET", CONTENTS, status=200)
    with open_socket(site, "api/events/subscribe", bob.headers) as connection:
        began = time.monotonic()
        answer = {
            "PATCH some": lambda: ada("PATCH", "/hub/api/shares/ada/", json={"user": "bob", "scopes": [EXECUTE]}),
            "PATCH all": lambda: ada("PATCH", "/hub/api/shares/ada/", json={"user": "bob"}),
            "DELETE": lambda: ada("DELETE", "/hub/api/shares/ada/"),
            "leave": lambda: bob("DELETE", "/hub/api/users/bob/shared/ada/"),
        }[how]()

        assert answer.is_success
        assert is_closed_soon(connection, began)
    if how == "PATCH some":
        soon(bob, "GET", CONTENTS, status=200)
        assert bob("PUT", f"{CONTENTS}/y.txt", json=NOTEBOOK).status_code == 403
    else:
        soon(bob, "GET", CONTENTS, status=403)


def test_an_owner_s_own_websocket_is_let_be(site: Site, ada: Rest, bob: Rest) -> None:
    share(ada, READ)
    soon(bob, "GET", CONTENTS, status=200)
    with open_socket(site, "api/events/subscribe", ada.headers) as connection:
        ada("DELETE", "/hub/api/shares/ada/")

        assert not is_closed_soon(connection, time.monotonic())


def test_a_link_is_made_opened_and_taken_in_a_browser(site: Site, ada: Rest) -> None:
    """
    And one for more afterwards, at once: the browser has an identity for less, made a moment ago.
    """
    with Visitor(site, "bob") as browser:
        browser.sign_in()
        for scope, status in ((READ, 403), (WRITE, 200)):
            link = ada("POST", "/hub/api/share-codes/ada/", json={"scopes": [scope]}).json()["accept_url"]
            code = link.partition("code=")[2]

            page = browser.submit(link, code=code, next="/user/ada/lab/tree/shared.ipynb")
            assert page.status_code == 200, page.text
            assert page.url.path == "/user/ada/lab/tree/shared.ipynb"
            assert "perijoveRights" in page.text
            assert ('"read write"' in page.text) is (status == 200)
