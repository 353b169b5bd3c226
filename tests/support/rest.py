"""
A service with a token of its own, as scripts and graders use one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Self, TypeAlias

import httpx

from tests.support.site import PATIENCE, Site, eventually

TOKEN: Final = "0123456789abcdef0123456789abcdef"

#: what the server of anybody whose name begins with `broken` says before it ends, where tests make it so
LAST_WORDS: Final = "the disk of notebooks is not mounted"
#: anybody signs in with any password; a service may do everything
OPEN_HOUSE: Final = f"""
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.services = [{{"name": "script", "api_token": "{TOKEN}"}}]
c.JupyterHub.load_roles = [{{"name": "script", "services": ["script"], "scopes": [
    "admin:users", "admin:servers", "access:servers", "tokens", "read:hub", "proxy", "read:metrics"]}}]
"""


#: what makes a `Rest` of a token
WithToken: TypeAlias = "Callable[[str], Rest]"


class Rest:
    """Calls with the service's token."""

    def __init__(self, site: Site, token: str = TOKEN) -> None:
        self.headers = {"Authorization": f"token {token}"} if token else {}
        self._client = httpx.Client(base_url=site.origin, headers=self.headers, timeout=PATIENCE, trust_env=False)

    def __call__(
        self, method: str, path: str, json: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """One call; *path* is below the site's origin."""
        return self._client.request(method, path, json=json, headers=headers)

    def raw(self, method: str, path: str, body: bytes) -> httpx.Response:
        """One call with a body as it is."""
        return self._client.request(method, path, content=body)

    def user(self, name: str) -> None:
        """Make a user."""
        answer = self("POST", f"/hub/api/users/{name}")
        assert answer.status_code == 201, answer.text

    def start(self, name: str) -> None:
        """Start *name*'s server, unless signing in has, and wait until it answers through the proxy."""
        answer = self("POST", f"/hub/api/users/{name}/server")
        assert answer.status_code in {201, 202} or "already running" in answer.text, answer.text
        eventually(lambda: self("GET", f"/user/{name}/api/status").status_code == 200)

    def stop(self, name: str) -> None:
        """Stop it and wait."""
        self("DELETE", f"/hub/api/users/{name}/server")
        eventually(lambda: self("GET", f"/hub/api/users/{name}").json()["servers"] == {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
