"""
The keys that auth states are sealed with: how they are written (contract j, `CryptKeeper`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final

from perijove.config.errors import WrongValue

#: Holds the keys, so that the configuration file need not; JupyterHub's name.
CRYPT_KEY_VARIABLE: Final = "JUPYTERHUB_CRYPT_KEY"
_LENGTH: Final = 32
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")
_BASE64_LENGTH: Final = 44
_HINT: Final = "a key is 32 bytes, as 64 hexadecimal digits or in base64: `openssl rand -hex 32` makes one"


def read_keys(stated: Iterable[str | bytes], variable: str) -> tuple[bytes, ...]:
    """
    The keys, 32 bytes each; the first seals, all open.

    Args:
        stated: `c.CryptKeeper.keys`; if there are any, they are all.
        variable: what the environment has, several with `;` between them.

    Raises:
        WrongValue: one of them is no key. The sentence does not repeat it.
    """
    texts = list(stated) or [text for text in variable.split(";") if text]
    return tuple(_key(text) for text in texts)


def _key(stated: str | bytes) -> bytes:
    if isinstance(stated, str) and _HEX.fullmatch(stated):
        return bytes.fromhex(stated)
    raw = stated.encode() if isinstance(stated, str) else stated
    if len(raw) == _BASE64_LENGTH:
        try:
            raw = base64.b64decode(raw, altchars=b"-_" if b"-" in raw or b"_" in raw else None, validate=True)
        except binascii.Error:
            raise WrongValue(_HINT) from None
    if len(raw) != _LENGTH:
        raise WrongValue(_HINT)
    return raw
