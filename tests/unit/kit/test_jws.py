from __future__ import annotations

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from perijove.kit.jws import SignatureError, SigningKey, Verifier

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = SigningKey.generate()
CLAIMS = {"sub": "ada", "aud": "ada/", "exp": int(NOW.timestamp()) + 60}


def verify(token: str, *, audience: str = "ada/", now: datetime = NOW) -> dict[str, object]:
    return Verifier([KEY.public_jwk]).verify(token, audience=audience, now=now)


def test_what_is_signed_can_be_verified() -> None:
    assert verify(KEY.sign(CLAIMS))["sub"] == "ada"


def test_a_key_survives_its_file() -> None:
    copy = SigningKey.from_pem(KEY.to_pem())

    assert copy.kid == KEY.kid
    assert verify(copy.sign(CLAIMS))["sub"] == "ada"


def test_another_audience_is_refused() -> None:
    with pytest.raises(SignatureError):
        verify(KEY.sign(CLAIMS), audience="bob/")


def test_a_list_of_audiences_is_refused() -> None:
    """
    A statement is for one server; a list would open several.
    """
    with pytest.raises(SignatureError):
        verify(KEY.sign({**CLAIMS, "aud": ["ada/", "bob/"]}))


def test_an_expired_statement_is_refused() -> None:
    with pytest.raises(SignatureError, match="expired"):
        verify(KEY.sign(CLAIMS), now=NOW + timedelta(seconds=91))


def test_another_key_is_refused() -> None:
    with pytest.raises(SignatureError):
        verify(SigningKey.generate().sign(CLAIMS))


def test_another_key_under_a_known_name_is_refused() -> None:
    stranger = SigningKey.generate()
    stranger.kid = KEY.kid

    with pytest.raises(SignatureError):
        verify(stranger.sign(CLAIMS))


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_no_other_algorithm_is_accepted(algorithm: str) -> None:
    """
    RFC 8725, section 3.1: the verifier decides the algorithm, not the statement.
    """
    secret = "" if algorithm == "none" else "x" * 64
    token = jwt.encode(dict(CLAIMS), secret, algorithm=algorithm, headers={"kid": KEY.kid})

    with pytest.raises(SignatureError):
        verify(token)


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "....", "ä.ö.ü"])
def test_garbage_is_refused(token: str) -> None:
    with pytest.raises(SignatureError):
        verify(token)


def test_a_file_that_holds_no_key_is_refused() -> None:
    with pytest.raises(SignatureError):
        SigningKey.from_pem(b"-----BEGIN NOTHING-----")
