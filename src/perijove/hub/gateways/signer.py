"""
The key that identity tokens are signed with, in a file of its own: `hub.ports.IdentitySigner`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.gateways.secret_files import read_or_make
from perijove.kit.jws import SignatureError, SigningKey


class FileSigner:
    """
    Signs with the key in *path*, which is made at the first start.

    Raises:
        InvalidRequest: others may read the file, or it holds no key.
    """

    def __init__(self, path: Path) -> None:
        pem = read_or_make(path, lambda: SigningKey.generate().to_pem())
        try:
            self._key = SigningKey.from_pem(pem)
        except SignatureError as exc:
            raise InvalidRequest(f"{path}: {exc}") from exc

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A compact JWS."""
        return self._key.sign(claims)

    @property
    def public_jwks(self) -> Sequence[Mapping[str, Any]]:
        """What proxy and servers verify with."""
        return (self._key.public_jwk,)
