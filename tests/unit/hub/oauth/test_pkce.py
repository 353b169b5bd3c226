from __future__ import annotations

import pytest

from perijove.hub.oauth.errors import BadChallenge
from perijove.hub.oauth.pkce import Challenge, Method, is_met, read_challenge

#: RFC 7636, appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_example_of_the_rfc_is_met() -> None:
    challenge = read_challenge(CHALLENGE, "S256")

    assert challenge == Challenge(text=CHALLENGE, method=Method.S256)
    assert is_met(challenge, VERIFIER)


def test_without_a_method_it_is_plain() -> None:
    challenge = read_challenge(VERIFIER, "")

    assert challenge == Challenge(text=VERIFIER, method=Method.PLAIN)
    assert is_met(challenge, VERIFIER)


@pytest.mark.parametrize(
    ("method", "verifier"),
    [
        (Method.S256, VERIFIER[:-1] + "l"),
        (Method.S256, CHALLENGE),
        (Method.S256, ""),
        (Method.S256, VERIFIER + "é"),
        (Method.S256, VERIFIER + "\n"),
        (Method.PLAIN, VERIFIER),
    ],
)
def test_another_verifier_does_not_meet_it(method: Method, verifier: str) -> None:
    """
    Among them the challenge itself, for which whoever sees the request could fall back to `plain`.
    """
    assert not is_met(Challenge(text=CHALLENGE, method=method), verifier)


def test_no_challenge_is_none() -> None:
    assert read_challenge("", "") is None


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("", "S256"),
        (CHALLENGE, "s256"),
        (CHALLENGE, "none"),
        (CHALLENGE[:42], "S256"),
        ("a" * 129, "plain"),
        (CHALLENGE + "=", "S256"),
        (CHALLENGE + "\n", "S256"),
    ],
)
def test_what_is_no_challenge_is_refused(text: str, method: str) -> None:
    with pytest.raises(BadChallenge):
        read_challenge(text, method)
