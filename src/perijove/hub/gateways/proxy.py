"""
The proxy's control API (wire/control.py) as the use cases see it: `hub.ports.ProxyGateway`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from perijove.hub.domain.errors import ProxyAway
from perijove.hub.gateways.http_origin import client_of
from perijove.wire.control import DOOR_PATH, KEYS_PATH, REVOCATIONS_PATH, ROUTES_PATH, Revocation
from perijove.wire.routes import Route

#: seconds that one call may take; the proxy answers from memory
_TIMEOUT: Final = 5.0


class HttpProxyGateway:
    """Speaks to one proxy; use as `async with`."""

    def __init__(self, origin: str, token: str) -> None:
        self._client = client_of(origin, timeout=_TIMEOUT, headers={"Authorization": f"token {token}"})

    async def routes(self) -> Mapping[str, Mapping[str, Any]]:
        """The whole table, by path."""
        answer = await self._call("GET", ROUTES_PATH)
        table: dict[str, dict[str, Any]] = answer.json()
        return table

    async def add(self, route: Route) -> None:
        """Add or replace one route; it counts when this answers."""
        await self._call("POST", _route_path(route.path), json=route.to_body())

    async def remove(self, path: str) -> None:
        """Remove one route; one that is not there is no error."""
        await self._call("DELETE", _route_path(path), missing_is_fine=True)

    async def replace_all(self, routes: Sequence[Route]) -> None:
        """The table is exactly this, in one step."""
        await self._call("PUT", ROUTES_PATH, json={route.path: route.to_body() for route in routes})

    async def keys(self) -> Sequence[str]:
        """`kid`s of the public keys that the door knows."""
        answer = await self._call("GET", DOOR_PATH)
        return [str(kid) for kid in answer.json().get("keys", [])]

    async def set_keys(self, jwks: Sequence[Mapping[str, Any]]) -> None:
        """Replace the public keys of the door."""
        await self._call("PUT", KEYS_PATH, json={"keys": [dict(jwk) for jwk in jwks]})

    async def revoke(self, revocation: Revocation) -> None:
        """Close the door to a session or a user."""
        await self._call("POST", REVOCATIONS_PATH, json=revocation.to_body())

    async def _call(self, method: str, path: str, *, json: Any = None, missing_is_fine: bool = False) -> httpx.Response:
        try:
            answer = await self._client.request(method, path, json=json)
        except httpx.HTTPError as exc:
            raise ProxyAway(f"The proxy does not answer: {type(exc).__name__}: {exc}") from exc
        if answer.is_success or (missing_is_fine and answer.status_code == httpx.codes.NOT_FOUND):
            return answer
        raise ProxyAway(f"The proxy answered {answer.status_code} to {method} {path}: {answer.text[:200]}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()


def _route_path(path: str) -> str:
    return ROUTES_PATH + quote(path)
