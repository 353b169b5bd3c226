"""
Idle servers, as their users see them: told before, asked, kept or stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.lab import Person
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import Site, eventually, running_site

#: Long enough for JupyterLab to come up on a busy machine, short enough to wait for.
IDLE, WARN, EXTEND = 72, 45, 300
SAID = "1.2 minutes"
CONFIG = f"""{OPEN_HOUSE}
c.Perijove.activity_interval = 10
c.Perijove.cull_policies = [{{"idle_seconds": {IDLE}, "warn_seconds": {WARN}, "extend_seconds": {EXTEND}}}]
"""
#: Milliseconds within which whatever the policy does has been done.
PATIENCE = (IDLE + WARN + 30) * 1000

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A perijove that stops servers soon."""
    with running_site(CONFIG) as running:
        yield running


@pytest.fixture
def rest(site: Site) -> Iterator[Rest]:
    with Rest(site) as client:
        yield client


def in_lab(browser: Browser, site: Site, name: str, *, scheme: str = "light") -> Person:
    person = Person(browser, site, name, scheme=scheme)
    person.sign_in()
    person.wait_for_lab()
    if scheme == "dark":
        with Rest(site) as rest:
            theme = {"raw": '{"theme": "JupyterLab Dark"}'}
            rest("PUT", f"/user/{name}/lab/api/settings/@jupyterlab/apputils-extension:themes", json=theme)
        person.fresh_lab()
    return person


def picture(person: Person, path: Path) -> None:
    """To look at, once what slides in has come."""
    person.page.wait_for_timeout(1000)
    person.page.screenshot(path=path)


def warning(person: Person) -> Locator:
    return person.page.locator(".Toastify__toast", has_text="will be stopped")


def server_of(rest: Rest, name: str) -> dict[str, Any]:
    servers: dict[str, Any] = rest("GET", f"/hub/api/users/{name}?include_stopped_servers=1").json()["servers"]
    answer: dict[str, Any] = servers[""]
    return answer


def test_a_forgotten_tab_is_warned_and_its_server_stopped_and_started_by_coming_back(
    browser: Browser, site: Site, rest: Rest, tmp_path: Path
) -> None:
    """
    The tab polls all the while, which must not count.
    """
    ada = in_lab(browser, site, "ada", scheme="dark")

    expect(warning(ada)).to_contain_text(f"because nothing has run here for {SAID}", timeout=PATIENCE)
    picture(ada, tmp_path / "warning-dark.png")
    eventually(lambda: server_of(rest, "ada")["stopped"], within=WARN + 30)
    stopped = server_of(rest, "ada")["stop_reason"]
    told = ada.page.locator(".Toastify__toast", has_text="was stopped because")
    expect(told).to_be_visible(timeout=PATIENCE)
    picture(ada, tmp_path / "stopped-dark.png")
    ada.open("/user/ada/lab")
    ada.wait_for_lab()

    assert stopped == f"It was stopped because nothing had run here for {SAID}."
    assert server_of(rest, "ada")["stop_reason"] == ""
    ada.close()


def test_a_click_keeps_the_server(browser: Browser, site: Site, rest: Rest, tmp_path: Path) -> None:
    bob = in_lab(browser, site, "bob")
    expect(warning(bob)).to_be_visible(timeout=PATIENCE)
    picture(bob, tmp_path / "warning-light.png")

    warning(bob).get_by_text("Keep it").click()

    expect(bob.page.locator(".Toastify__toast", has_text="is kept until")).to_be_visible()
    picture(bob, tmp_path / "kept-light.png")
    expect(warning(bob)).to_have_count(0)
    started = server_of(rest, "bob")["started"]
    bob.page.wait_for_timeout((WARN + 10) * 1000)
    assert server_of(rest, "bob")["started"] == started
    assert server_of(rest, "bob")["ready"]
    bob.close()


def test_who_goes_on_working_is_not_warned(browser: Browser, site: Site, rest: Rest) -> None:
    """
    A cell that runs for longer than a server may be idle.
    """
    carol = in_lab(browser, site, "carol")
    carol.new_notebook()

    carol.output_of(0, "import time; print('here')", "here")

    carol.run_cell(1, f"time.sleep({IDLE + 10}); print('done')")

    expect(carol.cell(1).locator(".jp-OutputArea-output", has_text="done")).to_be_visible(timeout=PATIENCE)
    assert warning(carol).count() == 0
    assert server_of(rest, "carol")["ready"]
    carol.close()


def test_the_home_page_warns_and_keeps_as_well(browser: Browser, site: Site, rest: Rest, tmp_path: Path) -> None:
    """
    For servers that have no JupyterLab to say it.
    """
    dora = in_lab(browser, site, "dora")
    dora.open("/hub/home")
    shown = dora.page.locator(".stopping")

    def is_shown() -> bool:
        dora.page.reload()
        return shown.count() > 0

    eventually(is_shown, within=IDLE + 30)
    picture(dora, tmp_path / "home-light.png")
    expect(shown).to_contain_text("will be stopped")
    shown.get_by_text("Keep it").click()

    expect(dora.page.locator(".stopping")).to_have_count(0)
    assert server_of(rest, "dora")["ready"]
    dora.close()


def test_a_page_of_ones_own_server_cannot_be_kept_by_strangers(site: Site, rest: Rest) -> None:
    rest.user("eve")
    rest.start("eve")

    answer = httpx.post(f"{site.origin}/user/eve/perijove/keep", content=b"{}", trust_env=False)

    assert answer.status_code == 403
