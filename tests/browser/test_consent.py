"""
An application on another origin asks somebody who they are, in a real browser: the way there and back is held to the
page's content policy, the cookies' rules and Fetch-Metadata, which no other client knows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.test_pages import NAMELESS, TOO_WIDE
from tests.support.lab import Person
from tests.support.site import Site, running_site


@dataclass
class Application:
    """A web application that shows one page everywhere, and remembers what it was asked."""

    server: ThreadingHTTPServer
    #: the page; set when the site is there
    page: bytes = b"an application"
    asked: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.server.server_port}"


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    found: list[Application] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        found[0].asked.append(handler.path)
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.end_headers()
        handler.wfile.write(found[0].page)

    kind = type("Handler", (BaseHTTPRequestHandler,), {"do_GET": answer, "log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    found.append(Application(server))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found[0]
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


@pytest.fixture(scope="module")
def site_with_it(application: Application) -> Iterator[Site]:
    config = f"""
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.services = [{{
    "name": "app", "api_token": "a-secret-of-app", "oauth_redirect_uri": "{application.origin}/callback",
    "oauth_client_allowed_scopes": ["read:servers!user", "tokens!user"],
}}]
c.JupyterHub.load_roles = [{{"name": "user", "scopes": ["self", "access:services"]}}]
"""
    with running_site(config) as site:
        yield site


def request_of(site: Site, application: Application) -> str:
    asked = {
        "client_id": "service-app",
        "redirect_uri": f"{application.origin}/callback",
        "response_type": "code",
        "state": "a state",
    }
    return f"{site.origin}/hub/api/oauth2/authorize?{urlencode(asked)}"


def test_an_application_of_another_origin_is_answered_through_the_page(
    browser: Browser, site_with_it: Site, application: Application
) -> None:
    """
    From a link there, over the sign-in, to the page that asks; by keyboard back to the application.
    """
    link = request_of(site_with_it, application)
    application.page = f'<a href="{link.replace("&", "&amp;")}">Sign in</a>'.encode()
    person = Person(browser, site_with_it, "ada")
    faults: list[str] = []
    person.page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)

    person.open(application.origin)
    person.page.get_by_role("link", name="Sign in").click()
    person.sign_in()
    expect(person.page.get_by_role("heading", name="Allow access?")).to_be_visible()
    person.page.set_viewport_size({"width": 390, "height": 844})
    nameless, too_wide = person.page.evaluate(NAMELESS), person.page.evaluate(TOO_WIDE)
    person.page.get_by_label("Read, create and revoke tokens of users: your own only.").uncheck()
    person.page.get_by_role("button", name="Allow", exact=True).press("Enter")
    person.page.wait_for_url(f"{application.origin}/callback?*")

    answer = parse_qs(urlsplit(person.page.url).query)
    assert (answer["state"], len(answer["code"][0])) == (["a state"], 30)
    assert (faults, nameless, too_wide) == ([], [], False)
    person.close()


def test_script_of_another_site_cannot_agree_for_anybody(
    browser: Browser, site_with_it: Site, application: Application
) -> None:
    """
    Neither by a form that it sends, nor by the page in a frame.
    """
    link = request_of(site_with_it, application)
    person = Person(browser, site_with_it, "eve")
    person.open(f"/hub/login?next={quote('/hub/home', safe='')}")
    person.sign_in()
    person.page.wait_for_url("**/hub/home")
    application.page = f"""
<form method="post" action="{link.replace("&", "&amp;")}"><input name="scopes" value="tokens!user"><button>Win</button>
</form><iframe src="{link.replace("&", "&amp;")}"></iframe>""".encode()
    application.asked.clear()

    person.open(application.origin)
    framed = person.page.frames[1].content()
    person.page.get_by_role("button", name="Win").click()
    person.page.wait_for_url(f"{site_with_it.origin}/**")

    assert "_xsrf" not in framed
    assert "code=" not in person.page.url
    assert not [path for path in application.asked if "code" in path]
    person.close()
