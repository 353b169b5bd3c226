"""
Why an OAuth request is refused, in the words of RFC 6749. Only `web/oauth` knows what each means in HTTP.

    BadClient               tell the person, redirect nowhere (4.1.2.1): the client or its address is not known
    AuthorizationRefused    tell the client, by redirecting to its address (4.1.2.1)
    TokenRefused            tell the client, in JSON (5.2)
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from perijove.hub.domain.errors import Invalid

#: characters of `error_description` (RFC 6749, 4.1.2.1 and 5.2): printable ASCII less `"` and `\`
_DESCRIBING: Final = frozenset(map(chr, range(0x20, 0x7F))) - {'"', "\\"}


class ErrorCode(Enum):
    """Values of `error`."""

    INVALID_REQUEST = "invalid_request"
    UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"
    INVALID_SCOPE = "invalid_scope"
    ACCESS_DENIED = "access_denied"
    INVALID_CLIENT = "invalid_client"
    INVALID_GRANT = "invalid_grant"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"


class BadClient(Invalid):
    """This application is not known here, or does not say truly where it is. Go back and try again from there."""


class AuthorizationRefused(Exception):
    """The client is told, at its own address."""

    def __init__(self, code: ErrorCode, description: str, *, redirect_uri: str, state: str | None) -> None:
        super().__init__(description)
        self.code = code
        self.description = describable(description)
        self.redirect_uri = redirect_uri
        self.state = state


class TokenRefused(Exception):
    """The client is told, in the answer."""

    def __init__(self, code: ErrorCode, description: str = "") -> None:
        super().__init__(description or code.value)
        self.code = code
        self.description = describable(description)


class ScopeNotAllowed(ValueError):
    """The client may not have that scope."""


class BadChallenge(ValueError):
    """Not a code challenge of RFC 7636."""


class Repeated(ValueError):
    """A parameter is there more than once (RFC 6749, 3.1)."""


def describable(text: str) -> str:
    """*text* with the characters that `error_description` may have."""
    return "".join(char if char in _DESCRIBING else "'" for char in text)
