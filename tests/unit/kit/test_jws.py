from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

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


@pytest.mark.parametrize("kid", [KEY.kid, "unknown", None])
@pytest.mark.parametrize("field", ["jwk", "x5c", "jku", "x5u"])
def test_a_key_that_comes_with_the_statement_is_not_believed(field: str, kid: str | None) -> None:
    """
    RFC 8725, section 3.10: whoever makes up a key must not be able to have it used.
    """
    own = SigningKey.generate()
    brought = {
        "jwk": own.public_jwk,
        "x5c": ["AAAA"],
        "jku": "http://evil.example/keys",
        "x5u": "http://evil.example/c",
    }
    headers: dict[str, Any] = {field: brought[field], **({} if kid is None else {"kid": kid})}
    token = jwt.encode(dict(CLAIMS), own.to_pem(), algorithm="ES256", headers=headers)

    with pytest.raises(SignatureError):
        verify(token)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_nobodys_secret(algorithm: str) -> None:
    """
    RFC 8725, section 2.1: a public key, taken for the secret of a MAC, would let everybody sign.
    """
    public = json.dumps({name: KEY.public_jwk[name] for name in ("crv", "kty", "x", "y")}).encode()
    pem = load_pem_private_key(KEY.to_pem(), password=None).public_key()
    written = pem.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    for secret in (public, written, written.strip()):
        digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
        body = b".".join(_b64(json.dumps(part).encode()) for part in ({"alg": algorithm, "kid": KEY.kid}, CLAIMS))
        # By hand: the library refuses to sign with such a secret.
        token = b".".join((body, _b64(hmac.digest(secret, body, digest)))).decode()
        with pytest.raises(SignatureError):
            verify(token)


def _b64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


@pytest.mark.parametrize("change", [{"crit": ["exp"]}, {"b64": False, "crit": ["b64"]}, {"zip": "DEF"}])
def test_an_extension_that_nobody_understands_is_refused_or_does_nothing(change: dict[str, Any]) -> None:
    """
    RFC 7515, section 4.1.11: who does not know what is critical must not go on. A field that says nothing to us counts
    for nothing: what is signed is what is read.
    """
    token = jwt.encode(dict(CLAIMS), KEY.to_pem(), algorithm="ES256", headers={"kid": KEY.kid, **change})

    if "crit" in change:
        with pytest.raises(SignatureError):
            verify(token)
    else:
        assert verify(token)["sub"] == CLAIMS["sub"]
