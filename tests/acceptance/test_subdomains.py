"""
Everybody has an origin of their own, in a real deployment: servers, services, and JupyterHub's own programs in them.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.acceptance.test_oauth import PEER, SERVICE_TOKEN, WHOAMI, agree, configuration
from tests.support.loopback import loopback_names
from tests.support.passwords import PASSWORD
from tests.support.rest import OPEN_HOUSE, TOKEN, Rest
from tests.support.site import PATIENCE, Site, eventually, free_port, unstarted_site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(180)
needs_peer = pytest.mark.skipif(
    not PEER, reason="JupyterHub is not here: PERIJOVE_TEST_PEER=$(script/environment peer)"
)

#: Seconds within which whoever signed out is out (wire/control.py).
SOON: Final = 1.0
SIBLING: Final = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}


@contextmanager
def split_site(config: str) -> Iterator[Site]:
    """A perijove at hub.localhost."""
    with loopback_names(), unstarted_site(config) as made:
        made.origin = f"http://hub.localhost:{made.port}"
        made.add(f"c.JupyterHub.subdomain_host = {made.origin!r}")
        made.start()
        yield made


def origin_of(site: Site, name: str) -> str:
    return f"http://{name}.hub.localhost:{site.port}"


def start(rest: Rest, name: str) -> None:
    """The default server of *name*, and wait until it is ready."""
    rest("POST", f"/hub/api/users/{name}/server")
    eventually(lambda: rest("GET", f"/hub/api/users/{name}").json()["servers"].get("", {}).get("ready"))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One in which ada and bea have running servers, and a service that nobody runs."""
    board = {"name": "board", "url": "http://127.0.0.1:9", "api_token": "a-secret-of-board"}
    with split_site(f"{OPEN_HOUSE}c.JupyterHub.services.append({board!r})\n") as running:
        with Rest(running) as rest:
            for name in ("ada", "bea"):
                rest.user(name)
                start(rest, name)
        yield running


@pytest.fixture
def ada(site: Site) -> Iterator[Visitor]:
    with Visitor(site, "ada") as visitor:
        visitor.sign_in()
        visitor.get(f"{origin_of(site, 'ada')}/user/ada/api/status")
        yield visitor


def test_signing_in_leads_into_the_own_server_at_its_own_host(site: Site) -> None:
    with Visitor(site, "ada") as visitor:
        page = visitor.sign_in()
        status = visitor.get(f"{origin_of(site, 'ada')}/user/ada/api/status")

    assert str(page.url) == f"{origin_of(site, 'ada')}/user/ada/lab"
    assert page.status_code == 200
    assert '"hubHost": "' + site.origin in page.text
    assert '"fullStaticUrl": "/hub/lab-assets/' in page.text
    assert status.json()["kernels"] == 0


def test_a_link_at_the_hub_s_host_leads_to_the_right_one(site: Site, ada: Visitor) -> None:
    page = ada.get("/user/ada/lab/tree?x=1")

    assert str(page.url) == f"{origin_of(site, 'ada')}/user/ada/lab/tree?x=1"


def test_at_her_host_there_is_nothing_of_anybody_else(site: Site, ada: Visitor) -> None:
    other = ada.get(f"{origin_of(site, 'ada')}/user/bea/api/status")
    hers = ada.get(f"{origin_of(site, 'bea')}/user/bea/api/status")

    # The hub says at its own host that there is no such server, to her.
    assert (other.status_code, hers.status_code) == (404, 404)
    assert urlsplit(str(other.url)).netloc == urlsplit(site.origin).netloc


def test_at_her_host_there_is_nothing_of_the_hub(site: Site, ada: Visitor) -> None:
    own = origin_of(site, "ada")
    led = [ada.led_from(f"{own}/hub/{page}") for page in ("home", "api/user", "token")]
    with httpx.Client(headers={**SIBLING, "Sec-Fetch-Site": "same-origin"}, trust_env=False) as script:
        refused = [script.get(f"{own}/hub/{page}").status_code for page in ("home", "api/user", "login")]
        public = script.get(f"{own}/hub/static/style.css").status_code

    assert led == [f"{site.origin}/hub/{page}" for page in ("home", "api/user", "token")]
    assert refused == [421, 421, 421]
    assert public == 200


def test_a_page_of_another_host_gets_nothing_although_the_cookies_come_along(site: Site, ada: Visitor) -> None:
    """
    To browsers all users are one site: `SameSite` does not keep them apart.
    """
    url = f"{origin_of(site, 'ada')}/user/ada/api/contents"
    sent = {"Cookie": ada.cookies_for("/user/ada/")}
    foreign = {**SIBLING, "Origin": origin_of(site, "bea")}
    with httpx.Client(trust_env=False) as client:
        own = client.get(url, headers={**sent, **SIBLING, "Sec-Fetch-Site": "same-origin"})
        read = client.get(url, headers={**sent, **foreign})
        included = client.get(url, headers={**sent, **SIBLING, "Sec-Fetch-Mode": "no-cors"})
        posted = client.post(url, headers={**sent, **foreign}, json={})

    assert own.status_code == 200
    assert [answer.status_code for answer in (read, included, posted)] == [403, 403, 403]
    assert "access-control-allow-origin" not in own.headers


def test_only_her_own_page_opens_a_websocket(site: Site, ada: Visitor) -> None:
    address = f"ws://ada.hub.localhost:{site.port}/user/ada/api/events/subscribe"
    sent = {"Cookie": ada.cookies_for("/user/ada/")}
    own, other = ({**sent, "Origin": origin_of(site, name)} for name in ("ada", "bea"))

    with connect(address, additional_headers=own, open_timeout=PATIENCE, proxy=None):
        pass
    with (
        pytest.raises(InvalidStatus) as refusal,
        connect(address, additional_headers=other, open_timeout=PATIENCE, proxy=None),
    ):
        pass
    assert refusal.value.response.status_code == 403


def test_a_token_opens_the_server_at_its_host_and_the_api_at_the_hub_s(site: Site) -> None:
    token = {"Authorization": f"token {TOKEN}"}
    with httpx.Client(headers=token, trust_env=False) as client:
        server = client.get(f"{origin_of(site, 'ada')}/user/ada/api/status")
        user = client.get(f"{site.origin}/hub/api/users/ada").json()
        astray = client.get(f"{origin_of(site, 'ada')}/hub/api/users/ada")
        routes = client.get(f"{site.origin}/hub/api/proxy").json()

    assert server.status_code == 200
    assert user["server"] == f"{origin_of(site, 'ada')}/user/ada/"
    assert user["servers"][""]["full_url"] == user["server"]
    assert astray.status_code == 421
    assert {path.rstrip("/") for path in routes} >= {
        "/ada.hub.localhost/user/ada",
        "/bea.hub.localhost/user/bea",
        "/board--service.hub.localhost/services/board",
    }


def test_signing_out_ends_it_at_her_own_host(site: Site) -> None:
    url = f"{origin_of(site, 'ada')}/user/ada/api/status"
    with Visitor(site, "ada") as visitor:
        visitor.sign_in()
        visitor.get(url)
        sent = {"Cookie": visitor.cookies_for("/user/ada/")}
        visitor.submit("/hub/logout")
        ended = time.monotonic()
        eventually(lambda: httpx.get(url, headers=sent, trust_env=False).status_code == 403, within=SOON)

    assert time.monotonic() - ended < SOON


def test_a_stolen_statement_is_of_no_use_without_the_browser(site: Site, ada: Visitor) -> None:
    url = f"{origin_of(site, 'ada')}/user/ada/api/status"
    cookies = dict(pair.split("=", 1) for pair in ada.cookies_for("/user/ada/").split("; "))
    statement = f"perijove-identity={cookies['perijove-identity']}"
    bound = f"{statement}; perijove-browser={cookies['perijove-browser']}"
    answers = [httpx.get(url, headers={"Cookie": sent}, trust_env=False) for sent in (bound, statement)]

    assert [answer.status_code for answer in answers] == [200, 403]


def test_a_visit_starts_a_stopped_server_and_so_does_a_change_in_a_page_left_open(site: Site) -> None:
    with Rest(site) as rest, Visitor(site, "cleo") as cleo:
        cleo.submit("/hub/login?next=/hub/home", username="cleo", password=PASSWORD)
        url = f"{origin_of(site, 'cleo')}/user/cleo/lab"
        eventually(lambda: str(cleo.get(url).url) == url)
        page = cleo.get(url)
        sent = {"Cookie": cleo.cookies_for("/user/cleo/")}
        xsrf = dict(pair.split("=", 1) for pair in sent["Cookie"].split("; "))["_xsrf"]
        rest.stop("cleo")
        polled = httpx.get(
            f"{origin_of(site, 'cleo')}/user/cleo/api/kernels",
            headers={**SIBLING, "Sec-Fetch-Site": "same-origin", **sent},
            trust_env=False,
        )
        save = partial(
            httpx.put,
            f"{origin_of(site, 'cleo')}/user/cleo/api/contents/left-open.txt",
            json={"type": "file", "format": "text", "content": "still here"},
            headers={**SIBLING, "Sec-Fetch-Site": "same-origin", "X-XSRFToken": xsrf, **sent},
            trust_env=False,
            timeout=PATIENCE,
        )
        again, saved = save(), save()

    assert (page.status_code, str(page.url)) == (200, url)
    assert polled.status_code == 424
    assert f"Restart the server at {site.origin}/hub/spawn/cleo" in polled.json()["message"]
    assert (again.status_code, again.headers["location"]) == (307, "/user/cleo/api/contents/left-open.txt")
    assert saved.status_code == 201, saved.text


@pytest.fixture(scope="module")
def peers_site() -> Iterator[tuple[Site, int]]:
    """A perijove whose people's servers are JupyterHub's, and the port of a service."""
    port = free_port()
    with split_site(configuration(port)) as running:
        yield running, port


@needs_peer
def test_jupyterhub_s_own_server_signs_people_in_at_their_host(peers_site: tuple[Site, int]) -> None:
    site, _ = peers_site
    own = origin_of(site, "ada")
    with Visitor(site, "ada") as ada, Rest(site) as rest:
        ada.sign_in()
        eventually(lambda: rest("GET", "/hub/api/users/ada").json()["servers"].get("", {}).get("ready"), within=90)
        page = ada.get(f"{own}/user/ada/files/nothing.txt")
        inside = ada.get(f"{own}/user/ada/api/status")
        left = ada.get(f"{own}/user/ada/logout")

    # There is no such file, says the server itself, which knows who asks.
    assert (page.status_code, urlsplit(str(page.url)).netloc) == (404, urlsplit(own).netloc)
    assert page.headers["x-jupyterhub-version"] == "6.1.1"
    assert inside.status_code == 200, inside.text
    assert str(left.url).startswith(f"{site.origin}/hub/log")


@needs_peer
def test_a_service_written_for_jupyterhub_signs_people_in_at_its_host(peers_site: tuple[Site, int]) -> None:
    site, port = peers_site
    own = origin_of(site, "whoami--service")
    environment = {
        "PATH": os.environ["PATH"],
        "JUPYTERHUB_SERVICE_NAME": "whoami",
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}",
        "JUPYTERHUB_SERVICE_PREFIX": "/services/whoami/",
        "JUPYTERHUB_API_TOKEN": SERVICE_TOKEN,
        "JUPYTERHUB_API_URL": f"http://127.0.0.1:{site.hub_port}/hub/api",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_HOST": site.origin,
        "JUPYTERHUB_CLIENT_ID": "service-whoami",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{own}/services/whoami/oauth_callback",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:services", "access:services!service=whoami"]',
    }
    with (site.folder / "whoami.log").open("wb") as log, Visitor(site, "nina") as nina:
        process = subprocess.Popen(
            [f"{PEER}/bin/python", str(WHOAMI)], env=environment, cwd="/", stdout=log, stderr=subprocess.STDOUT
        )
        try:
            nina.submit("/hub/login?next=/hub/home", username="nina", password=PASSWORD)
            eventually(lambda: nina.get(f"{own}/services/whoami/").status_code < 500)
            asked = nina.get("/services/whoami/")
            told = agree(asked, nina)
        finally:
            process.kill()
            process.wait(timeout=PATIENCE)

    assert "Service whoami" in asked.text
    assert str(told.url) == f"{own}/services/whoami/"
    assert told.json()["name"] == "nina"
