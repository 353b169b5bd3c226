"""
What the proxy asks the hub about the door. All are POST with JSON, below the hub's prefix, and
carry `Authorization: token <CONFIGPROXY_AUTH_TOKEN>`; anything else is answered 403.

`…/_door/exchange`
    `{"token": "<hub API token>", "audience": "ada/"}`; answers 200 `{"identity": "<JWT>", "expires_in": s}` or
    403 `{"reason": …}`.
`…/_door/recheck`
    `{"visits": [{"sid": …, "user": …, "audience": …, "scope": "read write"}, …]}`, at most 1000; answers 200
    `{"refused": [visit, …]}`. `scope` is that of the identity token; a visit without it is refused only when nothing
    at all is allowed any more, one with it also when something of it is not.

`GET …/enter?server=<audience>&next=<path>` is where the proxy sends a navigation that has no valid token; where users
have origins of their own, it is `GET …/doorstep` with the same query, at the host that was asked.
"""

from __future__ import annotations

from typing import Final

EXCHANGE_PATH: Final = "_door/exchange"
RECHECK_PATH: Final = "_door/recheck"
ENTER_PATH: Final = "enter"
DOORSTEP_PATH: Final = "doorstep"
#: Longest list of visits in one recheck.
MAX_VISITS: Final = 1000
#: Seconds an identity token made from a hub API token lives: short, so that a revoked token dies soon.
EXCHANGED_TOKEN_SECONDS: Final = 300
