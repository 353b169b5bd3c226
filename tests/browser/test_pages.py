"""
The hub's own pages in a real browser: they work by keyboard, fit a phone, name what they hold, and break no rule
of their own content policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.lab import PATIENCE, Person
from tests.support.passwords import PASSWORD
from tests.support.site import Site, running_site

STRANGERS = ("/hub/login", "/hub/signup", "/hub/invitation?key=unknown", "/hub/nowhere")
MEMBERS = ("/hub/home", "/hub/people", "/hub/token", "/hub/password", "/hub/spawn-pending/ada", "/user/nobody/lab")
NAMELESS = """
() => [...document.querySelectorAll("input:not([type=hidden]):not([hidden]), select, button, a, summary")]
  .filter(e => !(e.labels?.length || e.ariaLabel || e.textContent.trim() || e.querySelector("img[alt]:not([alt=''])")))
  .map(e => e.outerHTML)
"""
TOO_WIDE = "() => document.documentElement.scrollWidth > innerWidth"


@pytest.fixture(scope="module")
def shared_site() -> Iterator[Site]:
    """One site; each test has a browser of its own."""
    with running_site("c.Perijove.allow_named_servers = True\n") as running:
        yield running


@pytest.fixture(scope="module")
def _administrator(browser: Browser, shared_site: Site) -> None:
    person = Person(browser, shared_site, "ada")
    person.become_first_admin()
    person.page.wait_for_url(re.compile("/user/ada/"), wait_until="commit")
    person.close()


@pytest.fixture
def ada(browser: Browser, shared_site: Site, _administrator: None) -> Iterator[Person]:
    """Signed in, on the home page."""
    person = Person(browser, shared_site, "ada")
    person.open("/hub/login?next=%2Fhub%2Fhome")
    person.sign_in()
    person.page.wait_for_url("**/hub/home")
    yield person
    person.close()


def faults_of(page: Page, site: Site, path: str) -> list[str]:
    """What is wrong with the page at *path*: complaints of the browser, things without a name, too wide for a phone."""
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(site.origin + path)
    faults += page.evaluate(NAMELESS)
    return faults + (["wider than a phone"] if page.evaluate(TOO_WIDE) else [])


@pytest.mark.parametrize("path", STRANGERS)
def test_a_page_for_strangers_is_without_fault(path: str, browser: Browser, shared_site: Site) -> None:
    eve = Person(browser, shared_site, "eve")

    assert faults_of(eve.page, shared_site, path) == []
    eve.close()


@pytest.mark.parametrize("path", MEMBERS)
def test_a_page_for_members_is_without_fault(path: str, ada: Person) -> None:
    assert faults_of(ada.page, ada.site, path) == []


@pytest.mark.usefixtures("_administrator")
def test_signing_in_needs_no_mouse(browser: Browser, shared_site: Site) -> None:
    ada = Person(browser, shared_site, "ada")
    ada.open("/hub/login?next=%2Fhub%2Fhome")
    expect(ada.page.locator("#username")).to_be_focused()

    ada.page.keyboard.type("ada")
    ada.page.keyboard.press("Tab")
    ada.page.keyboard.type(PASSWORD)
    ada.page.keyboard.press("Enter")

    expect(ada.page.locator("h1")).to_have_text("Hello, ada")
    ada.close()


def test_home_stops_starts_and_opens(ada: Person) -> None:
    ada.page.click("[aria-label='Stop My server']")
    start = ada.page.locator("[aria-label='Start My server']")
    start.wait_for()

    start.click()
    ada.page.wait_for_url(re.compile("/user/ada/lab"), wait_until="commit")
    ada.open("/hub/home")
    ada.page.click("text=Open")

    ada.page.wait_for_url(re.compile("/user/ada/lab"), wait_until="commit")


def test_a_start_that_takes_its_time_is_watched_and_leads_into_the_server(ada: Person) -> None:
    """
    Seldom seen: here the launcher is held still for a moment.
    """
    ada.page.click("[aria-label='Stop My server']")
    start = ada.page.locator("[aria-label='Start My server']")
    start.wait_for()
    launcher = ada.site.part("launcher")
    launcher.suspend()

    try:
        start.click()
        expect(ada.page.locator("h1")).to_have_text("Your server is starting", timeout=PATIENCE)
        expect(ada.page.locator(".progress-text")).not_to_be_empty()
    finally:
        launcher.resume()

    ada.page.wait_for_url(re.compile("/user/ada/lab"), wait_until="commit", timeout=PATIENCE)


def test_a_menu_on_the_people_page_moves_nothing_and_closes_with_escape(browser: Browser, ada: Person) -> None:
    invited = Person(browser, ada.site, "bob")
    invited.open(ada.invitation_link())
    invited.page.fill("input[name=username]", "bob")
    for field in invited.page.locator("input[type=password]").all():
        field.fill(PASSWORD)
    invited.page.click("form [type=submit]")
    invited.page.wait_for_url(re.compile("/user/bob/"), wait_until="commit")
    invited.close()
    ada.open("/hub/people")
    row = ada.page.locator("tr", has_text="bob").last
    before = row.bounding_box()

    ada.page.click("[aria-label='More about bob']")

    assert row.bounding_box() == before
    expect(ada.page.locator("text=Make an administrator")).to_be_visible()

    ada.page.keyboard.press("Escape")

    expect(ada.page.locator("text=Make an administrator")).to_be_hidden()
    expect(ada.page.locator("[aria-label='More about bob']")).to_be_focused()
