from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from perijove.hub.domain.oauth_codes import OAuthCode
from perijove.hub.oauth.clients import client_of_server
from perijove.hub.oauth.errors import ErrorCode, TokenRefused
from perijove.hub.oauth.token_request import IssuedToken, TokenRequest, check_code, read_token_request

NOW = datetime(2026, 1, 2, tzinfo=UTC)
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
CALLBACK = "/user/ada/oauth_callback"
CLIENT = client_of_server(base_url="/", owner_id=1, user="ada", server="")
CODE = OAuthCode(
    code_hash="h",
    client_id=CLIENT.id,
    user_id=1,
    session_id="s",
    redirect_uri=CALLBACK,
    scopes=(),
    challenge=CHALLENGE,
    challenge_method="S256",
    expires_at=NOW + timedelta(seconds=1),
)
REQUEST = TokenRequest(
    client_id=CLIENT.id, client_secret="secret", code="code", redirect_uri=CALLBACK, verifier=VERIFIER
)
FORM = {
    "grant_type": ["authorization_code"],
    "client_id": [CLIENT.id],
    "client_secret": ["secret"],
    "code": ["code"],
    "redirect_uri": [CALLBACK],
    "code_verifier": [VERIFIER],
}


def test_a_request_is_read_and_shows_no_secret() -> None:
    request = read_token_request(FORM)

    assert request == REQUEST
    assert not {"secret'", VERIFIER, "'code'"} & set(repr(request).replace("=", " ").split())
    assert "secret'" not in repr(request)


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("grant_type", [], ErrorCode.INVALID_REQUEST),
        ("grant_type", ["password"], ErrorCode.UNSUPPORTED_GRANT_TYPE),
        ("grant_type", ["refresh_token"], ErrorCode.UNSUPPORTED_GRANT_TYPE),
        ("grant_type", ["client_credentials"], ErrorCode.UNSUPPORTED_GRANT_TYPE),
        ("client_id", [], ErrorCode.INVALID_CLIENT),
        ("client_secret", [], ErrorCode.INVALID_CLIENT),
        ("code", [], ErrorCode.INVALID_REQUEST),
        ("redirect_uri", [], ErrorCode.INVALID_REQUEST),
        ("code", ["a", "b"], ErrorCode.INVALID_REQUEST),
        ("client_secret", ["a", "b"], ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_is_no_request_is_refused(name: str, values: Sequence[str], code: ErrorCode) -> None:
    with pytest.raises(TokenRefused) as caught:
        read_token_request({**FORM, name: values})

    assert caught.value.code is code


def test_a_code_is_for_who_asked_for_it() -> None:
    check_code(CODE, REQUEST, CLIENT, now=NOW)


@pytest.mark.parametrize(
    ("code", "request_", "error"),
    [
        (replace(CODE, client_id="jupyterhub-user-eve"), REQUEST, ErrorCode.INVALID_GRANT),
        (replace(CODE, redirect_uri="/user/eve/oauth_callback"), REQUEST, ErrorCode.INVALID_GRANT),
        (CODE, replace(REQUEST, redirect_uri="/user/eve/oauth_callback"), ErrorCode.INVALID_GRANT),
        (replace(CODE, expires_at=NOW), REQUEST, ErrorCode.INVALID_GRANT),
        (CODE, replace(REQUEST, verifier=""), ErrorCode.INVALID_REQUEST),
        (CODE, replace(REQUEST, verifier=CHALLENGE), ErrorCode.INVALID_GRANT),
        (CODE, replace(REQUEST, verifier=VERIFIER[::-1]), ErrorCode.INVALID_GRANT),
        # Whoever took the challenge out of the request must not get past it (RFC 9700, 4.8.2).
        (replace(CODE, challenge="", challenge_method=""), REQUEST, ErrorCode.INVALID_GRANT),
    ],
)
def test_a_code_is_for_nobody_else(code: OAuthCode, request_: TokenRequest, error: ErrorCode) -> None:
    with pytest.raises(TokenRefused) as caught:
        check_code(code, request_, CLIENT, now=NOW)

    assert caught.value.code is error


def test_a_client_that_uses_no_pkce_needs_none() -> None:
    check_code(replace(CODE, challenge="", challenge_method=""), replace(REQUEST, verifier=""), CLIENT, now=NOW)


def test_two_servers_with_one_client_id_do_not_get_each_others_codes() -> None:
    """
    `jupyterhub-user-ada-lab` is the default server of `ada-lab` and the server `lab` of `ada`.
    """
    ours = client_of_server(base_url="/", owner_id=1, user="ada", server="lab")
    theirs = client_of_server(base_url="/", owner_id=2, user="ada-lab", server="")
    code = replace(CODE, client_id=ours.id, redirect_uri=ours.redirect_uri)
    request = replace(REQUEST, client_id=theirs.id, redirect_uri=ours.redirect_uri)

    assert ours.id == theirs.id
    check_code(code, request, ours, now=NOW)
    with pytest.raises(TokenRefused):
        check_code(code, request, theirs, now=NOW)


def test_the_answer_is_the_contracts() -> None:
    issued = IssuedToken(text="t", expires_in=9, scopes=("a", "b"))

    assert issued.to_json() == {"access_token": "t", "expires_in": 9, "token_type": "Bearer", "scope": "a b"}
    assert "'t'" not in repr(issued)
