"""
A web application that knows nothing of perijove, as a service that perijove guards.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx
import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve

from perijove.kit.clock import SystemClock
from perijove.kit.jws import Verifier
from perijove.wire.identity import HUB_COOKIES, IDENTITY_COOKIE, IDENTITY_HEADER, IdentityClaims
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import PATIENCE, Site, eventually, running_site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(180)

#: seconds within which whoever lost a right is out (wire/control.py)
SOON: Final = 1.0
ROOT_TOKEN: Final = "fedcba9876543210fedcba9876543210"
PATHS: Final = ("/services/board/", "/services/late/")


def see(_connection: ServerConnection, request: Request) -> Response | None:
    """A page that tells what the application has been sent; and no more than an echo on its WebSockets."""
    if "upgrade" in request.headers:
        return None
    body = json.dumps({"path": request.path, "fields": list(request.headers.raw_items())}).encode()
    own = Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), "Set-Cookie": "theme=dark"})
    return Response(200, "OK", own, body)


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


@pytest.fixture(scope="module")
def application() -> Iterator[int]:
    """Where the application listens."""
    server: Server
    with serve(echo, "127.0.0.1", 0, process_request=see) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield int(server.socket.getsockname()[1])
        server.shutdown()
        thread.join(PATIENCE)


@pytest.fixture(scope="module")
def site(application: int) -> Iterator[Site]:
    """It is guarded from the start as `board`, and added as `late`; members of the group `class` may enter."""
    url = f"http://127.0.0.1:{application}"
    config = f"""{OPEN_HOUSE}
c.JupyterHub.services += [
    {{"name": "root", "api_token": "{ROOT_TOKEN}", "admin": True}},
    {{"name": "board", "api_token": "a-token-of-the-board", "url": "{url}", "access": "gated"}},
]
c.JupyterHub.load_groups = {{"class": {{"users": ["ada", "eve"]}}}}
c.JupyterHub.load_roles.append({{"name": "readers", "groups": ["class"], "scopes": [
    "access:services!service=board", "access:services!service=late"]}})
"""
    with running_site(config) as running:
        with Rest(running, ROOT_TOKEN) as root:
            for name in ("bob", "services"):
                root.user(name)
            added = root("POST", "/hub/api/services/late", json={"url": url, "access": "gated"})
            assert (added.status_code, added.json()["access"]) == (201, "gated")
        yield running


@pytest.fixture
def ada(site: Site) -> Iterator[Visitor]:
    with Visitor(site, "ada") as visitor:
        visitor.sign_in()
        yield visitor


def token_of(site: Site, name: str, **stated: Any) -> str:
    with Rest(site, ROOT_TOKEN) as root:
        return str(root("POST", f"/hub/api/users/{name}/tokens", json=stated).json()["token"])


def claims_of(site: Site, fields: Mapping[str, str], audience: str) -> IdentityClaims:
    """Who came, as an application finds out that wants to know."""
    keys = httpx.get(f"{site.origin}/hub/api/identity-keys", trust_env=False).json()["keys"]
    statement = fields[IDENTITY_HEADER.lower()]
    return IdentityClaims.from_claims(Verifier(keys).verify(statement, audience=audience, now=SystemClock().now()))


def sent(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {name.lower(): value for name, value in answer.json()["fields"]}


def open_socket(site: Site, cookie: str) -> ClientConnection:
    headers = {"Cookie": cookie, "Origin": site.origin}
    return connect(
        f"ws://127.0.0.1:{site.port}/services/board/live", additional_headers=headers, open_timeout=PATIENCE, proxy=None
    )


@pytest.mark.parametrize("path", PATHS)
def test_whoever_may_enter_is_in_and_the_application_gets_no_key_of_the_hub(
    site: Site, ada: Visitor, path: str
) -> None:
    answer = ada.get(f"{path}page?x=1")

    fields = sent(answer)
    claims = claims_of(site, fields, path.rstrip("/"))
    assert (claims.sub, answer.json()["path"]) == ("ada", f"{path}page?x=1")
    assert "authorization" not in fields
    assert not any(name in fields.get("cookie", "") for name in (IDENTITY_COOKIE, *HUB_COOKIES))
    # Its own cookie is kept to its own path.
    assert "theme=dark" in sent(ada.get(path))["cookie"]
    assert "theme" not in ada.cookies_for("/hub/home")


def test_the_statement_for_one_service_opens_no_other(site: Site, ada: Visitor) -> None:
    ada.get(PATHS[0])
    stolen = next(p for p in ada.cookies_for(PATHS[0]).split("; ") if p.startswith(IDENTITY_COOKIE))

    for path in (PATHS[1], "/user/ada/api/contents", "/user/services/"):
        answer = httpx.get(f"{site.origin}{path}", headers={"Cookie": stolen}, trust_env=False)
        assert answer.status_code in {302, 303, 403}, path


@pytest.mark.parametrize("name", ["bob", "services"])
def test_whoever_may_not_enter_does_not(site: Site, name: str) -> None:
    """
    Nobody gets in by being called what addresses of services begin with, either.
    """
    with Visitor(site, name) as visitor:
        visitor.sign_in()
        for path in PATHS:
            answer = visitor.get(path)
            assert (answer.status_code, IDENTITY_COOKIE in visitor.cookies_for(path)) == (403, False)


def test_strangers_sign_in_first_and_scripts_are_told_no(site: Site) -> None:
    with Visitor(site, "ada") as visitor:
        assert visitor.get(PATHS[0]).url.path == "/hub/login"
        landed = visitor.submit(PATHS[0], username="ada", password="any")
        assert landed.url.path == PATHS[0]
    forged = {IDENTITY_HEADER: "e30.e30.e30", "Accept": "application/json"}
    assert httpx.get(f"{site.origin}{PATHS[0]}", headers=forged, trust_env=False).status_code == 403
    with pytest.raises(InvalidStatus), open_socket(site, f"{IDENTITY_COOKIE}=e30.e30.e30"):
        raise AssertionError("let in")


def test_a_token_works_as_far_as_it_goes(site: Site) -> None:
    def come(token: str) -> httpx.Response:
        headers = {"Authorization": f"token {token}"}
        return httpx.get(f"{site.origin}{PATHS[0]}", headers=headers, trust_env=False, timeout=PATIENCE)

    fields = sent(come(token_of(site, "ada")))

    assert claims_of(site, fields, "/services/board").sub == "ada"
    assert "authorization" not in fields
    assert come(token_of(site, "ada", scopes=["access:servers!user"])).status_code == 403
    assert come(token_of(site, "bob")).status_code == 403


def test_who_loses_the_right_is_out_within_a_second(site: Site) -> None:
    with Visitor(site, "eve") as eve, Rest(site, ROOT_TOKEN) as root:
        eve.sign_in()
        sent(eve.get(PATHS[0]))
        cookie = eve.cookies_for(PATHS[0])
        with open_socket(site, cookie) as socket:
            socket.send("still here")
            assert socket.recv(timeout=PATIENCE) == "still here"

            began = time.monotonic()
            answer = root("DELETE", "/hub/api/groups/class/users", json={"users": ["eve"]})

            assert answer.status_code == 200
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=SOON)
            assert time.monotonic() - began < SOON
        assert eve.get(PATHS[0]).status_code == 403


def test_signing_out_closes_the_service_too(site: Site) -> None:
    with Visitor(site, "ada") as visitor:
        visitor.sign_in()
        sent(visitor.get(PATHS[0]))
        cookie = visitor.cookies_for(PATHS[0])
        visitor.press("/hub/home", "/hub/logout")

        headers = {"Cookie": cookie, "Accept": "application/json"}
        answer = eventually(
            lambda: httpx.get(f"{site.origin}{PATHS[0]}", headers=headers, trust_env=False), within=SOON
        )

    assert answer.status_code == 403


def test_a_removed_service_is_gone(site: Site, application: int) -> None:
    with Rest(site, ROOT_TOKEN) as root:
        body = {"url": f"http://127.0.0.1:{application}", "access": "gated"}
        assert root("POST", "/hub/api/services/brief", json=body).status_code == 201
        assert root("GET", "/services/brief/").status_code == 200
        assert root("DELETE", "/hub/api/services/brief").status_code == 200

        gone = root("GET", "/services/brief/")
        assert (gone.status_code, gone.headers["location"]) == (302, "/hub/services/brief/")
