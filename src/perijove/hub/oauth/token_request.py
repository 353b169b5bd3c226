"""
The exchange of a code for a token (RFC 6749, 4.1.3 and section 5).

Clients authenticate by `client_id` and `client_secret` in the body, and in no other way (contract b).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from perijove.hub.domain.oauth_codes import OAuthCode
from perijove.hub.oauth.clients import OAuthClient
from perijove.hub.oauth.errors import ErrorCode, Repeated, TokenRefused
from perijove.hub.oauth.parameters import Parameters, only
from perijove.hub.oauth.pkce import Challenge, Method, is_met

GRANT_TYPE: Final = "authorization_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """What a client sends."""

    client_id: str
    client_secret: str = field(repr=False)
    code: str = field(repr=False)
    redirect_uri: str
    #: empty: none
    verifier: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """What it gets."""

    text: str = field(repr=False)
    #: seconds
    expires_in: int
    scopes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The answer of 5.1."""
        return {
            "access_token": self.text,
            "expires_in": self.expires_in,
            "token_type": "Bearer",
            "scope": " ".join(self.scopes),
        }


def read_token_request(parameters: Parameters) -> TokenRequest:
    """
    The request.

    Raises:
        TokenRefused: it is not one, or not for a code.
    """
    try:
        values = {
            name: only(parameters, name)
            for name in ("grant_type", "client_id", "client_secret", "code", "redirect_uri", "code_verifier")
        }
    except Repeated as exc:
        raise TokenRefused(ErrorCode.INVALID_REQUEST, str(exc)) from exc
    if not values["grant_type"]:
        raise TokenRefused(ErrorCode.INVALID_REQUEST, "The grant_type is missing.")
    if values["grant_type"] != GRANT_TYPE:
        raise TokenRefused(ErrorCode.UNSUPPORTED_GRANT_TYPE)
    if not values["client_id"] or not values["client_secret"]:
        raise TokenRefused(ErrorCode.INVALID_CLIENT)
    for name in ("code", "redirect_uri"):
        if not values[name]:
            raise TokenRefused(ErrorCode.INVALID_REQUEST, f"The {name} is missing.")
    return TokenRequest(
        client_id=values["client_id"],
        client_secret=values["client_secret"],
        code=values["code"],
        redirect_uri=values["redirect_uri"],
        verifier=values["code_verifier"],
    )


def check_code(code: OAuthCode, request: TokenRequest, client: OAuthClient, *, now: datetime) -> None:
    """
    That *request* of *client*, which has proved to be that, may have what *code* stands for.

    Raises:
        TokenRefused: it has ended, was given to another client or address, or the verifier is not the one that
            the code was asked with.
    """
    # Two servers can have one client id (`clients.possible_servers`), but no two have one redirection URI.
    is_theirs = code.client_id == client.id and code.redirect_uri == request.redirect_uri == client.redirect_uri
    if not is_theirs or code.expires_at <= now:
        raise TokenRefused(ErrorCode.INVALID_GRANT)
    if not code.challenge:
        # RFC 9700, 4.8.2: otherwise whoever takes the challenge out of the request gets past it.
        if request.verifier:
            raise TokenRefused(ErrorCode.INVALID_GRANT)
        return
    if not request.verifier:
        raise TokenRefused(ErrorCode.INVALID_REQUEST, "Code verifier required.")
    if not is_met(Challenge(text=code.challenge, method=Method(code.challenge_method)), request.verifier):
        raise TokenRefused(ErrorCode.INVALID_GRANT)
