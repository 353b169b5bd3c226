"""
The installation as a program with a token sees it: its REST API, and the servers behind its proxy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from perijove.chaos.ledger import Found, Ledger

#: seconds that any call may take: a start waits ten in the hub itself
TIMEOUT: Final = 30.0
#: what every call asks for → method and what comes after the user's address
_CALLS: Final[Mapping[str, tuple[str, str]]] = {
    "create": ("POST", ""),
    "start": ("POST", "/server"),
    "stop": ("DELETE", "/server"),
    "look": ("GET", ""),
}


class Site:
    """
    Use as `async with Site(url, token) as site:`.

    Args:
        url: of the whole deployment, without a trailing slash.
        token: of somebody who may do everything with users and servers.
    """

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"token {token}"}
        # A connection each: one that is kept may be cut by a killed proxy, which would say nothing about the next.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=TIMEOUT, limits=limits, trust_env=False, follow_redirects=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def ask(self, what: str, name: str, ledger: Ledger) -> int | None:
        """One of `_CALLS` for *name*, noted in *ledger*; answers the status, None if there was none."""
        method, tail = _CALLS[what]
        try:
            answer = await self._client.request(method, f"/hub/api/users/{quote(name)}{tail}")
        except httpx.HTTPError:
            ledger.answered(what, name, None)
            return None
        ledger.answered(what, name, answer.status_code, answer.text)
        return answer.status_code

    async def visit(self, name: str, ledger: Ledger) -> None:
        """Somebody's server through the proxy; what it answers promises nothing."""
        status = await self._status(f"/user/{quote(name)}/api/status")
        ledger.answers[f"visit {'cut off' if status is None else status}"] += 1

    async def remove(self, name: str) -> bool:
        """Delete a user with the server."""
        try:
            answer = await self._client.request("DELETE", f"/hub/api/users/{quote(name)}")
        except httpx.HTTPError:
            return False
        return answer.status_code in {204, 404}

    async def pending(self, prefix: str) -> Sequence[str]:
        """Names that begin so and whose server is on its way."""
        return [str(user["name"]) for user in await self._users(prefix) if user.get("pending")]

    async def found(self, prefix: str) -> Mapping[str, Found]:
        """How every server of those whose name begins so is now."""
        return {str(user["name"]): await self._found(user) for user in await self._users(prefix)}

    async def routed(self, prefix: str) -> Sequence[str]:
        """Owners of the routes to servers, as far as their names begin so."""
        answer = await self._client.get("/hub/api/proxy")
        answer.raise_for_status()
        owners = [str(body.get("data", {}).get("user", "")) for body in answer.json().values()]
        return [owner for owner in owners if owner.startswith(prefix)]

    async def is_up(self) -> bool:
        """Whether the hub answers through the proxy."""
        return await self._status("/hub/health") == httpx.codes.OK

    async def _users(self, prefix: str) -> list[dict[str, Any]]:
        users: list[dict[str, Any]] = []
        while True:
            part: dict[str, str | int] = {"name_filter": prefix, "offset": len(users), "limit": 200}
            answer = await self._client.get("/hub/api/users", params={**part, "include_stopped_servers": "1"})
            answer.raise_for_status()
            page = answer.json()
            users += page
            if not page:
                return [user for user in users if str(user["name"]).startswith(prefix)]

    async def _found(self, user: Mapping[str, Any]) -> Found:
        server = user["servers"].get("", {})
        is_ready, is_active = bool(server.get("ready")), not server.get("stopped", True)
        answers = is_ready and await self._status(f"/user/{quote(user['name'])}/api/status") == httpx.codes.OK
        failure = "" if is_active else await self._failure(str(user["name"]))
        return Found(exists=True, is_ready=is_ready, is_active=is_active, failure=failure, answers=answers)

    async def _failure(self, name: str) -> str:
        """What the stream of a start that failed says."""
        answer = await self._client.get(f"/hub/api/users/{quote(name)}/server/progress")
        events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
        last = json.loads(events[-1]) if answer.is_success and events else {}
        return str(last.get("message", "")) if last.get("failed") else ""

    async def _status(self, path: str) -> int | None:
        try:
            return (await self._client.get(path)).status_code
        except httpx.HTTPError:
            return None
