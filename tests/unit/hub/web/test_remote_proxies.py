from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from perijove.hub.web.client_address import address_of, is_tls
from perijove.hub.web.remote_proxies import BelieveProxies


@pytest.mark.parametrize(
    ("client", "address", "tls"),
    [
        (("10.0.0.5", 4711), "192.0.2.1", True),
        (("10.0.0.6", 4711), "10.0.0.6", False),
        (None, "192.0.2.1", True),
    ],
)
async def test_only_a_proxy_that_is_named_is_believed_over_tcp(
    client: tuple[str, int] | None,
    address: str,
    tls: bool,  # noqa: FBT001  # a column of the table
) -> None:
    """
    A user's server could else pretend to be anybody, and walk around the limit of attempts.
    """
    seen: list[HTTPConnection] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(HTTPConnection(scope))

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        """Nothing is answered."""

    headers = [(b"x-forwarded-for", b"192.0.2.1"), (b"x-forwarded-proto", b"https")]
    scope: Scope = {"type": "http", "client": client, "headers": headers, "scheme": "http", "path": "/"}
    await BelieveProxies(app, addresses=frozenset({"10.0.0.5"}))(scope, receive, send)

    assert address_of(seen[0]) == address
    assert is_tls(seen[0]) is tls
