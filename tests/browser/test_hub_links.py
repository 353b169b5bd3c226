"""
JupyterLab and Notebook inside perijove: the menu entries that lead to the hub, and what people use every day.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.lab import PATIENCE, Person
from tests.support.site import Site, eventually, running_site


@pytest.fixture(scope="module")
def shared_site() -> Iterator[Site]:
    """One site; each test has a browser of its own."""
    with running_site() as running:
        yield running


@pytest.fixture(scope="module")
def _administrator(browser: Browser, shared_site: Site) -> None:
    person = Person(browser, shared_site, "ada")
    person.become_first_admin()
    person.wait_for_lab()
    person.close()


@pytest.fixture
def ada(browser: Browser, shared_site: Site, _administrator: None) -> Iterator[Person]:
    """Signed in, in JupyterLab."""
    person = Person(browser, shared_site, "ada")
    person.open("/hub/login")
    person.sign_in()
    person.wait_for_lab()
    yield person
    person.close()


def choose_in_file_menu(page: Page, entry: str) -> None:
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^File$")).click()
    page.locator(".lm-Menu-item:not(.lm-mod-hidden) .lm-Menu-itemLabel", has_text=entry).click()


def stop_server(person: Person) -> None:
    """With the button on the home page, in another tab."""
    page = person.context.new_page()
    page.goto(f"{person.site.origin}/hub/home")
    page.click("[aria-label='Stop My server']")
    page.locator("[aria-label='Start My server']").wait_for()
    page.close()


def test_the_control_panel_opens_in_a_tab_of_its_own(ada: Person) -> None:
    with ada.context.expect_page() as opened:
        choose_in_file_menu(ada.page, "Hub Control Panel")

    expect(opened.value).to_have_url(f"{ada.site.origin}/hub/home", timeout=PATIENCE)
    expect(opened.value.locator("h1")).to_have_text("Hello, ada")


def test_log_out_signs_out(ada: Person) -> None:
    choose_in_file_menu(ada.page, "Log Out")
    ada.page.locator("input[name=password]").wait_for()

    answer = ada.context.request.get(f"{ada.site.origin}/user/ada/api/contents")

    assert answer.status == 403


def test_a_server_that_was_stopped_is_offered_a_restart_that_works(ada: Person) -> None:
    """
    JupyterLab notices that its server is gone and asks; its button leads to the hub's start page.
    """
    stop_server(ada)
    ada.page.evaluate("fetch('/user/ada/api/status')")
    restart = ada.page.locator(".jp-Dialog button", has_text=re.compile("restart", re.IGNORECASE))
    restart.wait_for(timeout=PATIENCE)

    with ada.context.expect_page() as opened:
        restart.click()

    opened.value.wait_for_url(re.compile("/user/ada/lab"), wait_until="commit", timeout=PATIENCE)
    eventually(lambda: ada.context.request.get(f"{ada.site.origin}/user/ada/api/status").status == 200)


def test_the_notebook_application_lists_the_files_at_tree(ada: Person) -> None:
    ada.open("/user/ada/tree")

    expect(ada.page.locator(".jp-DirListing")).to_be_visible(timeout=PATIENCE)


def test_a_text_file_is_edited_saved_and_found_in_the_file_browser(ada: Person) -> None:
    ada.open("/user/ada/lab")
    ada.wait_for_lab()
    ada.page.keyboard.press("Control+Shift+l")
    ada.page.locator('.jp-LauncherCard[data-category="Other"]', has_text="Text File").last.click()
    editor = ada.page.locator(".jp-FileEditor .cm-content").last
    editor.click()
    ada.page.keyboard.insert_text("written by hand")

    ada.save()

    expect(ada.page.locator(".jp-DirListing-itemText", has_text="untitled.txt").first).to_be_visible(timeout=PATIENCE)
    address = f"{ada.site.origin}/user/ada/api/contents/untitled.txt"
    eventually(lambda: ada.context.request.get(address).json()["content"].strip() == "written by hand")


def test_nothing_asks_about_news(ada: Person) -> None:
    """
    Upstream asks every new user, and then asks a server on the internet.
    """
    config = json.loads(ada.page.locator("#jupyter-config-data").text_content() or "{}")

    assert "@jupyterlab/apputils-extension:announcements" in config["disabledExtensions"]
    expect(ada.page.locator(".Toastify__toast", has_text="news")).to_have_count(0)


def test_a_setting_is_kept_in_the_home_of_its_user(ada: Person) -> None:
    """
    JupyterLab decides where when it is imported, which is before its user is known.
    """
    status = ada.page.evaluate(
        """async () => {
          const address = "/user/ada/lab/api/settings/@jupyterlab/apputils-extension:themes";
          const token = document.cookie.match(/_xsrf=([^;]+)/)[1];
          const body = JSON.stringify({ raw: '{"theme": "JupyterLab Dark"}' });
          return (await fetch(address, { method: "PUT", headers: { "X-XSRFToken": token }, body })).status;
        }"""
    )
    ada.page.reload()
    ada.wait_for_lab()

    assert status == 204
    expect(ada.page.locator("body[data-jp-theme-light=false]")).to_be_attached(timeout=PATIENCE)
