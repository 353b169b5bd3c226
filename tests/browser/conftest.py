"""
Browser tests drive a real perijove with Debian's Chromium, as people do.

Without Chromium they are skipped with a line that says what to install.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.site import Site, remove_system_users, running_site

CHROMIUM: Final = Path("/usr/bin/chromium")
#: No sandbox of its own (root cannot have one), and no calls to the outside.
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs Chromium, and may take longer than a unit test."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(180))
            if not CHROMIUM.exists():
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed (apt install chromium)"))


# Not for the session: Playwright's loop runs as long as this is open, and asynchronous tests need loops of their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module; every person has a context of their own."""
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture
def site() -> Iterator[Site]:
    """A perijove that nobody has used yet."""
    with running_site("c.Launcher.fork_kernels = True\n", compresses=True) as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def _no_users_left_behind() -> Iterator[None]:
    yield
    remove_system_users()
