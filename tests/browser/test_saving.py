"""
Work in a tab that was left open is not lost when its server was stopped meanwhile.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

from tests.support.lab import Person
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import eventually, running_site


def texts(rest: Rest, wanted: str) -> list[str]:
    """Paths of the notebooks in ada's home that hold *wanted*."""
    listed = rest("GET", "/user/ada/api/contents")
    assert listed.status_code == 200, listed.status_code
    paths = [entry["path"] for entry in listed.json()["content"] if entry["type"] == "notebook"]
    return [path for path in paths if wanted in rest("GET", f"/user/ada/api/contents/{path}").text]


def test_saving_in_a_tab_left_open_starts_the_stopped_server_and_is_saved(browser: Browser, tmp_path: Path) -> None:
    with running_site(OPEN_HOUSE) as site, Rest(site) as rest:
        ada = Person(browser, site, "ada")
        ada.sign_in()
        ada.wait_for_lab()
        ada.new_notebook()
        ada.output_of(0, "'before'", "before")
        ada.save()
        # It has a name and is saved; from now on saving asks nothing.
        eventually(lambda: texts(rest, "before"))
        rest.stop("ada")
        ada.cell(1).locator(".cm-content").click()
        ada.page.keyboard.insert_text("'written while it was stopped'")
        ada.page.keyboard.press("Control+s")
        try:
            eventually(lambda: texts(rest, "written while it was stopped"))
        finally:
            ada.page.screenshot(path=tmp_path / "saving.png")
        ada.close()
