"""
Programs written for JupyterHub sign people in with perijove, unmodified: `jupyterhub-singleuser` as somebody's server,
a service with `jupyterhub.services.auth`.

They live in an environment without anything of ours (`script/environment peer`, named by PERIJOVE_TEST_PEER).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support.passwords import PASSWORD
from tests.support.rest import TOKEN, Rest
from tests.support.site import PATIENCE, Site, eventually, free_port, unstarted_site
from tests.support.visitor import Visitor

PEER: Final = os.environ.get("PERIJOVE_TEST_PEER", "")
pytestmark = [
    pytest.mark.skipif(not PEER, reason="JupyterHub is not here: PERIJOVE_TEST_PEER=$(script/environment peer)"),
    pytest.mark.timeout(180),
]

SERVICE_TOKEN: Final = "a-secret-of-whoami"
#: a client that knows nothing of JupyterHub; nobody listens there, the browser is stopped before
GENERIC_SECRET: Final = "a-secret-of-generic"
GENERIC_CALLBACK: Final = "http://127.0.0.1:9/callback?tenant=1"
NODE_CALLBACK: Final = "http://127.0.0.1:9/callback"
#: folder of npm's packages (`script/environment node`)
NODE: Final = os.environ.get("PERIJOVE_TEST_NODE", "")
OPENID_CLIENT: Final = Path(__file__).with_name("programs") / "openid_client.mjs"
WHOAMI: Final = Path(__file__).with_name("programs") / "whoami.py"
_CONSENT: Final = re.compile(r'name="scopes" value="([^"]*)"')
_XSRF: Final = re.compile(r'name="_xsrf" value="([^"]*)"')


def configuration(service_port: int) -> str:
    return f"""
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Perijove.activity_interval = 1
c.Perijove.oauth_require_pkce = True
c.Spawner.cmd = [{f"{PEER}/bin/jupyterhub-singleuser"!r}]
c.Spawner.http_timeout = 90
c.JupyterHub.services = [
    {{"name": "script", "api_token": "{TOKEN}"}},
    {{"name": "whoami", "api_token": "{SERVICE_TOKEN}", "url": "http://127.0.0.1:{service_port}"}},
    {{"name": "generic", "api_token": "{GENERIC_SECRET}", "oauth_redirect_uri": "{GENERIC_CALLBACK}",
      "oauth_client_allowed_scopes": ["read:servers!user", "tokens!user"]}},
    {{"name": "node", "api_token": "{GENERIC_SECRET}-2", "oauth_redirect_uri": "{NODE_CALLBACK}",
      "oauth_client_allowed_scopes": ["read:servers!user"]}},
]
c.JupyterHub.load_roles = [
    {{"name": "script", "services": ["script"], "scopes": ["admin:users", "admin:servers", "access:servers", "tokens",
                                                          "proxy"]}},
    {{"name": "user", "scopes": ["self", "access:services"]}},
    {{"name": "tutor", "users": ["tim"], "scopes": ["access:servers"]}},
]
"""


#: of ada's server; the server itself has no page of its own without JupyterLab
PAGE = "/user/ada/files/hello.txt"


@contextmanager
def service_of(site: Site, port: int) -> Iterator[None]:
    """The service, with the variables that its operator gives it (contract g)."""
    access = '["access:services", "access:services!service=whoami"]'
    environment = {
        "PATH": os.environ["PATH"],
        "JUPYTERHUB_SERVICE_NAME": "whoami",
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}",
        "JUPYTERHUB_SERVICE_PREFIX": "/services/whoami/",
        "JUPYTERHUB_API_TOKEN": SERVICE_TOKEN,
        "JUPYTERHUB_API_URL": f"http://127.0.0.1:{site.hub_port}/hub/api",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_CLIENT_ID": "service-whoami",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": "/services/whoami/oauth_callback",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": access,
    }
    log = (site.folder / "whoami.log").open("wb")
    process = subprocess.Popen(
        [f"{PEER}/bin/python", str(WHOAMI)], env=environment, cwd="/", stdout=log, stderr=subprocess.STDOUT
    )
    try:
        yield
    finally:
        process.kill()
        process.wait(timeout=PATIENCE)
        log.close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A perijove whose people's servers are JupyterHub's, and a service."""
    port = free_port()
    with unstarted_site(configuration(port)) as made:
        made.start()
        with service_of(made, port):
            yield made


@pytest.fixture
def rest(site: Site) -> Iterator[Rest]:
    with Rest(site) as client:
        yield client


@pytest.fixture
def ada(site: Site) -> Iterator[Visitor]:
    with Visitor(site, "ada") as visitor:
        visitor.sign_in()
        yield visitor


def opened(visitor: Visitor, path: str) -> httpx.Response:
    """The page at *path*, once whoever is there has started."""
    eventually(lambda: visitor.get(path).status_code < 500)
    return visitor.get(path)


def write_page(site: Site, rest: Rest) -> None:
    """Something to look at, whatever is installed beside the server."""
    token = rest("POST", "/hub/api/users/ada/tokens", json={}).json()["token"]
    written = httpx.put(
        f"{site.origin}/user/ada/api/contents/hello.txt",
        json={"type": "file", "format": "text", "content": "hello"},
        headers={"Authorization": f"token {token}"},
        trust_env=False,
        timeout=30,
    )
    assert written.status_code == 201, written.text


def agree(page: httpx.Response, visitor: Visitor) -> httpx.Response:
    """Send the form of the consent page as it is."""
    return visitor.post(str(page.url), form_of(page))


def form_of(page: httpx.Response) -> dict[str, str | list[str]]:
    found = _XSRF.search(page.text)
    assert found, page.text
    scopes = [unescape(scope) for scope in _CONSENT.findall(page.text)]
    return {"scopes": scopes, "_xsrf": unescape(found[1])}


def test_a_person_is_signed_in_to_jupyterhubs_own_server(site: Site, ada: Visitor, rest: Rest) -> None:
    """
    From the sign-in to a page of the server and its API, by redirects alone; nobody is asked, it is their own.
    """
    eventually(lambda: rest("GET", "/hub/api/users/ada").json()["servers"].get("", {}).get("ready"), within=90)
    write_page(site, rest)
    page = ada.get("/user/ada/api/status")
    told = ada.get(PAGE)
    inside = ada.get("/user/ada/api/status")

    assert "/hub/" not in str(told.url), told.url
    assert told.status_code == 200, told.text
    assert inside.status_code == 200, (page.text, inside.text)
    assert "last_activity" in inside.json()
    assert "jupyterhub-user-ada" in ada.cookies()
    stranger = httpx.get(f"{site.origin}/user/ada/api/status", trust_env=False)
    assert stranger.status_code == 403
    assert stranger.headers["X-JupyterHub-Version"] == "6.1.1"


def test_what_its_user_does_there_is_known_to_the_hub(ada: Visitor, rest: Rest) -> None:
    """
    `jupyterhub-singleuser` reports with its own token, which also is its secret as an OAuth client.
    """
    ada.get(PAGE)
    before = rest("GET", "/hub/api/users/ada").json()["servers"][""]["last_activity"]

    ada.get("/user/ada/api/contents")

    eventually(lambda: rest("GET", "/hub/api/users/ada").json()["servers"][""]["last_activity"] > before)


def test_a_token_opens_the_server_for_a_program(site: Site, rest: Rest, ada: Visitor) -> None:
    """
    The route is open: the token reaches the server, which asks the hub whose it is.
    """
    ada.get("/user/ada/api/status")
    rest.user("mallory")
    texts = [rest("POST", f"/hub/api/users/{name}/tokens", json={}).json()["token"] for name in ("ada", "mallory")]

    answers = [
        httpx.get(f"{site.origin}/user/ada/api/contents", headers={"Authorization": f"token {text}"}, trust_env=False)
        for text in texts
    ]

    assert [answer.status_code for answer in answers] == [200, 403]


def test_a_visitor_is_asked_and_may_leave_again(site: Site, rest: Rest, ada: Visitor) -> None:
    """
    Somebody else's server learns who comes only if they agree; signing out ends what it learned.
    """
    ada.get("/user/ada/api/status")
    with Visitor(site, "tim") as tim:
        tim.submit("/hub/login?next=/hub/home", username="tim", password=PASSWORD)
        asked = tim.get(PAGE)
        inside = agree(asked, tim)
        again = tim.get("/user/ada/api/contents")
        tokens = rest("GET", "/hub/api/users/tim/tokens").json()["api_tokens"]
        tim.submit("/hub/logout")
        left = rest("GET", "/hub/api/users/tim/tokens").json()["api_tokens"]

    assert "Server at /user/ada/" in asked.text
    assert urlsplit(str(inside.url)).path == PAGE, inside.text
    assert again.status_code == 200
    assert [token["oauth_client"] for token in tokens] == ["Server at /user/ada/"]
    assert "access:servers!server=ada/" in tokens[0]["scopes"]
    assert left == []


def test_who_may_not_enter_is_refused_before_anybody_is_asked(site: Site, ada: Visitor) -> None:
    ada.get("/user/ada/api/status")
    with Visitor(site, "bob") as bob:
        bob.submit("/hub/login?next=/hub/home", username="bob", password=PASSWORD)
        refused = bob.get(PAGE)

    assert refused.status_code == 403
    assert "Server at /user/ada/ is not open to you" in refused.text


def test_a_service_written_for_jupyterhub_signs_people_in(ada: Visitor) -> None:
    """
    `HubOAuthenticated` of an unmodified JupyterHub 6.1: consent, code with PKCE, token, whoami.
    """
    asked = opened(ada, "/services/whoami/")
    told = agree(asked, ada)
    again = ada.get("/services/whoami/")

    assert "Service whoami" in asked.text
    assert told.headers["Content-Type"].startswith("application/json"), told.text
    assert (told.json()["name"], told.json()["kind"]) == ("ada", "user")
    assert "access:services!service=whoami" in told.json()["scopes"]
    assert "servers!user=ada" not in told.json()["scopes"]
    assert again.json()["session_id"] == told.json()["session_id"]


def test_a_refusal_reaches_the_service(site: Site) -> None:
    with Visitor(site, "nina") as nina:
        nina.submit("/hub/login?next=/hub/home", username="nina", password=PASSWORD)
        asked = opened(nina, "/services/whoami/")
        found = _XSRF.search(asked.text)
        assert found
        refused = nina.post(str(asked.url), {"_xsrf": unescape(found[1]), "deny": "1"})

    assert parse_qs(urlsplit(str(refused.url)).query)["error"] == ["access_denied"]
    assert urlsplit(str(refused.url)).path == "/services/whoami/oauth_callback"
    assert refused.status_code == 400


def test_a_client_that_knows_nothing_of_jupyterhub_gets_a_token(site: Site, ada: Visitor) -> None:
    """
    Authlib's OAuth 2 client: code with PKCE, scopes, state, secret in the body (RFC 6749, RFC 7636).
    """
    authlib = pytest.importorskip("authlib.integrations.requests_client", reason="one of the test requirements")
    verifier = secrets.token_urlsafe(48)
    with authlib.OAuth2Session(
        "service-generic",
        GENERIC_SECRET,
        redirect_uri=GENERIC_CALLBACK,
        scope="read:servers!user",
        token_endpoint_auth_method="client_secret_post",
        code_challenge_method="S256",
    ) as client:
        client.trust_env = False
        url, state = client.create_authorization_url(f"{site.origin}/hub/api/oauth2/authorize", code_verifier=verifier)
        page = ada.get(url)
        answer = ada.led_from(url, form_of(page))
        token = client.fetch_token(
            f"{site.origin}/hub/api/oauth2/token", authorization_response=answer, state=state, code_verifier=verifier
        )
        told = client.get(f"{site.origin}/hub/api/user").json()
        servers = client.get(f"{site.origin}/hub/api/users/ada").json()
        tokens = client.get(f"{site.origin}/hub/api/users/ada/tokens")

    assert "Read names and states of servers: your own only." in page.text
    assert answer.startswith(f"{GENERIC_CALLBACK}&code=")
    assert (token["token_type"], "read:servers!user" in token["scope"]) == ("Bearer", True)
    assert told["name"] == "ada"
    assert "servers" in servers
    assert tokens.status_code in {403, 404}


@contextmanager
def node_program() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        ["/usr/bin/node", str(OPENID_CLIENT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"NODE_FOLDER": NODE, "PATH": os.environ["PATH"]},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def ask_program(process: subprocess.Popen[str], line: str) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


@pytest.mark.skipif(not NODE, reason="openid-client is not here: PERIJOVE_TEST_NODE=$(script/environment node)")
def test_a_client_from_npm_gets_a_token(site: Site, ada: Visitor) -> None:
    """
    `openid-client`, certified and strict: it checks what it is answered.
    """
    told = {
        "origin": site.origin,
        "id": "service-node",
        "secret": f"{GENERIC_SECRET}-2",
        "callback": NODE_CALLBACK,
        "scope": "read:servers!user",
    }
    with node_program() as program:
        address = ask_program(program, json.dumps(told))["address"]
        page = ada.get(address)
        got = ask_program(program, ada.led_from(address, form_of(page)))

    assert "Service node" in page.text
    assert (got["type"], got["user"]["name"]) == ("bearer", "ada")
    assert got["lasts"] > 0
    assert {"read:servers!user=ada", "access:services!service=node"} <= set(got["user"]["scopes"])
    assert "tokens!user=ada" not in got["user"]["scopes"]


def test_a_server_that_stops_loses_what_its_visitors_gave_it(site: Site, rest: Rest) -> None:
    """
    The last of this file: it stops the server.
    """
    with Visitor(site, "ada") as ada:
        ada.sign_in()
        eventually(lambda: rest("GET", "/hub/api/users/ada").json()["servers"].get("", {}).get("ready"), within=90)
        ada.get(PAGE)
        assert clients_of(rest, "ada") >= {"Server at /user/ada/"}

        rest.stop("ada")

        assert clients_of(rest, "ada") <= {"Service whoami", "Service generic", "Service node"}


def clients_of(rest: Rest, name: str) -> set[str]:
    tokens = rest("GET", f"/hub/api/users/{name}/tokens").json()["api_tokens"]
    return {token["oauth_client"] for token in tokens if token["session_id"]}
