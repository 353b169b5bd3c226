"""
A person at a browser: signs in, works in JupyterLab. Knows the pages, so that tests read like stories.
"""

from __future__ import annotations

import re
from typing import Final

from playwright.sync_api import Browser, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.support.passwords import PASSWORD
from tests.support.site import Site

#: Milliseconds for anything that happens in a browser on a busy machine.
PATIENCE: Final = 60_000
#: Milliseconds after which a run that JupyterLab dropped, its kernel not being connected yet, is given again.
DROPPED_AFTER: Final = 5_000


class Person:
    """Somebody with a browser of their own."""

    def __init__(self, browser: Browser, site: Site, name: str, *, scheme: str = "light") -> None:
        self.site = site
        self.name = name
        self.context = browser.new_context(
            color_scheme="dark" if scheme == "dark" else "light",
            viewport={"width": 1280, "height": 800},
            # Certificates are from an authority that exists for one test.
            ignore_https_errors=site.origin.startswith("https://"),
        )
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()

    def open(self, address: str) -> None:
        """Go to a path of the site, or to a whole address."""
        self.page.goto(address if address.startswith("http") else self.site.origin + address)

    def become_first_admin(self) -> None:
        """Follow the printed link and make the first administrator."""
        self.open(self.site.first_admin_link)
        self.page.fill("input[name=username]", self.name)
        for field in self.page.locator("input[type=password]").all():
            field.fill(PASSWORD)
        self.page.click("main [type=submit], form [type=submit]")

    def sign_in(self, *, password: str = PASSWORD) -> None:
        """Fill the sign-in form, wherever the page is."""
        if not self.page.locator("input[name=password]").count():
            self.open("/hub/login")
        self.page.fill("input[name=username]", self.name)
        self.page.fill("input[name=password]", password)
        self.page.click("form [type=submit]")

    def wait_for_lab(self) -> None:
        """Until JupyterLab can be used."""
        self.page.wait_for_url(re.compile(rf"/user/{re.escape(self.name)}/lab"), wait_until="commit")
        self.page.locator("#jp-MainLogo").wait_for(state="attached")
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    def fresh_lab(self) -> None:
        """JupyterLab with nothing open but its launcher."""
        self.open(f"/user/{self.name}/lab?reset")
        self.wait_for_lab()

    def new_notebook(self) -> None:
        """From the launcher."""
        self.page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click()
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for()

    def cell(self, index: int) -> Locator:
        """The cell at *index* of the open notebook."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-CodeCell").nth(index)

    def run_cell(self, index: int, code: str) -> None:
        """Type *code* into the cell at *index* and run it, going on to the next."""
        cell = self.cell(index)
        cell.locator(".cm-content").click()
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Shift+Enter")

    def output_of(self, index: int, code: str, expected: str) -> None:
        """Run *code* in the cell at *index* until its output holds *expected*."""
        self.run_cell(index, code)
        output = self.cell(index).locator(".jp-OutputArea-output", has_text=expected)
        try:
            output.first.wait_for(timeout=DROPPED_AFTER)
        except PlaywrightTimeout:
            prompt = self.cell(index).locator(".jp-InputPrompt").inner_text()
            if prompt.strip() == "[ ]:":
                self.cell(index).locator(".cm-content").click()
                self.page.keyboard.press("Shift+Enter")
        expect(output.first).to_be_visible(timeout=PATIENCE)

    def insert_cell_below(self, index: int) -> None:
        """A new cell after the one at *index*. JupyterLab attaches cells far below only when they are scrolled to."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("b")

    def save(self) -> None:
        """Control+S; a new notebook keeps the name it has."""
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("Control+s")
        rename = self.page.locator(".jp-Dialog .jp-mod-accept")
        try:
            rename.wait_for(timeout=3_000)
        except PlaywrightTimeout:
            return
        rename.click()

    def type_in_terminal(self, line: str) -> None:
        """A new terminal from the launcher, and a line in it."""
        self.open(f"/user/{self.name}/lab")
        self.wait_for_lab()
        self.page.keyboard.press("Control+Shift+l")
        self.page.locator('.jp-LauncherCard[title*="terminal" i]').first.click()
        terminal = self.page.locator(".jp-Terminal .xterm-helper-textarea").last
        terminal.wait_for(state="attached")
        self.page.locator(".jp-Terminal .xterm-screen").last.click()
        self.page.keyboard.type(f"{line}\n")

    def invitation_link(self) -> str:
        """Make an invitation on the people page, as an administrator."""
        page = self.context.new_page()
        page.goto(f"{self.site.origin}/hub/people")
        page.click("text=Make a link")
        link = page.locator("#link").input_value()
        page.close()
        return link

    def new_token(self) -> str:
        """Make an API token on the token page; it is shown once."""
        page = self.context.new_page()
        page.goto(f"{self.site.origin}/hub/token")
        page.fill("#note", "a script")
        page.click("text=Make a token")
        token = page.locator("#token").input_value()
        page.close()
        return token

    def close(self) -> None:
        """Close the browser."""
        self.context.close()
