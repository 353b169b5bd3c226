"""
The authorization request and its answers (RFC 6749, 4.1.1 and 4.1.2).

Rule: until client and redirection URI are known to belong together, nobody is redirected anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from perijove.hub.oauth.clients import OAuthClient
from perijove.hub.oauth.errors import AuthorizationRefused, BadChallenge, BadClient, ErrorCode, Repeated
from perijove.hub.oauth.parameters import Parameters, only
from perijove.hub.oauth.pkce import Challenge, read_challenge

#: Longest `state` given back. JupyterHub's clients send 22 characters, others pack an address into it.
MAX_STATE: Final = 4096
#: Most scopes that one request may name.
MAX_SCOPES: Final = 100
#: The only response type there is (contract b).
RESPONSE_TYPE: Final = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """What a client asks of a person, once it is known that it is this client."""

    client: OAuthClient
    #: None: not sent, so it is not sent back
    state: str | None = None
    #: as asked, in order; None: whatever the client may have
    scopes: tuple[str, ...] | None = None
    challenge: Challenge | None = None

    def refused(self, code: ErrorCode, description: str) -> AuthorizationRefused:
        """The refusal of this request."""
        return AuthorizationRefused(code, description, redirect_uri=self.client.redirect_uri, state=self.state)


def read_client(parameters: Parameters) -> tuple[str, str]:
    """
    Client id and redirection URI that a request names.

    Raises:
        BadClient: one of them is missing, or there twice.
    """
    try:
        client_id, redirect_uri = only(parameters, "client_id"), only(parameters, "redirect_uri")
    except Repeated as exc:
        raise BadClient from exc
    if not client_id or not redirect_uri:
        raise BadClient
    return client_id, redirect_uri


def read_request(parameters: Parameters, client: OAuthClient, *, require_pkce: bool) -> AuthorizationRequest:
    """
    The request of *client*, whose redirection URI is the one that *parameters* have.

    Raises:
        BadClient: it is another one.
        AuthorizationRefused: the client is right, the request is not.
    """
    _, redirect_uri = read_client(parameters)
    if redirect_uri != client.redirect_uri:
        raise BadClient
    request = AuthorizationRequest(client=client, state=_state(parameters))
    try:
        response_type, scope = only(parameters, "response_type"), only(parameters, "scope")
        challenge = read_challenge(only(parameters, "code_challenge"), only(parameters, "code_challenge_method"))
        if only(parameters, "state") and request.state is None:
            raise request.refused(ErrorCode.INVALID_REQUEST, f"The state has more than {MAX_STATE} characters.")
    except (Repeated, BadChallenge) as exc:
        raise request.refused(ErrorCode.INVALID_REQUEST, str(exc)) from exc
    if not response_type:
        raise request.refused(ErrorCode.INVALID_REQUEST, "The response_type is missing.")
    if response_type != RESPONSE_TYPE:
        raise request.refused(ErrorCode.UNSUPPORTED_RESPONSE_TYPE, "The response_type must be code.")
    if challenge is None and require_pkce:
        raise request.refused(ErrorCode.INVALID_REQUEST, "Code challenge required.")
    scopes = tuple(dict.fromkeys(scope.split())) if scope else None
    if scopes is not None and len(scopes) > MAX_SCOPES:
        raise request.refused(ErrorCode.INVALID_SCOPE, f"More than {MAX_SCOPES} scopes.")
    return AuthorizationRequest(client=client, state=request.state, scopes=scopes, challenge=challenge)


def answer_url(redirect_uri: str, answer: dict[str, str], state: str | None) -> str:
    """*redirect_uri* with an answer in its query, which keeps what it had (3.1.2)."""
    fields = answer if state is None else {**answer, "state": state}
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(fields)}"


def granted_url(request: AuthorizationRequest, code: str) -> str:
    """Where a browser takes *code* (4.1.2)."""
    return answer_url(request.client.redirect_uri, {"code": code}, request.state)


def refused_url(refusal: AuthorizationRefused) -> str:
    """Where a browser takes a refusal (4.1.2.1)."""
    answer = {"error": refusal.code.value, "error_description": refusal.description}
    return answer_url(refusal.redirect_uri, answer, refusal.state)


def origin_of_redirect(redirect_uri: str) -> str:
    """Scheme and host of a full redirection URI; empty for a path of this host."""
    url = urlsplit(redirect_uri)
    return f"{url.scheme}://{url.netloc}" if url.scheme and url.netloc else ""


def _state(parameters: Parameters) -> str | None:
    """What can be sent back, if only with a refusal."""
    values = parameters.get("state", ())
    return values[0] if len(values) == 1 and len(values[0]) <= MAX_STATE else None
