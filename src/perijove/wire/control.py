"""
The proxy's control API: contract section h, and what perijove adds to it.

All calls carry `Authorization: token <CONFIGPROXY_AUTH_TOKEN>`.

| call | body | answer |
|---|---|---|
| GET/POST/DELETE `/api/routes[/<path>]` | contract h | contract h |
| PUT `/api/routes` | `{"<path>": {body of a POST}, …}` | 204; the table is exactly this, in one step; 412 (see below) |
| PUT `/api/keys` | `{"keys": [JWK, …]}` | 204; replaces the public keys of the door |
| POST `/api/revocations` | `Revocation.to_body()` | 204; open WebSockets it names are closed within 1 s |
| GET `/api/door` | | 200 `{"keys": ["kid", …], "sessions": n, "revoked": n, "instance": "…"}` |

`instance` is new with every start of the proxy, so that a hub learns that what it told last may be lost.

GET `/api/routes` answers an `ETag`, which changes with every change of the table (not with activity). A PUT with
`If-Match` of an older one is refused with 412 and changes nothing (RFC 9110, section 13.1.1): of several hubs none
undoes by a whole table what another has just added or removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

ROUTES_PATH: Final = "/api/routes"
KEYS_PATH: Final = "/api/keys"
REVOCATIONS_PATH: Final = "/api/revocations"
DOOR_PATH: Final = "/api/door"
#: Environment variable that holds the shared secret (contract h).
AUTH_TOKEN_VARIABLE: Final = "CONFIGPROXY_AUTH_TOKEN"  # noqa: S105  # a name, no secret
#: The same for a file that holds it; the variable above wins.
AUTH_TOKEN_FILE_VARIABLE: Final = "CONFIGPROXY_AUTH_TOKEN_FILE"  # noqa: S105  # likewise
#: Environment variable with the passphrase of the public port's keys (contract h).
KEY_PASSPHRASE_VARIABLE: Final = "CONFIGPROXY_SSL_KEY_PASSPHRASE"  # noqa: S105  # a name, no secret
#: Likewise of the control API's key.
API_KEY_PASSPHRASE_VARIABLE: Final = "CONFIGPROXY_API_SSL_KEY_PASSPHRASE"  # noqa: S105  # a name, no secret
PASSPHRASE_VARIABLES: Final = (KEY_PASSPHRASE_VARIABLE, API_KEY_PASSPHRASE_VARIABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """
    Refuse from now on every identity token of a session or of a user that was issued until `before`.

    Exactly one of `sid` and `user` is given. With `audience` only that server is closed to them.
    Tokens issued (`iat`) after `before` are good again: the person signed in anew.
    """

    before: int
    sid: str = ""
    user: str = ""
    audience: str = ""

    def to_body(self) -> dict[str, Any]:
        """JSON body of `POST /api/revocations`."""
        return {"before": self.before, "sid": self.sid, "user": self.user, "audience": self.audience}
