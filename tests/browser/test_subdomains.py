"""
Everybody has an origin of their own: people notice nothing but the address, and scripts meet a wall.

Chromium leads names below `localhost` to this machine by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from perijove.wire.identity import BROWSER_COOKIES, IDENTITY_COOKIE
from tests.support.certificates import Authority
from tests.support.lab import Person
from tests.support.loopback import loopback_names
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import Site, eventually, unstarted_site

#: ada may enter bea's server, so that what keeps her scripts out is the wall and not the door
_TUTOR = '{"name": "tutor", "users": ["ada"], "scopes": ["access:servers!user=bea", "read:servers!user=bea"]}'
#: and each of them the other's
_GUESTS = ", ".join(
    f'{{"name": "guest-{who}", "users": ["{who}"], "scopes": ["access:servers!user={whose}"]}}'
    for who, whose in (("ada", "bea"), ("bea", "ada"))
)


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


@pytest.fixture(scope="module")
def secure_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One by https, where ada and bea may enter each other's servers."""
    files = Authority(tmp_path_factory.mktemp("tls")).issue("hub.localhost", "*.hub.localhost")
    with unstarted_site(OPEN_HOUSE, scheme="https") as made:
        made.origin = f"https://hub.localhost:{made.port}"
        made.add(
            f"c.JupyterHub.subdomain_host = {made.origin!r}\n"
            f"c.Perijove.ssl_cert, c.Perijove.ssl_key = {str(files.cert)!r}, {str(files.key)!r}\n"
            f"c.JupyterHub.load_roles += [{_GUESTS}]"
        )
        made.start()
        yield made


PLANT = """
pairs => {
  for (const [name, value, rest] of pairs) document.cookie = `${name}=${value}; ${rest}`;
}
"""


def test_over_tls_nobody_can_have_another_work_as_them(browser: Browser, secure_site: Site) -> None:
    """
    Bea may enter ada's server. With script at her own host she plants what lets her in there into ada's browser.
    """
    ada_s, bea_s = (f"https://{name}.hub.localhost:{secure_site.port}" for name in ("ada", "bea"))
    ada, bea = Person(browser, secure_site, "ada"), Person(browser, secure_site, "bea")
    for person in (ada, bea):
        person.open("/")
        person.sign_in()
        person.wait_for_lab()
    bea.open(f"{ada_s}/user/ada/lab")
    bea.page.locator("#jp-MainLogo").wait_for(state="attached")
    hers = {
        str(cookie.get("name")): str(cookie.get("value"))
        for cookie in bea.context.cookies()
        if cookie.get("domain") == "ada.hub.localhost"
    }
    ada.context.clear_cookies(name=IDENTITY_COOKIE, domain="ada.hub.localhost")
    ada.open(f"{bea_s}/user/bea/lab")
    ada.page.locator("#jp-MainLogo").wait_for(state="attached")
    plain, bound = BROWSER_COOKIES
    everywhere = "Domain=hub.localhost; Secure; Path="
    ada.page.evaluate(
        PLANT,
        [
            [IDENTITY_COOKIE, hers[IDENTITY_COOKIE], f"{everywhere}/user/ada/"],
            [bound, hers[bound], f"{everywhere}/"],
            [bound, hers[bound], "Secure; Path=/"],
            [plain, hers[bound], f"{everywhere}/"],
        ],
    )
    planted = [cookie for cookie in ada.context.cookies() if cookie.get("domain") == ".hub.localhost"]
    ada.open(f"{ada_s}/user/ada/lab")
    told = ada.page.locator("#jupyter-config-data").text_content() or ""
    cookies = {(cookie.get("name"), cookie.get("domain")): cookie for cookie in ada.context.cookies()}

    assert {cookie.get("name") for cookie in planted} >= {IDENTITY_COOKIE, plain}
    assert bound not in {cookie.get("name") for cookie in planted}
    assert '"hubUser": "ada"' in told
    assert all(cookies[bound, host].get("secure") for host in ("ada.hub.localhost", "bea.hub.localhost"))
    assert ("__Host-jupyterhub-hub-login", "hub.localhost") in cookies
    ada.close()
    bea.close()
