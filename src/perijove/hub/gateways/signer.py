"""
The hub's signing keys, kept in a file that nobody else may read, and the signer over it.

The file holds one key or several, as PEM: the first signs, all are told to those who verify. `perijove key` puts a new
one last, and first only later. Law: a key signs only if it was told the look before, too.
"""

from __future__ import annotations

import os
import re
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
_KEY: Final = re.compile(rb"-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----\n?", re.DOTALL)


class SigningKeyUnusable(HubError):
    """The signing key cannot be used."""


class FileSigner:
    """`hub.ports.IdentitySigner` with the keys of a file."""

    def __init__(self, path: Path, keys: Sequence[SigningKey]) -> None:
        self._path = path
        self._keys = tuple(keys)
        self._signing = keys[0]
        self._seen = _stamp(path)

    @classmethod
    def open(cls, path: Path) -> FileSigner:
        """
        With the keys in *path*; one is made if there is none.

        Raises:
            SigningKeyUnusable: it cannot be read or written, others may read it, or it holds no key.
        """
        if not path.exists():
            _make(path)
        return cls(path, read_keys(path))

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A compact JWS over *claims*."""
        return self._signing.sign(claims)

    def read(self, statement: str, *, audience: str, now: datetime) -> Mapping[str, Any] | None:
        """The claims of a statement of its own for *audience*; None if it is none, or has ended."""
        try:
            return Verifier(self.public_jwks).verify(statement, audience=audience, now=now)
        except SignatureError:
            return None

    @property
    def public_jwks(self) -> Sequence[Mapping[str, Any]]:
        """What others need to check the signatures."""
        return [key.public_jwk for key in self._keys]

    def look(self) -> bool:
        """
        Read the file again if it has changed; whether others must be told of the keys.

        A key that nobody was told of before does not sign yet, if the one that signed is still there: the next look
        has it sign. What cannot be read changes nothing, and is logged.
        """
        stamp = _stamp(self._path)
        if stamp == self._seen:
            if self._signing.kid != self._keys[0].kid:
                self._signing = self._keys[0]
                log.info("signing_key.in_use", kid=self._signing.kid)
            return False
        self._seen = stamp
        try:
            keys = read_keys(self._path)
        except SigningKeyUnusable as exc:
            log.error("signing_key.not_read", why=exc.message)  # noqa: TRY400  # an operator's mistake
            return False
        told, still = {key.kid for key in self._keys}, {key.kid for key in keys}
        self._keys = tuple(keys)
        if keys[0].kid in told or self._signing.kid not in still:
            self._signing = keys[0]
        log.info("signing_key.read", kids=[key.kid for key in keys], signs=self._signing.kid)
        return told != still


def read_keys(path: Path) -> Sequence[SigningKey]:
    """
    The keys in *path*, the one that signs first.

    Raises:
        SigningKeyUnusable: it cannot be read, others may read it, or it holds something else.
    """
    try:
        if path.stat().st_mode & _OTHERS:
            raise SigningKeyUnusable(
                f"The signing key {path} may be read by others: chmod 600 it, or remove it to renew it."
            )
        text = path.read_bytes()
        return [SigningKey.from_pem(pem) for pem in _KEY.findall(text) or [text]]
    except (OSError, SignatureError) as exc:
        raise SigningKeyUnusable(f"The signing key {path} cannot be used: {exc}.") from exc


def write_keys(path: Path, keys: Sequence[SigningKey]) -> None:
    """Put *keys* into *path*, whole or not at all. Raises SigningKeyUnusable."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(aside, keys)
        aside.replace(path)
    except OSError as exc:
        raise SigningKeyUnusable(f"The signing key {path} cannot be written: {exc}.") from exc


def _make(path: Path) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whole or not at all: written aside, then linked into place. Of two hubs that start at once, one key wins.
        _write(aside, [SigningKey.generate()])
        try:
            os.link(aside, path)
            log.debug("signing_key.made")
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    except OSError as exc:
        raise SigningKeyUnusable(f"The signing key {path} cannot be used: {exc}.") from exc


def _write(path: Path, keys: Sequence[SigningKey]) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"".join(key.to_pem() for key in keys))
        file.flush()
        os.fsync(file.fileno())


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino
