from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perijove.wire.identity import FULL_ACCESS, IdentityClaims, binding_of, digest_of

CLAIMS = IdentityClaims(sub="ada", sid="s", aud="ada/", scope=FULL_ACCESS, name="Ada", iat=1, exp=2, jti="j")


def test_claims_survive_the_wire() -> None:
    assert IdentityClaims.from_claims(CLAIMS.to_claims()) == CLAIMS


def test_a_binding_survives_the_wire_and_is_not_there_without_one() -> None:
    bound = replace(CLAIMS, binding=binding_of("cookie", digest_of("value")))

    assert IdentityClaims.from_claims(bound.to_claims()) == bound
    assert "bnd" not in CLAIMS.to_claims()


def test_how_a_visitor_is_shown_survives_the_wire_and_is_not_there_if_nobody_says() -> None:
    seen = replace(CLAIMS, initials="AL", avatar_url="/a.png", color="#fff")

    assert IdentityClaims.from_claims(seen.to_claims()) == seen
    assert seen.to_claims()["picture"] == "/a.png"
    assert CLAIMS.to_claims().keys().isdisjoint({"initials", "picture", "color"})


def test_a_digest_is_the_challenge_of_rfc_7636() -> None:
    """
    Its appendix B.
    """
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

    assert digest_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_claims_of_a_later_version_are_read() -> None:
    """
    The law of the file: readers ignore what they do not know.
    """
    assert IdentityClaims.from_claims({**CLAIMS.to_claims(), "later": True}) == CLAIMS


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "other"},
        {"sub": 1},
        {"exp": "2"},
        {"scope": ["read"]},
        {"name": None},
        {"bnd": 1},
        {"picture": 1},
        {"initials": None},
        {"color": []},
    ],
)
def test_claims_of_another_shape_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        IdentityClaims.from_claims({**CLAIMS.to_claims(), **change})


@pytest.mark.parametrize("missing", ["sub", "sid", "aud", "scope", "name", "iat", "exp", "jti", "iss"])
def test_a_missing_claim_is_refused(missing: str) -> None:
    claims = CLAIMS.to_claims()
    del claims[missing]

    with pytest.raises(ValueError, match=r"."):
        IdentityClaims.from_claims(claims)
