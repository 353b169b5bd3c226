from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

import pytest

from perijove.hub.oauth.authorize import (
    MAX_SCOPES,
    MAX_STATE,
    answer_url,
    granted_url,
    origin_of_redirect,
    read_client,
    read_request,
    refused_url,
)
from perijove.hub.oauth.clients import client_of_server
from perijove.hub.oauth.errors import AuthorizationRefused, BadClient, ErrorCode
from perijove.hub.oauth.pkce import Challenge, Method

CALLBACK = "/user/ada/oauth_callback"
CLIENT = client_of_server(base_url="/", owner_id=1, user="ada", server="")
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def asked(**changes: Sequence[str] | None) -> Mapping[str, Sequence[str]]:
    parameters: dict[str, Sequence[str] | None] = {
        "client_id": [CLIENT.id],
        "redirect_uri": [CALLBACK],
        "response_type": ["code"],
        "state": ["xyz"],
        **changes,
    }
    return {name: values for name, values in parameters.items() if values is not None}


def test_a_request_is_read() -> None:
    request = read_request(
        asked(scope=["a b  a"], code_challenge=[CHALLENGE], code_challenge_method=["S256"]), CLIENT, require_pkce=True
    )

    assert request.scopes == ("a", "b")
    assert request.state == "xyz"
    assert request.challenge == Challenge(text=CHALLENGE, method=Method.S256)


def test_what_is_left_out_stays_out() -> None:
    request = read_request(asked(state=None), CLIENT, require_pkce=False)

    assert (request.state, request.scopes, request.challenge) == (None, None, None)
    assert granted_url(request, "the-code") == f"{CALLBACK}?code=the-code"


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
@pytest.mark.parametrize("values", [None, [""], ["a", "b"]])
def test_without_a_client_or_its_address_nobody_is_redirected(name: str, values: Sequence[str] | None) -> None:
    with pytest.raises(BadClient):
        read_client(asked(**{name: values}))


@pytest.mark.parametrize(
    "uri",
    [
        "/user/ada/oauth_callback/",
        "/user/ada/oauth_callback?x=1",
        "/user/ada/oauth_callback#x",
        "/user/ada/../eve/oauth_callback",
        "/user/ada//oauth_callback",
        "/user/%61da/oauth_callback",
        "/user/ADA/oauth_callback",
        "/user/eve/oauth_callback",
        "//evil.example/user/ada/oauth_callback",
        "/\\evil.example/user/ada/oauth_callback",
        "http://hub.example/user/ada/oauth_callback",
        "https://hub.example@evil.example/user/ada/oauth_callback",
        "user/ada/oauth_callback",
        " /user/ada/oauth_callback",
        "/user/ada/oauth_callback\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
    ],
)
def test_a_redirection_uri_is_the_registered_one_to_the_letter(uri: str) -> None:
    """
    RFC 9700, 2.1: every cleverness in comparing them has been somebody's hole.
    """
    with pytest.raises(BadClient):
        read_request(asked(redirect_uri=[uri]), CLIENT, require_pkce=False)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response_type": None}, ErrorCode.INVALID_REQUEST),
        ({"response_type": ["token"]}, ErrorCode.UNSUPPORTED_RESPONSE_TYPE),
        ({"response_type": ["code token"]}, ErrorCode.UNSUPPORTED_RESPONSE_TYPE),
        ({"response_type": ["code", "code"]}, ErrorCode.INVALID_REQUEST),
        ({"scope": ["a", "b"]}, ErrorCode.INVALID_REQUEST),
        ({"scope": [" ".join(map(str, range(MAX_SCOPES + 1)))]}, ErrorCode.INVALID_SCOPE),
        ({"code_challenge": ["short"]}, ErrorCode.INVALID_REQUEST),
        ({"code_challenge": [CHALLENGE], "code_challenge_method": ["S512"]}, ErrorCode.INVALID_REQUEST),
        ({"code_challenge_method": ["S256"]}, ErrorCode.INVALID_REQUEST),
        ({"code_challenge": [CHALLENGE, CHALLENGE]}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_a_wrong_request_of_a_known_client_goes_back_to_it(
    changes: Mapping[str, Sequence[str]], code: ErrorCode
) -> None:
    with pytest.raises(AuthorizationRefused) as caught:
        read_request(asked(**changes), CLIENT, require_pkce=False)

    url = urlsplit(refused_url(caught.value))
    assert url.path == CALLBACK
    assert parse_qs(url.query)["error"] == [code.value]
    assert parse_qs(url.query)["state"] == ["xyz"]


@pytest.mark.parametrize("state", [["a", "b"], ["x" * (MAX_STATE + 1)]])
def test_a_state_that_cannot_be_given_back_refuses_the_request(state: Sequence[str]) -> None:
    with pytest.raises(AuthorizationRefused) as caught:
        read_request(asked(state=state), CLIENT, require_pkce=False)

    assert "state" not in parse_qs(urlsplit(refused_url(caught.value)).query)


def test_pkce_can_be_required() -> None:
    with pytest.raises(AuthorizationRefused, match="Code challenge required"):
        read_request(asked(), CLIENT, require_pkce=True)


def test_an_answer_keeps_the_query_of_the_address_and_breaks_out_of_nothing() -> None:
    url = answer_url("https://app.example/cb?tenant=1", {"code": "a&b"}, "x\r\ny#z=1&code=evil")

    assert url.startswith("https://app.example/cb?tenant=1&code=a%26b&state=")
    assert "\r" not in url
    assert "\n" not in url
    assert parse_qs(urlsplit(url).query) == {"tenant": ["1"], "code": ["a&b"], "state": ["x\r\ny#z=1&code=evil"]}


def test_the_origin_of_an_answer() -> None:
    assert origin_of_redirect(CALLBACK) == ""
    assert origin_of_redirect("https://app.example:8443/cb?x=1") == "https://app.example:8443"
