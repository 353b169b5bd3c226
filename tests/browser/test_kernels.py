"""
A kernel that died, as its user sees it: JupyterLab says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.lab import PATIENCE, Person
from tests.support.rest import OPEN_HOUSE
from tests.support.site import Site, running_site

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A perijove that lets everybody in."""
    with running_site(f"{OPEN_HOUSE}\nc.Launcher.fork_kernels = True\n") as running:
        yield running


def dialog(person: Person) -> Locator:
    return person.page.locator(".jp-Dialog")


def test_a_dialog_says_why_a_kernel_died_and_that_it_is_started_again(
    browser: Browser, site: Site, tmp_path: Path
) -> None:
    ada = Person(browser, site, "ada")
    ada.sign_in()
    ada.wait_for_lab()
    ada.new_notebook()
    ada.output_of(0, "import os; print(6 * 7)", "42")

    for cell, code, says in ((1, "os._exit(3)", "exit code 3"), (3, "import os; os.kill(os.getpid(), 9)", "SIGKILL")):
        ada.run_cell(cell, code)
        expect(dialog(ada)).to_contain_text(re.compile(rf"has died\. It .*{says}"), timeout=PATIENCE)
        ada.page.wait_for_timeout(500)
        ada.page.screenshot(path=tmp_path / f"died-{cell}.png")
        ada.page.keyboard.press("Enter")
        expect(dialog(ada)).to_have_count(0)
        ada.output_of(cell + 1, "print('alive')", "alive")

    ada.close()
