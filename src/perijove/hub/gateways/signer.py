"""
The hub's signing key, kept in a file that nobody else may read, and the signer over it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog

from perijove.hub.domain.errors import HubError
from perijove.kit.jws import SignatureError, SigningKey, Verifier

log = structlog.get_logger(__name__)

#: permission bits that nobody but the owner may have
_OTHERS: Final = 0o077


class SigningKeyUnusable(HubError):
    """The signing key cannot be used."""


class FileSigner:
    """`hub.ports.IdentitySigner` with one key."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    @classmethod
    def open(cls, path: Path) -> FileSigner:
        """
        With the key in *path*, which is made if there is none.

        Raises:
            SigningKeyUnusable: it cannot be read or written, others may read it, or it is no key.
        """
        try:
            return cls(_read(path) if path.exists() else _make(path))
        except (OSError, SignatureError) as exc:
            raise SigningKeyUnusable(f"The signing key {path} cannot be used: {exc}.") from exc

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A compact JWS over *claims*."""
        return self._key.sign(claims)

    def read(self, statement: str, *, audience: str, now: datetime) -> Mapping[str, Any] | None:
        """The claims of a statement of its own for *audience*; None if it is none, or has ended."""
        try:
            return Verifier(self.public_jwks).verify(statement, audience=audience, now=now)
        except SignatureError:
            return None

    @property
    def public_jwks(self) -> Sequence[Mapping[str, Any]]:
        """What others need to check the signatures."""
        return [self._key.public_jwk]


def _read(path: Path) -> SigningKey:
    if path.stat().st_mode & _OTHERS:
        raise SigningKeyUnusable(
            f"The signing key {path} may be read by others: chmod 600 it, or remove it to renew it."
        )
    return SigningKey.from_pem(path.read_bytes())


def _make(path: Path) -> SigningKey:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = SigningKey.generate()
    # Whole or not at all: written aside, then linked into place. Of two hubs that start at once, one key wins.
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.to_pem())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(aside, path)
    except FileExistsError:
        return _read(path)
    finally:
        aside.unlink()
    log.debug("signing_key.made", kid=key.kid)
    return key
