"""
The proxy's control API, called over HTTP (`wire/control.py`).

Every failure of any kind is `ProxyAway`: the callers know what to do without a proxy, and a proxy that answers
nonsense is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol, Self
from urllib.parse import quote

import orjson

from perijove.hub.domain.errors import ProxyAway
from perijove.hub.ports import DoorState, ProxyTable
from perijove.wire.control import DOOR_PATH, KEYS_PATH, REVOCATIONS_PATH, ROUTES_PATH, Revocation
from perijove.wire.routes import Route

#: what stays as it is in a route's path (contract h)
_SAFE: Final = "/@~"


class Calls(Protocol):
    """`ControlClient`, which is loaded with the first call."""

    async def call(
        self, method: str, path: str, body: Any, *, may_be_missing: bool, if_match: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of a good answer. Raises ProxyAway."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class HttpProxyGateway:
    """`hub.ports.ProxyGateway` over a TCP address or a unix socket."""

    def __init__(self, base: str, token: str, *, timeout: float = 5.0) -> None:
        """
        Prepare calls; nothing is opened yet.

        Args:
            base: `http://host:port`, `https://host:port` or `http+unix://<percent-encoded path>`.
            token: shared secret of the control API.
            timeout: seconds that a call may take.
        """
        self._base = base
        self._token = token
        self._timeout = timeout
        self._calls: Calls | None = None
        self._loading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._calls is not None:
            await self._calls.close()

    async def routes(self) -> Mapping[str, Mapping[str, Any]]:
        """The whole table."""
        return (await self.read_table()).routes

    async def read_table(self) -> ProxyTable:
        """The whole table, with its version."""
        _, headers, body = await self._call("GET", ROUTES_PATH)
        return ProxyTable(routes=_object(body), version=headers.get("ETag", ""))

    async def add(self, route: Route) -> None:
        """Add or replace a route; it works once this has answered."""
        await self._call("POST", _route_path(route.path), route.to_body())

    async def remove(self, path: str) -> None:
        """Remove a route, if it is there."""
        await self._call("DELETE", _route_path(path), may_be_missing=True)

    async def replace_all(self, routes: Sequence[Route], *, version: str = "") -> bool:
        """The table is exactly this, in one step, if it is still of that version."""
        body = {route.path: route.to_body() for route in routes}
        status, _, _ = await self._call("PUT", ROUTES_PATH, body, if_match=version)
        return status != HTTPStatus.PRECONDITION_FAILED

    async def door(self) -> DoorState:
        """Which keys the door knows, and which start of the proxy this is."""
        _, _, body = await self._call("GET", DOOR_PATH)
        answer = _object(body)
        listed = answer.get("keys", [])
        keys = frozenset(str(kid) for kid in listed) if isinstance(listed, list) else frozenset()
        return DoorState(keys=keys, instance=str(answer.get("instance", "")))

    async def set_keys(self, jwks: Sequence[Mapping[str, Any]]) -> None:
        """Replace the door's public keys."""
        await self._call("PUT", KEYS_PATH, {"keys": [dict(jwk) for jwk in jwks]})

    async def revoke(self, revocation: Revocation) -> None:
        """Refuse identity tokens."""
        await self._call("POST", REVOCATIONS_PATH, revocation.to_body())

    async def _call(
        self, method: str, path: str, body: Any = None, *, may_be_missing: bool = False, if_match: str = ""
    ) -> tuple[int, Mapping[str, str], bytes]:
        async with self._loading:
            if self._calls is None:
                # On a thread: it takes a tenth of a second, during which others are answered.
                self._calls = await asyncio.to_thread(_load, self._base, self._token, self._timeout)
        return await self._calls.call(method, path, body, may_be_missing=may_be_missing, if_match=if_match)


def _load(base: str, token: str, timeout: float) -> Calls:
    # Not before: loading it would be a good part of the hub's start.
    from perijove.hub.gateways.control_client import ControlClient  # noqa: PLC0415

    return ControlClient(base, token, timeout=timeout)


def _route_path(path: str) -> str:
    return f"{ROUTES_PATH}/{quote(path.lstrip('/'), safe=_SAFE)}"


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(body)
    except ValueError as exc:
        raise ProxyAway("The proxy's answer is not JSON.") from exc
    if not isinstance(answer, dict):
        raise ProxyAway("The proxy's answer is not an object.")
    return answer
