"""
The proxy's control API, called over HTTP (`wire/control.py`).

Every failure of any kind is `ProxyAway`: the callers know what to do without a proxy, and a proxy that answers
nonsense is none.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Final, Self
from urllib.parse import quote, unquote, urlsplit

import httpx

from perijove.hub.domain.errors import ProxyAway
from perijove.hub.ports import DoorState, ProxyTable
from perijove.wire.control import DOOR_PATH, KEYS_PATH, REVOCATIONS_PATH, ROUTES_PATH, Revocation
from perijove.wire.routes import Route

if find_spec("sniffio") is None:
    # The client looks for it with every call, several times, and an import that fails searches all folders anew: that
    # was half of what a call costs. None says that it is not there (the language reference, “The module cache”).
    sys.modules["sniffio"] = None  # type: ignore[assignment]

_UNIX: Final = "http+unix"
#: what stays as it is in a route's path (contract h)
_SAFE: Final = "/@~"


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
        url = urlsplit(base)
        socket = unquote(url.netloc) if url.scheme == _UNIX else None
        # The authorities that the system trusts, or those of $SSL_CERT_FILE; loaded only where they are needed.
        verify = ssl.create_default_context() if url.scheme == "https" else False
        self._client = httpx.AsyncClient(
            base_url="http://proxy" if socket else base,
            transport=httpx.AsyncHTTPTransport(uds=socket, verify=verify, retries=1),
            headers={"Authorization": f"token {token}"},
            timeout=timeout,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def routes(self) -> Mapping[str, Mapping[str, Any]]:
        """The whole table."""
        return (await self.read_table()).routes

    async def read_table(self) -> ProxyTable:
        """The whole table, with its version."""
        answer = await self._call("GET", ROUTES_PATH)
        return ProxyTable(routes=_object(answer), version=answer.headers.get("ETag", ""))

    async def add(self, route: Route) -> None:
        """Add or replace a route; it works once this has answered."""
        await self._call("POST", _route_path(route.path), route.to_body())

    async def remove(self, path: str) -> None:
        """Remove a route, if it is there."""
        await self._call("DELETE", _route_path(path), may_be_missing=True)

    async def replace_all(self, routes: Sequence[Route], *, version: str = "") -> bool:
        """The table is exactly this, in one step, if it is still of that version."""
        body = {route.path: route.to_body() for route in routes}
        answer = await self._call("PUT", ROUTES_PATH, body, if_match=version)
        return answer.status_code != httpx.codes.PRECONDITION_FAILED

    async def door(self) -> DoorState:
        """Which keys the door knows, and which start of the proxy this is."""
        answer = _object(await self._call("GET", DOOR_PATH))
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
    ) -> httpx.Response:
        headers = {"If-Match": if_match} if if_match else {}
        try:
            response = await self._send(method, path, body, headers)
        except httpx.HTTPError as exc:
            raise ProxyAway(f"The proxy does not answer right now ({type(exc).__name__}).") from exc
        if response.is_success or (may_be_missing and response.status_code == httpx.codes.NOT_FOUND):
            return response
        if if_match and response.status_code == httpx.codes.PRECONDITION_FAILED:
            return response
        if response.status_code == httpx.codes.FORBIDDEN:
            raise ProxyAway("The proxy refuses the hub's token: both must be given the same CONFIGPROXY_AUTH_TOKEN.")
        raise ProxyAway(f"The proxy answered {response.status_code} to {method} {path}.")

    async def _send(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> httpx.Response:
        try:
            return await self._client.request(method, path, json=body, headers=headers)
        except httpx.TimeoutException:
            raise
        except httpx.TransportError:
            # A connection kept from before the proxy restarted. Every call may be made twice: they all state what is,
            # and a whole table that has arrived the first time is then of an older version, and read again.
            return await self._client.request(method, path, json=body, headers=headers)


def _route_path(path: str) -> str:
    return f"{ROUTES_PATH}/{quote(path.lstrip('/'), safe=_SAFE)}"


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError as exc:
        raise ProxyAway("The proxy's answer is not JSON.") from exc
    if not isinstance(answer, dict):
        raise ProxyAway("The proxy's answer is not an object.")
    return answer
