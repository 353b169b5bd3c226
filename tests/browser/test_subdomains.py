"""
Everybody has an origin of their own: people notice nothing but the address, and scripts meet a wall.

Chromium leads names below `localhost` to this machine by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from perijove.wire.identity import BROWSER_COOKIES, IDENTITY_COOKIE
from tests.support.lab import Person
from tests.support.loopback import loopback_names
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import Site, eventually, unstarted_site

#: ada may enter bea's server, so that what keeps her scripts out is the wall and not the door
_TUTOR = '{"name": "tutor", "users": ["ada"], "scopes": ["access:servers!user=bea", "read:servers!user=bea"]}'


@pytest.fixture(scope="module")
def split_site() -> Iterator[Site]:
    """One at hub.localhost, in which bea has a running server."""
    with loopback_names(), unstarted_site(OPEN_HOUSE) as made:
        made.origin = f"http://hub.localhost:{made.port}"
        made.add(f"c.JupyterHub.subdomain_host = {made.origin!r}\nc.JupyterHub.load_roles.append({_TUTOR})")
        made.start()
        with Rest(made) as rest:
            rest.user("bea")
            rest("POST", "/hub/api/users/bea/server")
            eventually(lambda: rest("GET", "/hub/api/users/bea").json()["servers"].get("", {}).get("ready"))
        yield made


@pytest.fixture
def ada(browser: Browser, split_site: Site) -> Iterator[Person]:
    """Signed in, in JupyterLab."""
    person = Person(browser, split_site, "ada")
    person.open("/")
    person.sign_in()
    person.wait_for_lab()
    yield person
    person.close()


def origin_of(site: Site, name: str) -> str:
    return f"http://{name}.hub.localhost:{site.port}"


def test_signing_in_at_the_hub_leads_into_jupyterlab_at_the_own_host_where_code_runs(
    ada: Person, split_site: Site
) -> None:
    ada.page.goto(f"{origin_of(split_site, 'ada')}/user/ada/lab?reset")
    ada.wait_for_lab()
    ada.new_notebook()
    ada.output_of(0, "print(6 * 7)", "42")

    assert ada.page.url.startswith(f"{origin_of(split_site, 'ada')}/user/ada/lab")
    found = {(c.get("name"), c.get("domain")) for c in ada.context.cookies()}
    assert (IDENTITY_COOKIE, "ada.hub.localhost") in found
    assert (BROWSER_COOKIES[0], "ada.hub.localhost") in found
    assert ("jupyterhub-hub-login", "hub.localhost") in found


FETCH = """
([address, mode]) => fetch(address, { credentials: "include", mode })
  .then(answer => answer.type === "opaque" ? "opaque" : answer.text(), () => "refused")
"""

FRAMED = """
address => new Promise(done => {
  const frame = document.createElement("iframe");
  frame.onload = () => {
    let seen = "nothing";
    try { seen = frame.contentDocument.documentElement.textContent; } catch { seen = "nothing"; }
    frame.remove();
    done(seen);
  };
  frame.src = address;
  document.body.append(frame);
})
"""

INCLUDED = """
address => new Promise(done => {
  const script = document.createElement("script");
  script.onload = () => done("loaded");
  script.onerror = () => done("refused");
  script.src = address;
  document.body.append(script);
})
"""

SOCKET = """
address => new Promise(done => {
  const socket = new WebSocket(address);
  socket.onopen = () => done("open");
  socket.onerror = () => done("refused");
})
"""


def test_a_script_at_her_host_reads_nothing_of_the_hub_and_nothing_of_another_server(
    ada: Person, split_site: Site
) -> None:
    """
    Her cookies for all three come along: to browsers they are one site.
    """
    bea = origin_of(split_site, "bea")
    tab = ada.context.new_page()
    tab.goto(f"{bea}/user/bea/lab")
    tab.locator("#jp-MainLogo").wait_for(state="attached")
    tab.close()
    page = ada.page
    own = f"{origin_of(split_site, 'ada')}/user/ada/api/status"
    theirs = [f"{split_site.origin}/hub/home", f"{split_site.origin}/hub/api/user", f"{bea}/user/bea/api/contents"]

    assert "kernels" in page.evaluate(FETCH, [own, "cors"])
    assert [page.evaluate(FETCH, [address, "cors"]) for address in theirs] == ["refused"] * 3
    assert [page.evaluate(FRAMED, address) for address in theirs] == ["nothing"] * 3
    assert page.evaluate(INCLUDED, f"{bea}/user/bea/api/contents") == "refused"
    assert page.evaluate(SOCKET, f"{bea.replace('http', 'ws')}/user/bea/api/events/subscribe") == "refused"


def test_a_script_at_her_host_has_no_hub_there(ada: Person, split_site: Site) -> None:
    """
    The proxy sends what has no route to the hub, whatever the host.
    """
    status = "address => fetch(address).then(answer => answer.status, () => 0)"
    refused = [ada.page.evaluate(status, address) for address in ("/hub/home", "/hub/api/user", "/hub/login")]
    posted = ada.page.evaluate("() => fetch('/hub/login', {method: 'POST'}).then(answer => answer.status)")

    assert refused == [421, 421, 421]
    assert posted == 421
    ada.page.goto(f"{origin_of(split_site, 'ada')}/hub/home")
    assert ada.page.url == f"{split_site.origin}/hub/home"
    expect(ada.page.get_by_role("link", name="Open").first).to_have_attribute(
        "href", f"{origin_of(split_site, 'ada')}/user/ada/lab"
    )


def test_the_buttons_of_the_hub_lead_to_her_host(ada: Person, split_site: Site) -> None:
    """
    Among them forms, whose policy also holds for the redirects that answer them.
    """
    page = ada.page
    page.goto(f"{split_site.origin}/hub/home")
    page.click("[aria-label='Stop My server']")
    page.locator("[aria-label='Start My server']").click()
    ada.wait_for_lab()

    assert page.url.startswith(f"{origin_of(split_site, 'ada')}/user/ada/lab")


def test_signing_out_at_the_hub_ends_the_page_of_the_server(ada: Person, split_site: Site) -> None:
    page = ada.context.new_page()
    page.goto(f"{split_site.origin}/hub/logout")
    page.click("form [type=submit]")
    page.wait_for_url("**/hub/login*")
    status = "() => fetch('/user/ada/api/status').then(answer => answer.status, () => 0)"

    eventually(lambda: ada.page.evaluate(status) == 403)
    ada.page.reload()
    expect(ada.page.locator("input[name=password]")).to_be_visible()
    assert ada.page.url.startswith(f"{split_site.origin}/hub/login")


def test_logging_out_in_jupyterlab_is_asked_about_at_the_hub(ada: Person, split_site: Site) -> None:
    """
    The hub takes no orders from another origin: a link anywhere would sign people out.
    """
    ada.page.evaluate("() => { location.href = '/user/ada/logout'; }")
    ada.page.wait_for_url(f"{split_site.origin}/hub/logout")
    ada.page.click("form [type=submit]")
    ada.page.wait_for_url("**/hub/login*")
