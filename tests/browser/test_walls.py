"""
A second person, with everything a second person can have, stays outside the first one's server.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from perijove.wire.identity import IDENTITY_COOKIE, IDENTITY_HEADER
from tests.support.lab import Person
from tests.support.passwords import PASSWORD
from tests.support.site import Site, running_site

OPEN_SOCKET = """
address => new Promise(done => {
  const socket = new WebSocket(address);
  socket.onopen = () => done("open");
  socket.onerror = () => done("refused");
})
"""


@pytest.fixture(scope="module")
def shared_site() -> Iterator[Site]:
    """One site for all these tests: none of them changes anything."""
    with running_site() as running:
        yield running


@pytest.fixture(scope="module")
def ada(browser: Browser, shared_site: Site) -> Iterator[Person]:
    """The first one: administrator, in her server."""
    person = Person(browser, shared_site, "ada")
    person.become_first_admin()
    person.wait_for_lab()
    yield person
    person.close()


@pytest.fixture(scope="module")
def bob(browser: Browser, shared_site: Site, ada: Person) -> Iterator[Person]:
    """The second one: invited by ada, in a server of his own."""
    person = Person(browser, shared_site, "bob")
    person.open(ada.invitation_link())
    person.page.fill("input[name=username]", "bob")
    for field in person.page.locator("input[type=password]").all():
        field.fill(PASSWORD)
    person.page.click("form [type=submit]")
    person.wait_for_lab()
    yield person
    person.close()


def identity_cookie(person: Person) -> str:
    found = [c for c in person.context.cookies() if c.get("name") == IDENTITY_COOKIE]
    assert [c.get("path") for c in found] == [f"/user/{person.name}/"]
    return str(found[0].get("value"))


def test_the_first_one_is_in(ada: Person) -> None:
    """
    The other tests prove nothing if nobody can get in.
    """
    answer = ada.context.request.get(f"{ada.site.origin}/user/ada/api/contents")

    assert answer.status == 200


def test_her_page_is_refused(bob: Person, ada: Person) -> None:
    page = bob.context.new_page()
    answer = page.goto(f"{ada.site.origin}/user/ada/lab")

    assert answer is not None
    assert answer.status in {403, 404}
    expect(page.locator("#jp-MainLogo")).to_have_count(0)
    page.close()


def test_her_api_is_refused(bob: Person, ada: Person) -> None:
    answer = bob.context.request.get(f"{ada.site.origin}/user/ada/api/contents")

    assert answer.status == 403


def test_her_websockets_are_refused(bob: Person, ada: Person) -> None:
    address = f"{ada.site.origin.replace('http', 'ws')}/user/ada/api/events/subscribe"

    assert bob.page.evaluate(OPEN_SOCKET, address) == "refused"
    assert ada.page.evaluate(OPEN_SOCKET, address) == "open"


def test_a_token_of_his_own_is_refused(bob: Person, ada: Person) -> None:
    token = bob.new_token()

    own = bob.context.request.get(
        f"{ada.site.origin}/user/bob/api/contents", headers={"Authorization": f"token {token}"}
    )
    hers = bob.context.request.get(
        f"{ada.site.origin}/user/ada/api/contents", headers={"Authorization": f"token {token}"}
    )

    assert (own.status, hers.status) == (200, 403)


def test_a_forged_identity_header_is_refused(bob: Person, ada: Person) -> None:
    """
    Even with a true statement about ada: the header is the proxy's alone.
    """
    answer = bob.context.request.get(
        f"{ada.site.origin}/user/ada/api/contents", headers={IDENTITY_HEADER: identity_cookie(ada)}
    )

    assert answer.status == 403


def test_a_cookie_moved_to_another_path_is_refused(bob: Person, ada: Person) -> None:
    """
    The statement in the cookie is about one server; another path does not change what it says.
    """
    value = identity_cookie(ada)
    answer = bob.context.request.get(
        f"{ada.site.origin}/user/bob/api/contents", headers={"Cookie": f"{IDENTITY_COOKIE}={value}"}
    )

    assert answer.status == 403


def test_his_cookie_does_not_open_her_server(bob: Person, ada: Person) -> None:
    value = identity_cookie(bob)
    answer = bob.context.request.get(
        f"{ada.site.origin}/user/ada/api/contents", headers={"Cookie": f"{IDENTITY_COOKIE}={value}"}
    )

    assert answer.status == 403


def test_a_script_from_his_server_cannot_read_the_hub_s_pages(bob: Person) -> None:
    """
    Servers share the hub's origin; what they serve must be powerless against it (architecture, rule 5).
    """
    status = bob.page.evaluate("() => fetch('/hub/home').then(answer => answer.status)")

    assert status == 403


def test_a_script_from_her_server_cannot_act_as_the_administrator(ada: Person) -> None:
    """
    The hub's cookie goes along, but no CSRF token does.
    """
    status = ada.page.evaluate("() => fetch('/hub/api/users/eve', {method: 'POST'}).then(answer => answer.status)")

    assert status == 403


FRAME_COOKIES = """
address => new Promise(done => {
  const frame = document.createElement("iframe");
  frame.onload = () => {
    let seen = "";
    try { seen = frame.contentDocument.cookie; } catch { seen = ""; }
    frame.remove();
    done(seen);
  };
  frame.src = address;
  document.body.append(frame);
})
"""

# Only a click opens a popup.
POPUP_START = """
address => {
  window.seenInPopup = new Promise(done => {
    window.addEventListener("click", () => {
      const popup = window.open(address, "_blank");
      const until = Date.now() + 2000;
      const look = () => {
        let seen = "";
        try {
          const there = popup.location.pathname === address && popup.document.readyState === "complete";
          seen = there ? popup.document.cookie + popup.document.documentElement.textContent : "";
        } catch { seen = ""; }
        if (seen || popup.closed || Date.now() > until) { popup.close(); done(seen); } else { setTimeout(look, 50); }
      };
      look();
    }, { once: true, capture: true });
  });
}
"""

MOVED_COOKIES = """
address => {
  const here = location.href;
  history.pushState(null, "", address);
  const seen = document.cookie;
  history.replaceState(null, "", here);
  return seen;
}
"""


@pytest.mark.parametrize("address", ["/hub/static/logo.svg", "/hub/api/user", "/hub/home", "/hub/no-such-page"])
def test_a_script_from_her_server_cannot_learn_the_csrf_token(ada: Person, address: str) -> None:
    """
    With the token it could do on the hub whatever she may: make administrators, for instance.
    """
    page = ada.page
    page.locator("#jupyterlab-splash").wait_for(state="detached")
    in_frame = page.evaluate(FRAME_COOKIES, address)
    page.evaluate(POPUP_START, address)
    page.mouse.click(5, 5)
    in_popup = page.evaluate("() => window.seenInPopup")
    by_moving = page.evaluate(MOVED_COOKIES, address)

    assert (in_frame, in_popup) == ("", "")
    assert token_cookie(ada) not in by_moving


def token_cookie(person: Person) -> str:
    """The hub's CSRF token, which no script may see."""
    found = [c for c in person.context.cookies() if c.get("name") == "_xsrf" and c.get("path") == "/hub/"]
    return str(found[0].get("value"))
