"""
A person with a browser that knows no script: forms and links over plain HTTP, for tests that need no Chromium.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from html import unescape
from typing import Final, Self

import httpx

from tests.support.passwords import PASSWORD
from tests.support.site import PATIENCE, Site

_XSRF: Final = re.compile(r'name="_xsrf" value="([^"]*)"')


class Visitor:
    """Keeps cookies and follows redirects, as browsers do."""

    def __init__(self, site: Site, name: str, *, tls: ssl.SSLContext | None = None) -> None:
        """
        Args:
            site: where to.
            name: who they are there.
            tls: whom they trust by https; None: whom this machine does.
        """
        self.name = name
        self._client = httpx.Client(
            base_url=site.origin,
            headers={"Accept": "text/html"},
            timeout=PATIENCE,
            follow_redirects=True,
            trust_env=False,
            verify=tls or True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str) -> httpx.Response:
        """A page, wherever it leads."""
        return self._client.get(path)

    def post(self, path: str, fields: Mapping[str, str | list[str]]) -> httpx.Response:
        """A form, as it is."""
        return self._client.post(path, data=dict(fields))

    def led_from(self, path: str, fields: Mapping[str, str | list[str]] | None = None) -> str:
        """Where the page at *path*, or the answer to a form there, sends the browser, which does not go."""
        if fields is None:
            return self._client.get(path, follow_redirects=False).headers["location"]
        return self._client.post(path, data=dict(fields), follow_redirects=False).headers["location"]

    def cookies(self) -> dict[str, bool]:
        """Names of the cookies they hold, and whether each goes by https alone."""
        return {cookie.name: cookie.secure for cookie in self._client.cookies.jar}

    def cookies_for(self, path: str) -> str:
        """What a browser sends to *path*, for what does not go through this one."""
        return "; ".join(f"{c.name}={c.value}" for c in self._client.cookies.jar if path.startswith(c.path))

    def press(self, path: str, address: str, **fields: str) -> httpx.Response:
        """Open the page at *path* and send that form of it which leads to *address*."""
        found = _XSRF.search(self.get(path).text)
        assert found, path
        return self._client.post(address, data={"_xsrf": unescape(found[1]), **fields})

    def submit(self, path: str, **fields: str) -> httpx.Response:
        """Open the page at *path* and send its form, filled with *fields*."""
        page = self.get(path)
        found = _XSRF.search(page.text)
        assert found, page.text
        return self._client.post(page.url, data={"_xsrf": unescape(found[1]), **fields})

    def sign_in(self) -> httpx.Response:
        """With the password that all test users have."""
        return self.submit("/hub/login", username=self.name, password=PASSWORD)
