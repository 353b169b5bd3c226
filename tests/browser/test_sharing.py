"""
A visitor in JupyterLab: sees whose server it is and what they may do, and meets no error for what they may not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.lab import Person
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import Site, running_site

ROOT_TOKEN: Final = "fedcba9876543210fedcba9876543210"
CONFIG: Final = f"""{OPEN_HOUSE}
c.JupyterHub.services.append({{"name": "root", "api_token": "{ROOT_TOKEN}", "admin": True}})
c.JupyterHub.load_roles.append({{"name": "user", "scopes": ["self", "shares!user", "read:users:name"]}})
"""
CELL: Final[dict[str, Any]] = {
    "cell_type": "code",
    "execution_count": 1,
    "id": "a",
    "metadata": {},
    "outputs": [{"output_type": "stream", "name": "stdout", "text": "the result\n"}],
    "source": "print('the result')",
}
NOTEBOOK: Final[dict[str, Any]] = {
    "type": "notebook",
    "format": "json",
    "content": {
        "cells": [CELL],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    },
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A perijove in which ada has a notebook."""
    with running_site(CONFIG) as running:
        with Rest(running, ROOT_TOKEN) as root:
            for name in ("ada", "bob", "eve"):
                root.user(name)
            root.start("ada")
            assert root("PUT", "/user/ada/api/contents/shared.ipynb", json=NOTEBOOK).is_success
        yield running


@pytest.fixture
def root(site: Site) -> Iterator[Rest]:
    with Rest(site, ROOT_TOKEN) as client:
        yield client


def share(root: Rest, user: str, scope: str) -> None:
    answer = root("POST", "/hub/api/shares/ada/", json={"user": user, "scopes": [scope]})
    assert answer.status_code == 200, answer.text


def visit(browser: Browser, site: Site, name: str, path: str, *, scheme: str = "light") -> Person:
    """*name* opens ada's JupyterLab."""
    person = Person(browser, site, name, scheme=scheme)
    person.sign_in()
    person.open(f"/user/ada/{path}")
    person.page.locator("#jp-MainLogo").wait_for(state="attached")
    person.page.locator("#jupyterlab-splash").wait_for(state="detached")
    return person


def banner(person: Person) -> Locator:
    return person.page.locator("#perijove-visiting")


def test_a_reader_looks_and_meets_no_error(browser: Browser, site: Site, root: Rest, tmp_path: Path) -> None:
    share(root, "bob", "access:servers:read")
    bob = visit(browser, site, "bob", "lab/tree/shared.ipynb")

    expect(banner(bob)).to_have_text("Server of ada · you may look")
    expect(bob.page.get_by_text("the result", exact=True)).to_be_visible()
    expect(bob.page.locator(".jp-Dialog")).to_have_count(0)
    bob.page.wait_for_timeout(3000)
    bob.page.screenshot(path=tmp_path / "reader.png")

    assert root("GET", "/user/ada/api/kernels").json() == []
    expect(bob.page.locator(".jp-Dialog")).to_have_count(0)
    expect(bob.page.locator(".Toastify__toast--error")).to_have_count(0)
    bob.close()


def test_a_reader_watches_a_kernel_and_is_told_that_they_may_not_use_it(
    browser: Browser, site: Site, root: Rest, tmp_path: Path
) -> None:
    share(root, "bob", "access:servers:read")
    body = {"path": "shared.ipynb", "name": "shared", "type": "notebook", "kernel": {"name": "python3"}}
    session = root("POST", "/user/ada/api/sessions", json=body).json()
    bob = visit(browser, site, "bob", "lab/tree/shared.ipynb")
    expect(bob.page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")).to_be_visible()

    bob.page.locator(".jp-Notebook .jp-CodeCell").first.click()
    bob.page.keyboard.press("Control+Enter")

    expect(bob.page.get_by_text("PermissionError: You may look at this server")).to_be_visible()
    bob.page.screenshot(path=tmp_path / "watching.png")
    root("DELETE", f"/user/ada/api/sessions/{session['id']}")
    bob.close()


def test_who_may_do_everything_works_as_at_home(browser: Browser, site: Site, root: Rest, tmp_path: Path) -> None:
    share(root, "eve", "access:servers")
    eve = visit(browser, site, "eve", "lab/tree/shared.ipynb", scheme="dark")

    expect(banner(eve)).to_have_text("Server of ada · you may do everything")
    eve.page.locator(".jp-Notebook .jp-CodeCell").first.click()
    expect(eve.page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")).to_be_visible(timeout=30_000)
    eve.page.screenshot(path=tmp_path / "everything.png")

    assert len(root("GET", "/user/ada/api/kernels").json()) == 1
    eve.close()


def test_at_home_there_is_no_banner(browser: Browser, site: Site) -> None:
    ada = visit(browser, site, "ada", "lab")

    expect(banner(ada)).to_have_count(0)
    ada.close()
