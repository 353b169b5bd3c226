"""
What people notice when a part is killed: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.lab import PATIENCE, Person
from tests.support.site import Site, eventually, running_site

SLOW = "import time; print('began'); time.sleep({seconds}); print('arrived', {word!r})"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One for all: whatever is killed comes back, which is what these tests are about."""
    with running_site() as running:
        yield running


@pytest.fixture(scope="module")
def ada(browser: Browser, site: Site) -> Iterator[Person]:
    person = Person(browser, site, "ada")
    person.become_first_admin()
    person.wait_for_lab()
    yield person
    person.close()


def running(person: Person, word: str, seconds: float) -> None:
    """Begin a cell that prints *word* after *seconds*."""
    index = person.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").count() - 1
    person.run_cell(index, SLOW.format(seconds=seconds, word=word))
    expect(person.cell(index).locator(".jp-OutputArea-output", has_text="began")).to_be_visible(timeout=PATIENCE)


def test_the_hub_killed_while_a_cell_runs_loses_no_output_and_signs_nobody_out(ada: Person, site: Site) -> None:
    ada.fresh_lab()
    ada.new_notebook()
    ada.output_of(0, "print('warm', 1 + 1)", "warm 2")
    running(ada, "after the hub", 3)

    hub = site.kill_part("hub")
    site.wait_for_new_part("hub", hub)

    expect(ada.page.locator(".jp-OutputArea-output", has_text="arrived after the hub")).to_be_visible(timeout=PATIENCE)
    page = ada.context.new_page()
    page.goto(f"{site.origin}/hub/home")
    expect(page.locator("input[name=password]")).to_have_count(0)
    page.close()


def test_the_proxy_killed_while_a_cell_runs_comes_back_with_its_routes(ada: Person, site: Site) -> None:
    """
    JupyterLab's WebSocket breaks, connects again by itself, and the kernel has gone on computing.
    """
    ada.fresh_lab()
    ada.new_notebook()
    ada.output_of(0, "print('warm', 1 + 1)", "warm 2")
    running(ada, "after the proxy", 3)

    proxy = site.kill_part("proxy")
    site.wait_for_new_part("proxy", proxy)

    answer = eventually(lambda: ada.context.request.get(f"{site.origin}/user/ada/api/status"))
    assert answer.status == 200
    ada.output_of(2, "print('still', 40 + 2)", "still 42")


def test_servers_outlive_the_launcher(ada: Person, site: Site) -> None:
    ada.fresh_lab()
    ada.new_notebook()
    ada.output_of(0, "kept = 42; print('kept', kept)", "kept 42")

    launcher = site.kill_part("launcher")
    site.wait_for_new_part("launcher", launcher)

    ada.output_of(1, "print('still', kept)", "still 42")
