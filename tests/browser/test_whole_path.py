"""
The whole path, as a newcomer walks it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from tests.support.lab import Person
from tests.support.site import Site, eventually

PLOT = """import pandas as pd, matplotlib.pyplot as plt
frame = pd.DataFrame({"x": range(10), "y": [n * n for n in range(10)]})
frame.plot(x="x", y="y"); plt.show(); print("rows", len(frame))"""


def home_of(site: Site, name: str) -> Path:
    """Where *name*'s notebooks are."""
    if os.geteuid() == 0:
        return Path(site.account(name).pw_dir)
    return next((site.state / "users").glob(f"{name}*"))


def notebooks(home: Path) -> list[dict[str, Any]]:
    """Those that are saved: a file that is being written is found empty or in part."""
    found = []
    for path in home.glob("*.ipynb"):
        with suppress(json.JSONDecodeError):
            found.append(json.loads(path.read_text(encoding="utf-8")))
    return found


def has_plot(notebook: dict[str, Any]) -> bool:
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return any("image/png" in output.get("data", {}) for output in outputs)


def find_nothing_behind(link: str, browser: Browser, site: Site) -> None:
    """Whoever finds the used link in a terminal's history cannot become anybody by it."""
    eve = Person(browser, site, "eve")
    eve.open(link)
    expect(eve.page.locator("main")).to_contain_text("not valid")
    expect(eve.page.locator("input[type=password]")).to_have_count(0)
    eve.close()


def test_from_the_printed_link_to_a_saved_notebook_and_back_to_the_same_kernel(browser: Browser, site: Site) -> None:
    """
    First administrator → JupyterLab → pandas and matplotlib → saved to disk → terminal → log out → sign in →
    the same kernel with its variable.
    """
    ada = Person(browser, site, "ada")
    link = site.first_admin_link
    ada.become_first_admin()
    ada.wait_for_lab()
    ada.new_notebook()
    ada.output_of(0, PLOT, "rows 10")
    ada.output_of(1, "kept = 6 * 7; print('kept is', kept)", "kept is 42")
    ada.save()
    home = home_of(site, "ada")
    eventually(lambda: any(has_plot(notebook) for notebook in notebooks(home)))

    ada.type_in_terminal("echo from-the-terminal > made.txt")
    eventually(lambda: (home / "made.txt").read_text() == "from-the-terminal\n")

    ada.open("/user/ada/logout")
    if ada.page.locator("form [type=submit]").count() and not ada.page.locator("input[name=password]").count():
        ada.page.click("form [type=submit]")
    ada.page.locator("input[name=password]").wait_for()
    ada.sign_in()
    ada.wait_for_lab()
    name = next(home.glob("*.ipynb")).name
    ada.open(f"/user/ada/lab/tree/{name}")
    ada.wait_for_lab()
    ada.cell(0).wait_for()

    ada.insert_cell_below(0)
    ada.output_of(1, "print('still', kept)", "still 42")
    ada.close()

    find_nothing_behind(link, browser, site)
