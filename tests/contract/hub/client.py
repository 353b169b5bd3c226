"""
A hub as its clients see it: an address and a token. Whose hub it is, the tests must not care.
"""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import httpx

Kind: TypeAlias = Literal["perijove", "jupyterhub", "other"]

#: seconds for anything that should happen soon
PATIENCE: Final = 20.0
API: Final = "/hub/api"
PAGES: Final = "application/jupyterhub-pagination+json"
#: What the browser's own navigation looks like.
NAVIGATION: Final = {
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "same-origin",
}


class Hub:
    """
    Calls of one hub, as its administrator unless another token is stated.

    Args:
        kind: what runs there; `other` for one that somebody else has started.
        url: its public address, without a slash at the end.
        token: may do everything.
    """

    def __init__(self, *, kind: Kind, url: str, token: str) -> None:
        self.kind = kind
        self.url = url
        self.token = token
        #: what names of this run begin with, so that a hub can be tested twice
        self.prefix = f"ct{uuid.uuid4().hex[:6]}-"
        self._client = httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False)
        self._admin = ""
        self._numbers = itertools.count(1)

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One call of the API; *path* is below `/hub/api`; an empty *token* sends none."""
        used = self.token if token is None else token
        fields = {"Authorization": f"token {used}"} if used else {}
        content = None if body is None else json.dumps(body)
        return self._client.request(method, self.path(path), content=content, headers={**fields, **(headers or {})})

    def raw(
        self, method: str, path: str, *, headers: Mapping[str, str], content: bytes | None = None
    ) -> httpx.Response:
        """A call as it is; *path* is the whole one."""
        return self._client.request(method, path, headers=headers, content=content, follow_redirects=False)

    def path(self, path: str) -> str:
        """The whole address of *path* below the API."""
        return path if path.startswith("http") else f"{API}{path}"

    def page(self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> httpx.Response:
        """A page, as a browser asks that nobody is signed in to; redirects are not followed."""
        return self._client.request(method, path, headers={**NAVIGATION, **(headers or {})})

    def name(self, text: str) -> str:
        """*text* made this run's own."""
        return f"{self.prefix}{text}"

    def fresh(self, text: str) -> str:
        """Likewise, another one each time."""
        return self.name(f"{text}-{next(self._numbers)}")

    def somebody(self) -> str:
        """A new user of any name."""
        return self.user(f"somebody-{next(self._numbers)}")

    def user(self, text: str, *, admin: bool = False) -> str:
        """A new user; answers the name."""
        name = self.name(text)
        answer = self("POST", f"/users/{name}", {"admin": admin})
        assert answer.status_code == 201, answer.text
        return name

    def token_of(self, user: str, scopes: Sequence[str] | None = None) -> str:
        """A new token of *user*."""
        body = {} if scopes is None else {"scopes": list(scopes)}
        answer = self("POST", f"/users/{user}/tokens", body)
        assert answer.status_code == 201, answer.text
        text: str = answer.json()["token"]
        return text

    def limited(self, *scopes: str) -> str:
        """A token of an administrator that has only these scopes."""
        if not self._admin:
            self._admin = self.user("administrator", admin=True)
        return self.token_of(self._admin, scopes)

    def scopes_of(self, token: str) -> set[str]:
        """What a token may do, but for telling whose it is: JupyterHub adds that to every token, when it is made."""
        model = self("GET", "/user", token=token).json()
        own = {f"read:users:{part}!user={model['name']}" for part in ("name", "groups")}
        return set(model["scopes"]) - own

    def group(self, text: str, *users: str) -> str:
        """A new group; answers the name."""
        name = self.name(text)
        answer = self("POST", f"/groups/{name}", {"users": list(users)})
        assert answer.status_code == 201, answer.text
        return name

    def started(self, user: str, server: str = "", body: Any = None) -> None:
        """Start a server and wait until it is ready."""
        where = f"/users/{user}/servers/{server}" if server else f"/users/{user}/server"
        answer = self("POST", where, body)
        assert answer.status_code in {201, 202}, answer.text
        self.until(lambda: self("GET", where).json()["ready"])

    def stopped(self, user: str, server: str = "") -> None:
        """Stop it and wait."""
        where = f"/users/{user}/servers/{server}" if server else f"/users/{user}/server"
        answer = self("DELETE", where)
        assert answer.status_code in {202, 204}, answer.text
        self.until(lambda: self("GET", where).json()["stopped"])

    def until(self, what: Any) -> None:
        """Wait until *what* answers something true."""
        deadline = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < deadline, f"not true within {PATIENCE} s"
            time.sleep(0.05)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
