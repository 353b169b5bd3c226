"""
ES256 signatures on small JSON statements: sign with a private key, verify with public ones.

A thin edge over PyJWT and `cryptography`; what the statement means is `wire/identity.py`.
Keys travel as JWK dictionaries (RFC 7517) with a `kid`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm

ALGORITHM: Final = "ES256"


class SignatureError(Exception):
    """The statement is not signed by a known key, is not for this audience, or has expired."""


class SigningKey:
    """
    The private half: makes signed statements. `public_jwk` is what others need to check them.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        public = json.loads(ECAlgorithm.to_jwk(key.public_key()))
        canonical = json.dumps({k: public[k] for k in ("crv", "kty", "x", "y")}, separators=(",", ":"))
        #: RFC 7638 thumbprint, so that equal keys have equal names
        self.kid = hashlib.sha256(canonical.encode()).hexdigest()[:16]
        self.public_jwk: dict[str, str] = {**public, "kid": self.kid, "alg": ALGORITHM, "use": "sig"}

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key from the system's randomness."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> SigningKey:
        """
        Read a key written by `to_pem`.

        Raises:
            SignatureError: *pem* holds no P-256 private key.
        """
        try:
            key = load_pem_private_key(pem, password=None)
        except ValueError as exc:
            raise SignatureError("the signing key file holds no private key") from exc
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise SignatureError("the signing key is not a P-256 key")
        return cls(key)

    def to_pem(self) -> bytes:
        """The key as unencrypted PKCS#8 PEM; keep it at mode 0600."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A compact JWS over *claims*."""
        return jwt.encode(dict(claims), self._key, algorithm=ALGORITHM, headers={"kid": self.kid})


class Verifier:
    """The public half: checks statements made by any of a few known keys."""

    def __init__(self, jwks: Sequence[Mapping[str, Any]]) -> None:
        self._keys = {str(jwk["kid"]): jwt.PyJWK(dict(jwk), algorithm=ALGORITHM).key for jwk in jwks}

    def verify(self, token: str, *, audience: str, now: datetime, leeway: float = 30.0) -> dict[str, Any]:
        """
        The claims of *token*, if a known key signed it for *audience* and it has not expired.

        Args:
            token: a compact JWS.
            audience: exact value that `aud` must have.
            now: the time to judge `exp` and `nbf` by.
            leeway: seconds by which clocks may differ.

        Raises:
            SignatureError: anything at all is wrong with it.
        """
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._keys.get(str(kid))
            if key is None:
                raise SignatureError("signed by an unknown key")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=audience,
                options={
                    "require": ["exp", "aud", "sub"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.InvalidTokenError as exc:
            raise SignatureError(str(exc)) from exc
        if claims["aud"] != audience:
            raise SignatureError("not for this audience")
        if not isinstance(claims["exp"], int | float) or now.timestamp() > claims["exp"] + leeway:
            raise SignatureError("expired")
        return claims
